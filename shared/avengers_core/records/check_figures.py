"""Figures by source and model, from which findings about a union of records are made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .schema import TOKEN_KINDS
from .table import RecordTable

__all__ = ["Array", "KnownModel", "UnionFigures", "columns", "measure_union", "over_each", "over_others"]

Array = NDArray[np.float64]

_INPUT, _OUTPUT = TOKEN_KINDS.index("input_tokens"), TOKEN_KINDS.index("output_tokens")
#: Input tokens of a call that is a step of a long task, at least, and as many times the tokens of its query.
RUN_TOKENS, RUN_TIMES = 20_000, 30
#: Characters of a token, at least.
_CHARACTERS = 2.0


class KnownModel(NamedTuple):
    """What is known of a model from its id.

    Attributes:
        id: The id that all spellings of the model share.
        input_price: List price in US dollars of a million input tokens. None if unknown.
        output_price: The same of output tokens.
    """

    id: str
    input_price: float | None = None
    output_price: float | None = None


@dataclass(frozen=True)
class UnionFigures:
    """Figures of s sources by m models. NaN where there is none.

    Attributes:
        queries: (s,) number of records.
        answers: (s, m) number of answers.
        scores: (s, m) mean score.
        cost: (s, m) median US dollars of a call, without agent runs.
        list_ratio: (s, m) median of US dollars over list price times tokens, over the calls of which both are known.
        runs: (s,) share of the answers with a usage that are said to be agent runs.
        run_like: (s,) share of the calls whose input tokens are known that have as many as only agent runs have.
    """

    queries: NDArray[np.intp]
    answers: NDArray[np.intp]
    scores: Array
    cost: Array
    list_ratio: Array
    runs: Array
    run_like: Array


def measure_union(table: RecordTable, known: Mapping[str, KnownModel]) -> UnionFigures:
    """The figures of a table.

    Args:
        table: The records, with their texts.
        known: What is known of its models, by their names in the table.
    """
    calls = ~table.agent_run
    cost = np.where(calls, table.cost, np.nan)
    tokens = table.tokens[:, :, _INPUT].astype(np.float64)
    long = (tokens >= RUN_TOKENS) & (tokens * _CHARACTERS >= RUN_TIMES * _lengths(table)[:, None])
    listed = _list_cost(table, known)
    ratio = np.divide(cost, listed, out=np.full_like(cost, np.nan), where=listed > 0)
    used = np.isfinite(table.cost) | np.isfinite(tokens)
    counted = calls & np.isfinite(tokens)
    rows = [table.source == code for code in range(len(table.sources))]
    return UnionFigures(
        queries=np.array([part.sum() for part in rows], dtype=np.intp),
        answers=np.array([(~np.isnan(table.scores[part])).sum(axis=0) for part in rows], dtype=np.intp),
        scores=np.array([columns(np.nanmean, table.scores[part].astype(np.float64)) for part in rows]),
        cost=np.array([columns(np.nanmedian, cost[part]) for part in rows]),
        list_ratio=np.array([columns(np.nanmedian, ratio[part]) for part in rows]),
        runs=np.array([_share(table.agent_run[part], used[part]) for part in rows]),
        run_like=np.array([_share(long[part], counted[part]) for part in rows]),
    )


def over_others(values: Array) -> tuple[Array, NDArray[np.intp]]:
    """How much higher the values of each source are than those of the same models in the other sources.

    Args:
        values: (s, m) values.

    Returns:
        (s,) median over the models of the difference from the median over the other sources, NaN if no model is
        in another source; and (s,) number of these models.
    """
    difference = np.full(values.shape, np.nan)
    for code in range(len(values)):
        difference[code] = values[code] - columns(np.nanmedian, np.delete(values, code, axis=0))
    return columns(np.nanmedian, difference.T), np.isfinite(difference).sum(axis=1)


def over_each(values: Array, code: int) -> tuple[Array, NDArray[np.intp]]:
    """How much higher the values of one source are than those of the same models in each other source.

    Args:
        values: (s, m) values.
        code: The source.

    Returns:
        (s,) median over the models of the difference, NaN for the source itself and if they share no model; and (s,)
        number of shared models.
    """
    difference = values[code] - values
    difference[code] = np.nan
    return columns(np.nanmedian, difference.T), np.isfinite(difference).sum(axis=1)


def _lengths(table: RecordTable) -> Array:
    """(n,) characters of each query; infinite if the texts were dropped."""
    return np.array([float(len(text)) for text in table.queries] or [np.inf] * len(table))


def _list_cost(table: RecordTable, known: Mapping[str, KnownModel]) -> Array:
    """(n, m) list price times tokens."""
    nothing = KnownModel("")
    prices = np.array([known.get(model, nothing)[1:] for model in table.models], dtype=np.float64)
    tokens = table.tokens[:, :, [_INPUT, _OUTPUT]].astype(np.float64)
    return np.asarray((tokens * prices).sum(axis=2) / 1e6)


def _share(which: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float((which & among).sum() / among.sum()) if among.any() else float("nan")


def columns(function: Callable[..., Any], values: Array) -> Array:
    """A figure of each column without its NaN; NaN for a column that has nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without a value
        return np.asarray(function(values, axis=0), dtype=np.float64)
