"""Records from production: logged calls with feedback, weighted so that the router's own choices do not bias them.

A router sends a model the queries that it expects it to answer well, so its mean score over logged calls is not its
mean score over all queries. If the router explores, each choice has a known probability, and weights of one over it
correct this (inverse propensity scoring; Horvitz and Thompson 1952, self-normalised as in Swaminathan and Joachims
2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from .._utils.files import user_path
from .._utils.results import Result
from ..errors import RecordError
from ..ledger.entry import feedback_score
from ..ledger.store import Ledger
from ..records.schema import TOKEN_KINDS, Record, Usage

__all__ = ["LedgerRecords", "LoggedModel", "read_feedback", "records_from_ledger"]

#: Scores a row of `Ledger.entries`; None leaves the row out.
Score = Callable[[Mapping[str, Any]], "float | bool | str | None"]


@dataclass(frozen=True)
class LoggedModel(Result):
    """Scored calls of one model.

    Attributes:
        calls: Number of calls with a score.
        effective: Effective number of answers, ``sum(w)^2 / sum(w^2)`` (Kish 1965): how many unweighted answers would
            tell as much as the weighted ones.
        mean_score: Mean of the scores.
        corrected_score: Weighted mean of the scores.
    """

    calls: int
    effective: float
    mean_score: float
    corrected_score: float


@dataclass
class LedgerRecords:
    """Records of logged calls, and how many calls could not be used.

    Attributes:
        records: One record for each scored call.
        explored: Share of the scored calls whose choice had a probability below 1.
        without_prompt: Answered calls that were left out because their text was not kept.
        without_score: Answered calls that were left out because nobody scored them.
        without_choice: Answered calls that were left out because the router did not choose their model (fallbacks,
            steps of tool loops, rows of older versions).
        models: Scored calls by model.
    """

    records: list[Record] = field(default_factory=list)
    explored: float = 0.0
    without_prompt: int = 0
    without_score: int = 0
    without_choice: int = 0
    models: dict[str, LoggedModel] = field(default_factory=dict)

    @property
    def left_out(self) -> dict[str, int]:
        """How many answered calls were left out, by reason."""
        return {
            "without_prompt": self.without_prompt,
            "without_score": self.without_score,
            "without_choice": self.without_choice,
        }

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, with the number of records in place of the records."""
        models = {name: model.to_dict() for name, model in self.models.items()}
        return {"records": len(self.records), "explored": self.explored, **self.left_out, "models": models}


@dataclass(frozen=True)
class _ScoredCall:
    """A logged call with its score and with one over its choice's probability."""

    row: Mapping[str, Any]
    score: float
    weight: float


def read_feedback(path: str | Path) -> dict[str, dict[str, float]]:
    """Scores by call or run and key, from JSON lines such as LangSmith's: ``{"run_id", "key", "score"}``.

    Args:
        path: The file.

    Raises:
        RecordError: If a line is not valid; the message names the file, the line and the field.
    """
    scores: dict[str, dict[str, float]] = {}
    try:
        lines = user_path(path).read_bytes().splitlines()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=dict[str, Any])
            call = row.get("call") or row.get("run_id")
            if not isinstance(call, str):
                raise ValueError("field 'run_id': give the run's or the call's id")
            if row.get("score") is not None:  # LangSmith has notes without a score
                scores.setdefault(call, {})[str(row.get("key", "user"))] = feedback_score(row["score"])
        except (msgspec.DecodeError, ValueError) as error:
            raise RecordError(f"{path}:{number}: {error}") from None
    return scores


