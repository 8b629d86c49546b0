"""The facts and scores that the package ships."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import msgspec

from .spelling import split_effort
from .types import CatalogEntry, PublishedScore

__all__ = ["table_entries", "table_scores"]


class _Scores(msgspec.Struct):
    """The file of scores: a line holds a benchmark, a harness, a date, a source's place and the models' scores."""

    sources: list[str]
    scores: list[tuple[str, str, str, int, dict[str, float]]]


@functools.cache
def table_entries() -> tuple[CatalogEntry, ...]:
    """All models of the shipped table, by id."""
    return tuple(msgspec.json.decode(_data("models.json").read_bytes(), type=list[CatalogEntry]))


@functools.cache
def table_scores() -> tuple[PublishedScore, ...]:
    """All shipped scores, by benchmark."""
    file = msgspec.json.decode(_data("scores.json").read_bytes(), type=_Scores)
    return tuple(
        PublishedScore(*split_effort(model), benchmark, score, harness, date, file.sources[source])
        for benchmark, harness, date, source, scores in file.scores
        for model, score in scores.items()
    )


def _data(name: str) -> Any:
    return resources.files("avengers_core.catalog") / "data" / name
