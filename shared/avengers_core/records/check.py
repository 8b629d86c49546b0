"""Check a union of records: figures by source and by model, and what spoils it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._utils.results import Result
from .check_figures import Array, KnownModel, UnionFigures, columns, measure_union, over_others
from .findings import Finding, find_all
from .table import RecordTable

__all__ = ["MIN_ANSWERS", "KnownModel", "ModelCheck", "RecordsCheck", "SourceCheck", "check_records"]

#: Answers that a model should have: with fewer it is not a candidate of a router, see ``min_records``.
MIN_ANSWERS = 20


@dataclass(frozen=True)
class SourceCheck:
    """The records of one source.

    Attributes:
        source: Its name.
        queries: Number of records.
        models: Number of models with an answer.
        answers: Number of answers.
        mean_score: Mean over models of their mean score.
        spread: Standard deviation over models of their mean score.
        above_others: Median over models of how much higher they score here than elsewhere; None if no model is
            elsewhere.
        cost_usd: Median over models of their median US dollars a call; None if no cost of a call is known.
        kind: ``call``, ``agent_run`` or ``mixed``, as the records say.
        problems: Codes of the findings that name it.
    """

    source: str
    queries: int
    models: int
    answers: int
    mean_score: float
    spread: float
    above_others: float | None
    cost_usd: float | None
    kind: str
    problems: list[str]


@dataclass(frozen=True)
class ModelCheck:
    """The answers of one model.

    Attributes:
        model: Its id in the records.
        id: The id that all its spellings share; empty if the model is unknown.
        sources: Number of sources with an answer.
        answers: Number of answers.
        coverage: Share of the records that it answered.
        mean_score: Mean over its answers.
        above_source: Mean over its answers of how much higher it scores than the mean of its source's models.
        cost_usd: Median US dollars a call, of the median source; None if unknown.
        cost_known: Share of its answers whose cost is known.
        tokens_known: Share of its answers whose input and output tokens are known.
        list_price: Whether its list price is known.
        problems: Codes of the findings that name it.
    """

    model: str
    id: str
    sources: int
    answers: int
    coverage: float
    mean_score: float
    above_source: float
    cost_usd: float | None
    cost_known: float
    tokens_known: float
    list_price: bool
    problems: list[str]


@dataclass(frozen=True)
class RecordsCheck(Result):
    """What is in a union of records, and what spoils it.

    Attributes:
        queries: Number of records.
        answers: Number of answers.
        datasets: Names of the datasets.
        sources: One entry per source, those with most problems first.
        models: One entry per model, those with most problems first.
        findings: What spoils the union; empty if nothing was found.
    """

    queries: int
    answers: int
    datasets: list[str]
    sources: list[SourceCheck]
    models: list[ModelCheck]
    findings: list[Finding]


def check_records(
    table: RecordTable, known: Mapping[str, KnownModel], *, min_answers: int = MIN_ANSWERS
) -> RecordsCheck:
    """Check a union of records.

    Args:
        table: The records, with their texts.
        known: What is known of the models, by their names in the table.
        min_answers: Answers that a model should have.
    """
    figures = measure_union(table, known)
    findings = find_all(table, figures, known, min_answers)
    sources = _sources(table, figures, _problems(finding for finding in findings if not finding.of_models))
    models = _models(table, figures, known, _problems(finding for finding in findings if finding.of_models))
    return RecordsCheck(
        queries=len(table),
        answers=int(figures.answers.sum()),
        datasets=list(table.datasets),
        sources=sorted(sources, key=lambda one: (-len(one.problems), one.source)),
        models=sorted(models, key=lambda one: (-len(one.problems), one.answers, one.model)),
        findings=findings,
    )


def _problems(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """Codes of the findings by the names that they are about."""
    problems: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        for name in dict.fromkeys(name for item in finding.items for name in item.names):
            problems[name].append(finding.code)
    return problems


def _sources(table: RecordTable, figures: UnionFigures, problems: Mapping[str, list[str]]) -> list[SourceCheck]:
    above, _ = over_others(figures.scores)
    cost = columns(np.nanmedian, figures.cost.T)
    return [
        SourceCheck(
            source=name,
            queries=int(figures.queries[code]),
            models=int((figures.answers[code] > 0).sum()),
            answers=int(figures.answers[code].sum()),
            mean_score=float(np.nanmean(figures.scores[code])),
            spread=float(np.nanstd(figures.scores[code])),
            above_others=_or_none(above[code]),
            cost_usd=_or_none(cost[code]),
            kind=_kind(figures.runs[code]),
            problems=problems.get(name, []),
        )
        for code, name in enumerate(table.sources)
        if figures.queries[code]
    ]


def _kind(runs: float) -> str:
    return "agent_run" if runs == 1 else "mixed" if runs > 0 else "call"


def _models(
    table: RecordTable, figures: UnionFigures, known: Mapping[str, KnownModel], problems: Mapping[str, list[str]]
) -> list[ModelCheck]:
    answered = ~np.isnan(table.scores)
    answers = figures.answers.sum(axis=0)
    above = np.nan_to_num(figures.scores - columns(np.nanmean, figures.scores.T)[:, None])
    mean = _weighted(np.nan_to_num(figures.scores), figures.answers)
    above_source = _weighted(above, figures.answers)
    cost = columns(np.nanmedian, figures.cost)
    cost_known = (answered & ~np.isnan(table.cost)).sum(axis=0) / np.maximum(answers, 1)
    tokens_known = (answered & np.isfinite(table.tokens[:, :, :2]).all(axis=2)).sum(axis=0) / np.maximum(answers, 1)
    nothing = KnownModel("")
    return [
        ModelCheck(
            model=name,
            id=known.get(name, nothing).id,
            sources=int((figures.answers[:, column] > 0).sum()),
            answers=int(answers[column]),
            coverage=float(answers[column] / len(table)),
            mean_score=float(mean[column]),
            above_source=float(above_source[column]),
            cost_usd=_or_none(cost[column]),
            cost_known=float(cost_known[column]),
            tokens_known=float(tokens_known[column]),
            list_price=known.get(name, nothing).input_price is not None,
            problems=problems.get(name, []),
        )
        for column, name in enumerate(table.models)
        if answers[column]
    ]


def _weighted(values: Array, answers: NDArray[np.intp]) -> Array:
    """(m,) mean of the (s, m) values, weighted by answers."""
    return np.asarray((values * answers).sum(axis=0) / np.maximum(answers.sum(axis=0), 1))


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
