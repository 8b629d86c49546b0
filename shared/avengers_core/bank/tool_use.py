"""Tasks for tools: the right one among others, with the right arguments; sometimes several, sometimes none."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from .types import Item, different
from .words import CITIES, NAMES, PRODUCTS

__all__ = ["tool_use"]

Calls = list[dict[str, Any]]

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def _tool(name: str, description: str, **parameters: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": parameters, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def _text(description: str, *choices: str) -> dict[str, Any]:
    return {"type": "string", "description": description, **({"enum": list(choices)} if choices else {})}


def _number(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


_TOOLS = (
    _tool("get_weather", "The weather forecast for a city.", city=_text("The city"), days=_number("Days ahead, 0 for today")),
    _tool("get_climate", "The average weather of a city over thirty years.", city=_text("The city"), month=_number("1 to 12")),
    _tool("book_room", "Book a meeting room.", room=_text("The room", "red", "green", "blue"), day=_text("The day", *_WEEKDAYS), hour=_number("Hour of the start, 0 to 23"), minutes=_number("How long, in minutes")),
    _tool("cancel_room", "Cancel the booking of a meeting room.", room=_text("The room", "red", "green", "blue"), day=_text("The day", *_WEEKDAYS), hour=_number("Hour of the start, 0 to 23")),
    _tool("send_message", "Send a message to a colleague.", to=_text("First name of the colleague"), text=_text("The message, word for word")),
    _tool("order_stock", "Order products for the warehouse.", product=_text("The product, in the singular"), count=_number("How many pieces")),
    _tool("convert_money", "Convert an amount of money at today's rate.", amount=_number("The amount"), source=_text("Currency code such as EUR"), target=_text("Currency code such as USD")),
)  # fmt: skip


def tool_use(rng: random.Random, level: int) -> Item:
    """Call tools: one that is named (1), similar ones (2), two at once (3), perhaps none (4), worked-out arguments (5)."""
    query, calls = (_one, _similar, _two, _perhaps, _worked_out)[level - 1](rng)
    tools = list(_TOOLS) if level > 1 else [_TOOLS[0], _TOOLS[4], _TOOLS[5]]
    rng.shuffle(tools)
    wrong = different(calls, _slips(calls, rng))
    prompt = f"{query}\n\nUse the tools for what they are for, all calls at once. If none is needed, answer in words."
    return Item(query, prompt, "tool_calls", calls, _said(calls), [_said(one) for one in wrong], tools)


def _said(calls: Calls) -> str:
    """An answer with calls, as `avengers_core.collecting` keeps it."""
    return json.dumps({"text": "" if calls else "That needs no tool.", "tool_calls": calls})


def _slips(calls: Calls, rng: random.Random) -> Iterator[Calls]:
    if not calls:
        yield [_call("get_weather", city=rng.choice(CITIES), days=0)]
        yield [_call("send_message", to=rng.choice(NAMES), text="Hello")]
        yield [_call("order_stock", product=rng.choice(PRODUCTS), count=1)]
        yield [_call("get_climate", city=rng.choice(CITIES), month=1)]
        while True:
            yield [_call("convert_money", amount=rng.randrange(1, 100), source="EUR", target="USD")]
    yield []
    yield [*calls, calls[-1]]
    yield [*calls, _call("send_message", to=rng.choice(NAMES), text="Done")]
    while True:
        slip = copy.deepcopy(calls)
        call = rng.choice(slip)
        argument = rng.choice(list(call["args"]))
        value = call["args"][argument]
        call["args"][argument] = value + rng.choice((-1, 1, 10)) if isinstance(value, int) else rng.choice(_OTHERS)
        yield slip


_OTHERS = (*CITIES, *PRODUCTS, *_WEEKDAYS, "red", "blue")


def _call(name: str, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args}


def _one(rng: random.Random) -> tuple[str, Calls]:
    product, count = rng.choice(PRODUCTS), rng.randrange(2, 200)
    city, days = rng.choice(CITIES), rng.randrange(2, 7)
    return rng.choice(
        (
            (f"Order {count} pieces of the {product}.", [_call("order_stock", product=product, count=count)]),
            (f"What will the weather be like in {city} in {days} days?", [_call("get_weather", city=city, days=days)]),
        )
    )


def _similar(rng: random.Random) -> tuple[str, Calls]:
    city, month, room, day = (
        rng.choice(CITIES),
        rng.randrange(4),
        rng.choice(("red", "green", "blue")),
        rng.choice(_WEEKDAYS),
    )
    hour = rng.randrange(1, 6)
    name = ("January", "April", "July", "October")[month]
    return rng.choice(
        (
            (f"How warm is it usually in {city} in {name}?", [_call("get_climate", city=city, month=3 * month + 1)]),
            (f"We don't need the {room} room on {day} at {hour} pm after all.", [_call("cancel_room", room=room, day=day, hour=hour + 12)]),
        )
    )  # fmt: skip


def _two(rng: random.Random) -> tuple[str, Calls]:
    (one, two), (product, other) = rng.sample(NAMES, 2), rng.sample(PRODUCTS, 2)
    count, more = rng.randrange(2, 60), rng.randrange(2, 60)
    query = (
        f"Order {count} {product}s and {more} {other}s, and tell both {one} and {two}, each in a message of their own, "
        "exactly this: Stock is on its way."
    )
    calls = [_call("order_stock", product=product, count=count), _call("order_stock", product=other, count=more)]
    return query, calls + [_call("send_message", to=name, text="Stock is on its way.") for name in (one, two)]


def _perhaps(rng: random.Random) -> tuple[str, Calls]:
    city, name, product = rng.choice(CITIES), rng.choice(NAMES), rng.choice(PRODUCTS)
    amount = rng.randrange(20, 900)
    room, day, hour = rng.choice(("red", "green", "blue")), rng.choice(_WEEKDAYS), rng.randrange(8, 16)
    length = rng.choice((45, 75, 90, 105))
    return rng.choice(
        (
            (f"Explain in one sentence what a weather forecast for {city} is good for.", []),
            (f"Which of your tools would order a {product}? Just tell me, don't do it.", []),
            (f"If {name} asks how many euros {amount} dollars were ten years ago, can your tools tell? Yes or no.", []),
            (f"Write a short poem about a {product} and a {room} room.", []),
            (f"Book the {room} room on {day} from {hour}:00 until {hour + length // 60}:{length % 60:02}.",
             [_call("book_room", room=room, day=day, hour=hour, minutes=length)]),
        )
    )  # fmt: skip


def _worked_out(rng: random.Random) -> tuple[str, Calls]:
    room, place = rng.choice(("red", "green", "blue")), rng.randrange(3)
    day, hour = _WEEKDAYS[place], rng.randrange(8, 12)
    boxes, pieces, spare = rng.randrange(3, 9), rng.randrange(12, 30), rng.randrange(5, 11)
    product, (one, two) = rng.choice(PRODUCTS), rng.sample(NAMES, 2)
    euros, share = rng.randrange(20, 90) * 10, rng.choice((20, 30, 40))
    query = (
        f"Move our meeting: give up the {room} room on {day} at {hour}:00 and take the same room two days later, three hours "
        f"later in the day, twice as long as the 40 minutes it was. We need {boxes} boxes of {pieces} {product}s each, of "
        f"which {spare} pieces are here already, so order the rest. {one} wanted to pay {share}% of the {euros} euros: find "
        f"out what that share is in Swiss francs. Do not write to {two}."
    )
    return query, [
        _call("cancel_room", room=room, day=day, hour=hour),
        _call("book_room", room=room, day=_WEEKDAYS[place + 2], hour=hour + 3, minutes=80),
        _call("order_stock", product=product, count=boxes * pieces - spare),
        _call("convert_money", amount=euros * share // 100, source="EUR", target="CHF"),
    ]
