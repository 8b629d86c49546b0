"""A sensible few of a provider's current models."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from ..pricing.types import Price
from .types import CatalogEntry, PublishedScore

__all__ = ["few_models"]

#: Models with more expensive output tokens, in US dollars per million, are left to those who name them.
DEAREST_OUTPUT = 60.0
#: Common benchmarks without which two models' scores are not compared.
MIN_COMMON = 3
_SPECIAL = re.compile(
    r"cod(?:e|er|ex|estral)(?:-|$)|devstral|-build|contributor|highspeed|-fast$|vision|-exp$|guard|-her$|ultraspeed|-rp-|deep-think|multi-agent|-(?:air|flash)?x(?:-|$)"
)

Benchmarks = Mapping[tuple[str, str], float]


def few_models(
    entries: Iterable[CatalogEntry],
    price_of: Callable[[CatalogEntry], Price | None],
    scores: Mapping[str, Sequence[PublishedScore]],
    predecessor: Mapping[str, str],
    limit: int,
) -> list[CatalogEntry]:
    """The models among ``entries`` that no other beats, at most ``limit``, from cheap to expensive.

    A model is left out if another is not more expensive, for input and output tokens, and not worse: by the mean
    difference of published scores, in standard deviations of each benchmark, or because it came after it in the same
    tier. A model with too few common scores is taken to be as good as its predecessor. Of more than ``limit``, the
    older one of the two closest in price goes first.

    Args:
        entries: Models to choose from.
        price_of: A model's price; models without one are left out.
        scores: Published scores by canonical id.
        predecessor: Predecessors by canonical id.
        limit: How many to keep.
    """
    priced = [(entry, price) for entry in entries if _usual(entry) and (price := price_of(entry)) is not None]
    priced = [(entry, price) for entry, price in priced if price.output <= DEAREST_OUTPUT]
    compare = _Comparison(scores, predecessor)
    kept = [one for one in priced if not any(_beats(other, one, compare) for other in priced if other is not one)]
    kept.sort(key=lambda item: (_blend(item[1]), item[0].id))
    while len(kept) > max(limit, 1):
        del kept[_most_crowded(kept)]
    return [entry for entry, _ in kept]


def _usual(entry: CatalogEntry) -> bool:
    return entry.chat and _SPECIAL.search(entry.id) is None


def _blend(price: Price) -> float:
    return math.log(3 * price.input + price.output)


def _most_crowded(kept: Sequence[tuple[CatalogEntry, Price]]) -> int:
    """Place of the older one of the two models that are closest in price."""
    gaps = [_blend(later[1]) - _blend(earlier[1]) for earlier, later in pairwise(kept)]
    place = min(range(len(gaps)), key=gaps.__getitem__)
    older, newer = kept[place][0], kept[place + 1][0]
    return place if (older.release, older.version) <= (newer.release, newer.version) else place + 1


def _beats(one: tuple[CatalogEntry, Price], other: tuple[CatalogEntry, Price], compare: _Comparison) -> bool:
    (a, price_a), (b, price_b) = one, other
    if price_a.input > price_b.input or price_a.output > price_b.output:
        return False
    if not compare.not_worse(a.id, b.id):
        return False
    same = price_a.input == price_b.input and price_a.output == price_b.output
    return not (same and compare.not_worse(b.id, a.id)) or (a.release, a.version, a.id) > (b.release, b.version, b.id)


class _Comparison:
    """Compares models by published scores, or those of their predecessors."""

    def __init__(self, scores: Mapping[str, Sequence[PublishedScore]], predecessor: Mapping[str, str]) -> None:
        self._predecessor = predecessor
        self._best: dict[str, Benchmarks] = {model: _best(listed) for model, listed in scores.items()}
        values: dict[tuple[str, str], list[float]] = {}
        for best in self._best.values():
            for benchmark, score in best.items():
                values.setdefault(benchmark, []).append(score)
        self._spread = {benchmark: _deviation(listed) for benchmark, listed in values.items()}

    def not_worse(self, a: str, b: str) -> bool:
        """Whether ``a`` is at least as good as ``b``: by scores; else as its successor; else as its predecessor is."""
        difference = self._difference(a, b)
        if difference is not None:
            return difference >= 0
        before = self._before(a)
        if b in before:
            return True
        known = (self._difference(earlier, b) for earlier in before)
        return next((difference >= 0 for difference in known if difference is not None), False)

    def _before(self, model: str) -> list[str]:
        """All that came before a model in its line, the last one first."""
        line: list[str] = []
        current = self._predecessor.get(model)
        while current:
            line.append(current)
            current = self._predecessor.get(current)
        return line

    def _difference(self, a: str, b: str) -> float | None:
        """Mean difference of the scores of two models in standard deviations; None if too few are common."""
        mine, other = self._best.get(a, {}), self._best.get(b, {})
        common = [key for key in mine if key in other and self._spread[key] > 0]
        if len(common) < MIN_COMMON:
            return None
        return sum((mine[key] - other[key]) / self._spread[key] for key in common) / len(common)


def _best(scores: Iterable[PublishedScore]) -> dict[tuple[str, str], float]:
    """A model's best score on each benchmark of each harness, over its efforts."""
    found: dict[tuple[str, str], float] = {}
    for one in scores:
        key = (one.benchmark, one.harness)
        found[key] = max(one.score, found.get(key, -math.inf))
    return found


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
