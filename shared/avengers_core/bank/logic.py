"""Puzzles of order: who stands where, from clues that leave one possibility."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

from .types import Item, different
from .words import NAMES

__all__ = ["logic"]

_FORM = "\n\nEnd with a line of the form 'Answer: <name>, <name>, ...' with all names from left to right."
#: People in a row, by level.
_PEOPLE = {1: 3, 2: 4, 3: 5, 4: 6, 5: 7}

#: A clue as text, and whether an order fits it.
_Clue = tuple[str, Callable[[Sequence[str]], bool]]


def logic(rng: random.Random, level: int) -> Item:
    """Order people by clues, of which none can be left out: from three people (1) to seven (5)."""
    names = rng.sample(NAMES, _PEOPLE[level])
    orders = list(itertools.permutations(sorted(names)))
    clues, left = [], orders
    while len(left) > 1:
        text, fits = _clue(names, rng, level)
        fewer = [order for order in left if fits(order)]
        if len(fewer) < len(left):
            clues.append((text, fits))
            left = fewer
    clues = _needed(clues, orders)
    rng.shuffle(clues)
    listed = "\n".join(f"- {text}" for text, _ in clues)
    query = f"{len(names)} people stand in a row: {', '.join(sorted(names))}.\n{listed}\nIn which order do they stand?"
    reference = ", ".join(names)
    wrong = different(reference, (", ".join(order) for order in _near(names, rng)))
    return Item(query, query + _FORM, "final", reference, f"Answer: {reference}", [f"Answer: {one}" for one in wrong])


def _clue(names: Sequence[str], rng: random.Random, level: int) -> _Clue:
    """A clue that is true of an order. The higher the level, the less a clue says."""
    a, b, c = rng.sample(range(len(names)), 3)
    one, two, three = names[a], names[b], names[c]
    kinds = ["left", "next"] if level == 1 else ["left", "next", "between", "ends", "gap", "not_next"]
    if level >= 4:
        kinds += ["either", "parity", "gap", "either"]
    kind = rng.choice(kinds)
    if kind == "left":
        side = "left" if a < b else "right"
        return f"{one} stands somewhere to the {side} of {two}.", lambda o: (o.index(one) < o.index(two)) == (a < b)
    if kind == "next" and abs(a - b) == 1:
        side = "left" if a < b else "right"
        return f"{one} stands directly to the {side} of {two}.", lambda o: o.index(one) - o.index(two) == a - b
    if kind == "between":
        inside = min(b, c) < a < max(b, c)
        stands = "stands somewhere" if inside else "does not stand anywhere"
        text = f"{one} {stands} between {two} and {three}."
        return (
            text,
            lambda o: (min(o.index(two), o.index(three)) < o.index(one) < max(o.index(two), o.index(three))) == inside,
        )
    if kind == "ends":
        at_end = a in (0, len(names) - 1)
        text = f"{one} stands {'at one end' if at_end else 'at neither end'} of the row."
        return text, lambda o: (o.index(one) in (0, len(o) - 1)) == at_end
    if kind == "gap":
        gap = abs(a - b) - 1
        people = "nobody stands" if not gap else "one person stands" if gap == 1 else f"{gap} people stand"
        return f"Between {one} and {two} exactly {people}.".replace("exactly nobody", "nobody"), (
            lambda o: abs(o.index(one) - o.index(two)) - 1 == gap
        )
    if kind == "parity":
        even = (a - b) % 2 == 0
        text = f"The number of people between {one} and {two} is {'odd' if even else 'even (or zero)'}."
        return text, lambda o: ((o.index(one) - o.index(two)) % 2 == 0) == even
    if kind == "either" and (a < b) != (a < c):
        text = f"{one} stands to the left of exactly one of {two} and {three}."
        return text, lambda o: (o.index(one) < o.index(two)) != (o.index(one) < o.index(three))
    if abs(a - b) != 1:
        return f"{one} and {two} do not stand next to each other.", lambda o: abs(o.index(one) - o.index(two)) != 1
    return f"{one} and {two} stand next to each other.", lambda o: abs(o.index(one) - o.index(two)) == 1


def _needed(clues: list[_Clue], orders: Sequence[Sequence[str]]) -> list[_Clue]:
    """The clues without those that the others make superfluous."""
    kept = list(clues)
    for clue in clues:
        rest = [fits for one, fits in kept if one != clue[0]]
        found = (order for order in orders if all(fits(order) for fits in rest))
        if len(list(itertools.islice(found, 2))) == 1:
            kept = [one for one in kept if one[0] != clue[0]]
    return kept


def _near(names: Sequence[str], rng: random.Random) -> itertools.chain[tuple[str, ...]]:
    """Orders in which two neighbours are swapped, the mirrored one, and then any."""
    swapped = []
    for place in range(len(names) - 1):
        order = list(names)
        order[place], order[place + 1] = order[place + 1], order[place]
        swapped.append(tuple(order))
    rest = [tuple(rng.sample(list(names), len(names))) for _ in range(200)] if len(names) > 3 else []
    return itertools.chain(swapped, [tuple(reversed(names))], rest, itertools.permutations(names))
