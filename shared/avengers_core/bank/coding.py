"""Functions to write: a list of numbers goes through some steps. Hidden tests decide."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from .types import WRONG_ANSWERS, Item

__all__ = ["coding"]

_FORM = (
    "\n\nWrite the Python function in one code block, without tests or examples. It must work for the empty list and must "
    "not change its argument."
)

#: Steps by difficulty: what is asked, and the line of Python that does it. ``{k}`` is a number from 2 to 5.
_EASY = (
    ("keep only the numbers that are divisible by {k}", "x = [v for v in x if v % {k} == 0]"),
    ("add {k} to each number", "x = [v + {k} for v in x]"),
    ("multiply each number by {k}", "x = [v * {k} for v in x]"),
    ("reverse the list", "x = x[::-1]"),
    ("drop the first {k} numbers", "x = x[{k}:]"),
    ("sort the numbers in ascending order", "x = sorted(x)"),
    ("keep only the numbers greater than {k}", "x = [v for v in x if v > {k}]"),
)
_MIDDLE = (
    ("replace each number by the sum of all numbers up to and including it", "x = [sum(x[: i + 1]) for i in range(len(x))]"),
    ("remove repeated numbers and keep the last occurrence of each", "x = [v for i, v in enumerate(x) if v not in x[i + 1 :]]"),
    ("sort by the remainder modulo {k}, keeping the order of numbers with the same remainder", "x = sorted(x, key=lambda v: v % {k})"),
    ("replace each number by its difference to the number before it, the first one staying as it is", "x = x[:1] + [b - a for a, b in zip(x, x[1:])]"),
    ("keep every {k}th number, starting with the first", "x = x[::{k}]"),
    ("rotate the list to the left by {k} places, modulo its length", "x = x[{k} % len(x):] + x[:{k} % len(x)] if x else []"),
)  # fmt: skip
_HARD = (
    ("replace each maximal run of equal numbers by the length of the run times the number", "x = [sum(g) for _, g in __import__('itertools').groupby(x)]"),
    ("sort by the sum of the decimal digits of the absolute value, larger numbers first among equal sums", "x = sorted(x, key=lambda v: (sum(map(int, str(abs(v)))), -v))"),
    ("replace each number by how many numbers after it in the list are smaller", "x = [sum(w < v for w in x[i + 1 :]) for i, v in enumerate(x)]"),
    ("cut the list into blocks of {k} (the last one may be shorter) and reverse each block", "x = [v for i in range(0, len(x), {k}) for v in x[i : i + {k}][::-1]]"),
    ("remove each number that is smaller than the largest number before it", "x = [v for i, v in enumerate(x) if not x[:i] or v >= max(x[:i])]"),
    ("replace each number by the median of itself and its neighbours, taking the smaller middle one if there are two", "x = [sorted(x[max(i - 1, 0) : i + 2])[(len(x[max(i - 1, 0) : i + 2]) - 1) // 2] for i in range(len(x))]"),
    ("starting with 0 as the total, go through the list: if the total is divisible by {k}, add the number to it, otherwise subtract the number from it; replace each number by the total after it", "t, y = 0, []\n    for v in x:\n        t = t + v if t % {k} == 0 else t - v\n        y.append(t)\n    x = y"),
)  # fmt: skip
#: How many steps of which difficulty a level has.
_STEPS = {1: (2, 0, 0), 2: (1, 2, 0), 3: (1, 2, 1), 4: (1, 2, 3), 5: (2, 4, 6)}

_Step = tuple[str, str]


def coding(rng: random.Random, level: int) -> Item:
    """Write a function of some steps: from two simple ones (1) to twelve, half of them hard (5)."""
    while True:
        pools = zip((_EASY, _MIDDLE, _HARD), _STEPS[level], strict=True)
        steps = [_filled(step, rng) for pool, count in pools for step in rng.sample(pool, count)]
        rng.shuffle(steps)
        inputs = [[], [rng.randrange(-9, 10)]]
        inputs += [[rng.randrange(-30, 60) for _ in range(rng.randrange(4, 25))] for _ in range(12)]
        program = _program(steps)
        results = [_run(program, numbers) for numbers in inputs]
        wrong = _mutants(steps, inputs, results, rng)
        if len(wrong) == WRONG_ANSWERS and len({str(result) for result in results}) > 4:
            break
    tests = "\n".join(f"assert solve({numbers}) == {result}" for numbers, result in zip(inputs, results, strict=True))
    listed = "\n".join(f"{number}. {text}" for number, (text, _) in enumerate(steps, start=1))
    query = f"Write a Python function `solve(x)` that takes a list of integers and returns the list after these steps:\n{listed}"
    return Item(query, query + _FORM, "code", tests, _fenced(program), [_fenced(one) for one in wrong])


def _filled(step: _Step, rng: random.Random) -> _Step:
    k = str(rng.randrange(2, 6))
    return step[0].replace("{k}th", f"{k}{'nd' if k == '2' else 'rd' if k == '3' else 'th'}").replace("{k}", k), step[
        1
    ].replace("{k}", k)


def _program(steps: Sequence[_Step]) -> str:
    return "def solve(x):\n    x = list(x)\n" + "".join(f"    {line}\n" for _, line in steps) + "    return x\n"


def _run(program: str, numbers: list[int]) -> Any:
    """What a program of ours returns."""
    names: dict[str, Any] = {}
    exec(program, names)
    return names["solve"](numbers)


def _mutants(
    steps: Sequence[_Step], inputs: Sequence[list[int]], results: Sequence[Any], rng: random.Random
) -> list[str]:
    """Programs with a step left out, two steps swapped, or a step done twice, that give other results."""
    changed = [[*steps[:place], *steps[place + 1 :]] for place in range(len(steps))]
    for place in range(len(steps) - 1):
        changed.append([*steps[:place], steps[place + 1], steps[place], *steps[place + 2 :]])
    changed += [[*steps[: place + 1], *steps[place:]] for place in range(len(steps))]
    changed += [[*steps, _filled(step, rng)] for step in _EASY]
    rng.shuffle(changed)
    found: list[str] = []
    for one in changed:
        program = _program(one)
        if program not in found and [_run(program, numbers) for numbers in inputs] != list(results):
            found.append(program)
        if len(found) == WRONG_ANSWERS:
            break
    return found


def _fenced(program: str) -> str:
    return f"```python\n{program}```"
