"""Facts from a made text, as JSON that fits a schema."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from .types import Item, different
from .words import CITIES, NAMES, PRODUCTS, made_up_name

__all__ = ["extraction"]

_FORM = (
    "\n\nReply with one JSON object and nothing else, with these fields: {fields}. Numbers are JSON numbers, dates are "
    "written like 2026-03-14, and what the text does not say is null."
)
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")


def extraction(rng: random.Random, level: int) -> Item:
    """Extract fields: from three that the text states plainly (1) to an order that was corrected over and over (5)."""
    text, fields, value = (_delivery, _visit, _order, _unlike, _corrected)[level - 1](rng)
    reference = json.dumps(value)
    wrong = [json.dumps(one) for one in different(value, _slips(value, rng))]
    query = "Extract the data from this message as JSON.\n\n" + text
    return Item(query, query + _FORM.format(fields=fields), "json", value, reference, wrong)


def _slips(value: dict[str, Any], rng: random.Random) -> Iterator[dict[str, Any]]:
    """The value with one thing wrong, without end."""
    names = list(value)
    yield {name: inner for name, inner in value.items() if name != names[-1]}
    yield {**value, names[0]: None}
    while True:
        slip = copy.deepcopy(value)
        _spoil(slip, rng)
        yield slip


def _spoil(value: Any, rng: random.Random) -> None:
    """Change something inside of a dictionary or a list."""
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    inner = value[key]
    if isinstance(inner, (dict, list)) and inner and rng.random() < 0.8:
        _spoil(inner, rng)
    elif isinstance(inner, list):
        value[key] = inner[:-1] if inner else [""]
    elif isinstance(inner, bool) or inner is None:
        value[key] = "unknown" if inner is None else not inner
    elif isinstance(inner, int):
        value[key] = inner + rng.choice((-10, -1, 1, 10))
    else:
        value[key] = str(inner)[:-1] or "x"


def _date(rng: random.Random) -> tuple[str, str]:
    """A date in words and in digits."""
    month, day = rng.randrange(1, 11), rng.randrange(1, 28)
    return f"{day} {_MONTHS[month - 1]} 2026", f"2026-{month:02}-{day:02}"


def _delivery(rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    name, city, count, product = rng.choice(NAMES), rng.choice(CITIES), rng.randrange(2, 90), rng.choice(PRODUCTS)
    text = f"Hello, my name is {name} and I live in {city}. Please send me {count} pieces of the {product}. Thank you!"
    value = {"name": name, "city": city, "product": product, "count": count}
    return text, "name, city, product, count", value


def _visit(rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    name, other = rng.sample(NAMES, 2)
    city, (words, day), hour = rng.choice(CITIES), _date(rng), rng.randrange(8, 12)
    guests = rng.randrange(2, 9)
    text = (
        f"Dear {other}, we would love to see you in {city} on {words}. Doors open at {hour}, but the tour starts an hour "
        f"later. There will be {guests} of us besides you. Bring boots, no need for food. Yours, {name}"
    )
    value = {
        "host": name,
        "guest": other,
        "city": city,
        "day": day,
        "tour_starts_at_hour": hour + 1,
        "people_in_all": guests + 1,
        "phone": None,
    }
    return text, "host, guest, city, day, tour_starts_at_hour, people_in_all (the guest included), phone", value


def _order(rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    name, city, (words, day) = rng.choice(NAMES), rng.choice(CITIES), _date(rng)
    lines = [(product, rng.randrange(2, 40), rng.randrange(3, 90)) for product in rng.sample(PRODUCTS, 4)]
    left_out = rng.choice(PRODUCTS)
    listed = "; ".join(f"{count} x {product}, {price} dollars each" for product, count, price in lines)
    text = (
        f"Order of {words}. Customer: {name} ({city} office). Items: {listed}. We had also asked for the price of a "
        f"{left_out} cover, which is not part of this order. Invoice to the head office, please."
    )
    value = {
        "customer": name,
        "day": day,
        "items": [{"product": product, "count": count, "price": price} for product, count, price in lines],
        "total": sum(count * price for _, count, price in lines),
    }
    return text, "customer, day, items (a list of {product, count, price}, in the order of the text), total", value


def _unlike(rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    people: list[dict[str, Any]] = []
    parts = []
    boss = None
    for place, name in enumerate(rng.sample(NAMES, 7)):
        (words, day), city = _date(rng), rng.choice(CITIES)
        role, left = rng.choice(("analyst", "driver", "clerk", "planner")), rng.random() < 0.3
        salary = rng.randrange(31, 95) * 1000 if rng.random() < 0.7 else None
        pay = f" for {salary // 1000}k a year" if salary else ""
        told = f"{name} joined us on {words} as a {role} in {city}{pay}"
        if place and rng.random() < 0.6:
            boss = people[rng.randrange(place)]["name"]
            told += f" and reports to {boss}"
        else:
            boss = None
        told += ", but has left since." if left else "."
        parts.append(told)
        person = {"name": name, "joined": day, "role": role, "salary": salary, "reports_to": boss, "left": left}
        people.append(person)
    order = rng.sample(range(7), 7)
    text = "Notes from the staff meeting. " + " ".join(parts[i] for i in order)
    value = {
        "people": sorted((one for one in people if not one["left"]), key=lambda one: str(one["joined"] + one["name"])),
        "number_who_left": sum(bool(one["left"]) for one in people),
    }
    fields = (
        "people (a list of {name, joined, role, salary, reports_to, left} of those who have not left, the earliest to join "
        "first, people of the same day by name; salary in full, left is false for them), number_who_left"
    )
    return text, fields, value


def _corrected(rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    stock = {product: rng.randrange(50, 400) for product in rng.sample(PRODUCTS, 8)}
    prices = {product: rng.randrange(4, 80) for product in stock}
    parts = ["; ".join(f"{count} {product}s at {prices[product]} dollars" for product, count in stock.items()) + "."]
    last: tuple[str, int] | None = None
    for number in range(22):
        product = rng.choice(list(stock))
        amount = rng.randrange(2, 40)
        kind = rng.randrange(6)
        if kind == 0:
            stock[product] += amount
            parts.append(f"Note {number + 1}: add {amount} to the {product}s.")
            last = (product, amount)
        elif kind == 1:
            stock[product] -= amount
            parts.append(f"Note {number + 1}: {amount} {product}s broke.")
            last = (product, -amount)
        elif kind == 2 and last is not None:
            stock[last[0]] -= last[1]
            parts.append(f"Note {number + 1}: the last note that changed a count was a mistake; ignore it.")
            last = None
        elif kind == 3:
            other = rng.choice([one for one in stock if one != product])
            stock[product], stock[other] = stock[other], stock[product]
            parts.append(f"Note {number + 1}: the counts of {product}s and {other}s were mixed up; swap them.")
            last = None
        elif kind == 4:
            prices[product] += amount
            parts.append(f"Note {number + 1}: {product}s cost {amount} dollars more now.")
        else:
            parts.append(f"Note {number + 1}: {made_up_name(rng)} asked whether we sell {rng.choice(PRODUCTS)}s.")
    text = "Stock list: " + "\n".join(parts)
    names = sorted(stock)
    value = {
        "counts": {product: stock[product] for product in names},
        "prices": {product: prices[product] for product in names},
        "worth": sum(stock[product] * prices[product] for product in names),
    }
    return (
        text,
        "counts (by product), prices (by product), worth (the sum of count times price), all after the notes",
        value,
    )
