"""Sums, word problems, equations, long expressions and recurrences. Each has one number as its answer."""

from __future__ import annotations

import random
from collections.abc import Iterator

from .types import Item, different

__all__ = ["arithmetic", "numeric_item", "wrong_numbers"]

_FORM = "\n\nEnd with a line of the form 'Answer: <number>'."


def arithmetic(rng: random.Random, level: int) -> Item:
    """A calculation: from a sum of two numbers (1) to a recurrence of fifty steps modulo a large number (5)."""
    query, number = (_sum, _shopping, _equations, _expression, _recurrence)[level - 1](rng)
    return numeric_item(query, query + _FORM, number, rng)


def numeric_item(query: str, prompt: str, number: int, rng: random.Random) -> Item:
    """A question whose answer is a whole number.

    Args:
        query: What a user would ask.
        prompt: What is sent.
        number: The answer.
        rng: Chance.
    """
    wrong = different(number, wrong_numbers(number, rng))
    return Item(
        query, prompt, "numeric", number, f"Answer: {number}", [f"Step by step.\nAnswer: {one}" for one in wrong]
    )


def wrong_numbers(number: int, rng: random.Random) -> Iterator[int]:
    """Numbers that slips of calculation give, without end."""
    digits = str(abs(number))
    if len(digits) > 1:
        yield int(digits[:-2] + digits[-1] + digits[-2]) * (1 if number >= 0 else -1)
    yield from (number + 1, number - 1, number + 10, number - 10, -number)
    while True:
        yield number + rng.choice((-1, 1)) * rng.randrange(2, 100)


def _sum(rng: random.Random) -> tuple[str, int]:
    a, b = rng.randrange(12, 90), rng.randrange(12, 90)
    if rng.random() < 0.5:
        return f"What is {a} + {b}?", a + b
    return f"What is {max(a, b)} - {min(a, b)}?", abs(a - b)


def _shopping(rng: random.Random) -> tuple[str, int]:
    what, other = rng.sample(("notebooks", "lamps", "chairs", "mugs", "cables", "plants"), 2)
    n, price, m, cost = rng.randrange(3, 15), rng.randrange(4, 60), rng.randrange(2, 9), rng.randrange(5, 80)
    coupon, paid = rng.randrange(5, 20), (rng.randrange(20, 40)) * 100
    query = (
        f"A school buys {n} {what} at ${price} each and {m} {other} at ${cost} each, has a coupon of ${coupon}, and pays "
        f"with ${paid}. How many dollars of change does it get?"
    )
    return query, paid - (n * price + m * cost - coupon)


def _equations(rng: random.Random) -> tuple[str, int]:
    x, y = rng.randrange(-40, 60), rng.randrange(-40, 60)
    while True:
        a, b, c, d = (rng.choice((-1, 1)) * rng.randrange(2, 13) for _ in range(4))
        if a * d != b * c:
            break
    p, q = rng.randrange(2, 9), rng.randrange(2, 9)
    query = (
        f"The whole numbers x and y satisfy ({a})x + ({b})y = {a * x + b * y} and ({c})x + ({d})y = {c * x + d * y}. "
        f"What is {p}x - {q}y?"
    )
    return query, p * x - q * y


def _expression(rng: random.Random) -> tuple[str, int]:
    text, value = str(number := rng.randrange(100, 999)), number
    for _ in range(9):
        number = rng.randrange(12, 999)
        operator = rng.choice("+-*") if abs(value) < 10**7 else rng.choice("+-")
        text = f"({text} {operator} {number})"
        value = value + number if operator == "+" else value - number if operator == "-" else value * number
    divisor = rng.randrange(1001, 9999)
    return f"What is {text} mod {divisor}? The result must be from 0 to {divisor - 1}.", value % divisor


def _recurrence(rng: random.Random) -> tuple[str, int]:
    modulus, steps = rng.randrange(10**6, 10**7), rng.randrange(50, 60)
    a, b, x, y = (rng.randrange(1000, 99999) for _ in range(4))
    query = (
        f"Let u(0) = {x}, u(1) = {y}, and u(n) = ({a} * u(n-1) + {b} * u(n-2) + n) mod {modulus} for n >= 2. Without "
        f"running code, what is u({steps})?"
    )
    for n in range(2, steps + 1):
        x, y = y, (a * y + b * x + n) % modulus
    return query, y