def records_from_ledger(
    ledger: Ledger,
    *,
    key: str | None = None,
    score: Score | None = None,
    feedback: Mapping[str, Mapping[str, float]] | None = None,
    since: str | None = None,
    until: str | None = None,
    dataset: str = "live",
    source: str | None = None,
    correct: bool = True,
) -> LedgerRecords:
    """Records of the answered calls whose text was kept and that have a score.

    Args:
        ledger: The ledger.
        key: The feedback that counts. Default: the mean over all keys.
        score: Called with a row of `Ledger.entries`, in place of feedback. If it returns None, the row is left out.
        feedback: Scores by call or run and key, which replace the ledger's own.
        since: First day (UTC), such as ``2026-11-24``.
        until: Last day (UTC).
        dataset: Name of the records' dataset.
        source: Name of who graded the answers. Default: the dataset.
        correct: Whether to weight each answer by one over its choice's probability. Each model's weights are scaled to
            sum to its effective number of answers, and rows whose probability is unknown are left out.

    Raises:
        ValueError: If ``score`` returns what is not a score.
        LedgerError: If the ledger cannot be read.
    """
    if score is None:
        score = _feedback_scorer(ledger, feedback or {}, key)
    result = LedgerRecords()
    calls = list(_scored_calls(ledger.entries(since, until), score, correct, result))
    by_model: dict[str, list[_ScoredCall]] = {}
    for call in calls:
        by_model.setdefault(call.row["model"], []).append(call)
    scales = {model: _weight_scale(model_calls) for model, model_calls in by_model.items()}
    result.models = {model: _logged_model(by_model[model]) for model in sorted(by_model)}
    for call in calls:
        weight = call.weight * scales[call.row["model"]] if correct else None
        result.records.append(_record(call, dataset, source, weight))
    if calls:
        result.explored = sum(call.weight > 1 for call in calls) / len(calls)
    return result


def _feedback_scorer(ledger: Ledger, feedback: Mapping[str, Mapping[str, float]], key: str | None) -> Score:
    """Scores rows by the ledger's feedback and more."""
    scores = ledger.feedback()
    for call, added in feedback.items():
        scores.setdefault(call, {}).update(added)

    def score(row: Mapping[str, Any]) -> float | None:
        by_key = {**scores.get(row["run"], {}), **scores.get(row["call"], {})}
        values = list(by_key.values()) if key is None else [by_key[key]] if key in by_key else []
        return sum(values) / len(values) if values else None

    return score


def _scored_calls(
    rows: Iterator[dict[str, Any]] | Sequence[dict[str, Any]], score: Score, correct: bool, result: LedgerRecords
) -> Iterator[_ScoredCall]:
    """The calls that can be used; counts the others in ``result``."""
    for row in rows:
        if row["status"] != "ok":
            continue
        if not row["prompt"] or not row["prompt"].strip():
            result.without_prompt += 1
            continue
        value = score(row)
        if value is None:
            result.without_score += 1
        elif correct and not row["propensity"]:
            result.without_choice += 1
        else:
            yield _ScoredCall(row, feedback_score(value), 1 / row["propensity"] if correct else 1.0)


def _weight_scale(calls: Sequence[_ScoredCall]) -> float:
    """What weights are multiplied by to sum to the effective number of answers."""
    return sum(call.weight for call in calls) / sum(call.weight**2 for call in calls)


def _logged_model(calls: Sequence[_ScoredCall]) -> LoggedModel:
    total = sum(call.weight for call in calls)
    return LoggedModel(
        calls=len(calls),
        effective=total * _weight_scale(calls),
        mean_score=sum(call.score for call in calls) / len(calls),
        corrected_score=sum(call.weight * call.score for call in calls) / total,
    )


def _record(call: _ScoredCall, dataset: str, source: str | None, weight: float | None) -> Record:
    row, model = call.row, call.row["model"]
    return Record(
        f"{row['call']}/{row['attempt']}",
        dataset,
        row["prompt"],
        {model: call.score},
        {model: _usage(row)},
        {} if weight is None else {model: weight},
        source,
    )


def _usage(row: Mapping[str, Any]) -> Usage:
    tokens = {kind: row[kind] for kind in TOKEN_KINDS}
    cost = None if row["cost_usd"] is None else float(row["cost_usd"])
    return Usage(**tokens, cost_usd=cost, seconds=row["seconds"], first_token_seconds=row["first_token_seconds"])
