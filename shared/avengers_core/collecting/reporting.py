"""From a journal to records, and to the result of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..ledger.budget import PICO
from ..records.io import write_records
from ..records.schema import TOKEN_KINDS, Record, Usage
from .failures import Failures
from .grading import grade_name
from .journal import Answer, Journal
from .questions import Question
from .types import CollectionPlan, CollectionResult, ModelResult

__all__ = ["usage_of", "write_result"]


def write_result(
    output: Path,
    journal: Journal,
    questions: Sequence[Question],
    models: Sequence[str],
    plan: CollectionPlan,
    failures: Failures,
) -> CollectionResult:
    """Write the records of all graded answers, and sum up the run.

    Args:
        output: The file of records. It is not written if there is no record.
        journal: The answers and grades.
        questions: The questions.
        models: Ids of the models.
        plan: The plan of the run.
        failures: The failures of the run.
    """
    results = {model: ModelResult(questions=len(questions)) for model in models}
    scores: dict[str, list[float]] = {model: [] for model in models}
    records = [_record(journal, question, plan, results, scores) for question in questions]
    records = [record for record in records if record.records]
    for model, values in scores.items():
        results[model].mean_score = sum(values) / len(values) if values else None
    for model, count in failures.counts.items():
        result = results.setdefault(model, ModelResult())  # a judge, if it is not among the models
        result.failed, result.reason = count, failures.reasons[model]
    if records:
        write_records(output, records)
    return CollectionResult(
        records=len(records),
        models=results,
        spent_usd=journal.spent_pico / PICO,
        lost_requests=journal.lost.number,
        lost_cost_usd=journal.lost.expected_pico / PICO,
    )


def _record(
    journal: Journal,
    question: Question,
    plan: CollectionPlan,
    results: dict[str, ModelResult],
    scores: dict[str, list[float]],
) -> Record:
    """The record of a question's graded answers; adds the answers to ``results`` and ``scores``."""
    name = grade_name(question, plan)
    source = question.source.strip() or None
    record = Record(question.index, question.dataset, question.query, {}, {}, source=source)
    for model, result in results.items():
        answer = journal.answer(question.key, model)
        if answer is None:
            continue
        result.answers += 1
        result.unpriced += answer.cost_pico is None
        result.cost_usd += (answer.cost_pico or 0) / PICO
        score = journal.grade(question.key, model, name)
        if score is not None:
            result.graded += 1
            scores[model].append(score)
            record.records[model] = score
            record.usages[model] = usage_of(answer)
    return record


def usage_of(answer: Answer) -> Usage:
    """An answer's usage. Kinds other than input and output are left out if they are 0."""
    tokens = {} if answer.usage is None else {kind: getattr(answer.usage, kind) for kind in TOKEN_KINDS}
    always = ("input_tokens", "output_tokens")
    shown = {kind: count for kind, count in tokens.items() if count or kind in always}
    return Usage(
        **shown, cost_usd=None if answer.cost_pico is None else answer.cost_pico / PICO, seconds=answer.seconds
    )
