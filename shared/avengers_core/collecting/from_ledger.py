"""Records from production: logged calls with feedback, weighted so that the router's own choices do not bias them.

A router sends a model the queries that it expects it to answer well, so its mean score over logged calls is not its
mean score over all queries. Where the router explores, each choice has a known probability, and weights of one over it
correct this (inverse propensity scoring; Horvitz and Thompson 1952, self-normalised as in Swaminathan and Joachims
2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..errors import RecordError
from ..ledger.entry import feedback_score
from ..ledger.store import Ledger
from ..records.schema import TOKEN_KINDS, Record, Usage

Score = Callable[[Mapping[str, Any]], "float | bool | str | None"]


@dataclass
class LoggedModel:
    """Scored calls of one model.

    Attributes:
        calls: with a score. effective: independent answers that they are worth, ``(sum w)^2 / sum w^2``.
        mean_score: plain mean of the scores. corrected_score: mean with the weights.
    """

    calls: int
    effective: float
    mean_score: float
    corrected_score: float


@dataclass
class LedgerRecords:
    """What became of a ledger's calls.

    Attributes:
        records: one a scored call. explored: share of the scored calls' choices that had a probability below 1.
        without_prompt, without_score, without_choice: answered calls that were left out: their text was not kept,
            nobody scored them, or the router did not choose their model (fallbacks, steps of tool loops, old rows).
        models: by id.
    """

    records: list[Record] = field(default_factory=list)
    explored: float = 0.0
    without_prompt: int = 0
    without_score: int = 0
    without_choice: int = 0
    models: dict[str, LoggedModel] = field(default_factory=dict)


def read_feedback(path: str | Path) -> dict[str, dict[str, float]]:
    """Scores by call or run and key, from JSON lines such as LangSmith's: ``{"run_id", "key", "score"}``.

    Raises:
        RecordError: names the file, the line and the field of the first fault.
    """
    found: dict[str, dict[str, float]] = {}
    try:
        lines = Path(path).read_bytes().splitlines()
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
                found.setdefault(call, {})[str(row.get("key", "user"))] = feedback_score(row["score"])
        except (msgspec.DecodeError, ValueError) as error:
            raise RecordError(f"{path}:{number}: {error}") from None
    return found


def records_from_ledger(
    ledger: Ledger,
    *,
    key: str | None = None,
    score: Score | None = None,
    feedback: Mapping[str, Mapping[str, float]] | None = None,
    since: str | None = None,
    until: str | None = None,
    dataset: str = "live",
    correct: bool = True,
) -> LedgerRecords:
    """Records of the answered calls whose text was kept and that have a score.

    Args:
        key: which feedback counts; default: the mean over all keys.
        score: called with a row of `Ledger.entries`, in place of feedback; None leaves the row out.
        feedback: scores by call or run and key, over the ledger's own.
        since, until: first and last day, ``2026-11-24``.
        dataset: name of the records' dataset.
        correct: weight each answer by one over its choice's probability, each model's weights scaled to sum to its
            effective number of answers. Rows whose probability is unknown are left out then.
    """
    harvest = LedgerRecords()
    told = ledger.feedback() if score is None else {}
    for call, scores in (feedback or {}).items():
        told.setdefault(call, {}).update(scores)
    kept: list[tuple[dict[str, Any], float, float]] = []
    for row in ledger.entries(since, until):
        if row["status"] != "ok":
            continue
        if not row["prompt"] or not row["prompt"].strip():
            harvest.without_prompt += 1
            continue
        value = _score(row, told, key) if score is None else score(row)
        if value is None:
            harvest.without_score += 1
            continue
        propensity = row["propensity"]
        if correct and not propensity:
            harvest.without_choice += 1
            continue
        kept.append((row, feedback_score(value), 1 / propensity if correct else 1.0))
    weights: dict[str, list[float]] = {}
    for row, _, weight in kept:
        weights.setdefault(row["model"], []).append(weight)
    scale = {model: sum(w) / sum(one * one for one in w) for model, w in weights.items()}
    for row, value, weight in kept:
        model = row["model"]
        harvest.records.append(
            Record(
                f"{row['call']}/{row['attempt']}",
                dataset,
                row["prompt"],
                {model: value},
                {model: _usage(row)},
                {model: weight * scale[model]} if correct else {},
            )
        )
    for model, w in sorted(weights.items()):
        values = [value for row, value, _ in kept if row["model"] == model]
        harvest.models[model] = LoggedModel(
            len(w),
            sum(w) ** 2 / sum(one * one for one in w),
            sum(values) / len(values),
            sum(one * value for one, value in zip(w, values, strict=True)) / sum(w),
        )
    if kept:
        harvest.explored = sum(weight > 1 for _, _, weight in kept) / len(kept)
    return harvest


def _score(row: Mapping[str, Any], told: Mapping[str, Mapping[str, float]], key: str | None) -> float | None:
    scores = {**told.get(row["run"], {}), **told.get(row["call"], {})}
    values: Iterable[float] = scores.values() if key is None else [scores[key]] if key in scores else []
    values = list(values)
    return sum(values) / len(values) if values else None


def _usage(row: Mapping[str, Any]) -> Usage:
    tokens = {kind: row[kind] for kind in TOKEN_KINDS}
    cost = None if row["cost_usd"] is None else float(row["cost_usd"])
    return Usage(**tokens, cost_usd=cost)
