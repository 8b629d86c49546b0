"""Ask other models users' requests, judge all answers, and write records that `update_artifact` takes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._utils.files import user_path
from .._utils.loops import run_async
from ..collecting.graders import make_grader
from ..collecting.questions import Question
from ..collecting.reporting import usage_of
from ..collecting.runner import Collector
from ..collecting.types import CollectionPlan, ModelUnderTest
from ..errors import CollectError
from ..ledger.budget import PICO
from ..records.io import write_records
from ..records.schema import Record
from .judging import Comparison, bias_of, compare_all
from .types import JudgeBias, ShadowModel, ShadowRequest, ShadowResult

__all__ = ["shadow"]


def shadow(
    requests: Sequence[ShadowRequest],
    models: Sequence[ModelUnderTest],
    output: str | Path,
    plan: CollectionPlan,
    *,
    dataset: str = "shadow",
    progress: Callable[..., None] | None = None,
) -> ShadowResult:
    """Ask each model each request, judge the answers together with the one that was given, and write records.

    A score is the share of an answer's comparisons with the others that it won, a tie counting half; or the grade, if
    the plan's grader is a function of the user's. What earlier runs on the same output did is not repeated.

    Args:
        requests: What users asked.
        models: The models. One that gave an answer itself is not asked that request again.
        output: JSON lines of records. The journal is ``<output>.journal``; it holds the texts of the answers.
        plan: How to ask and to judge: its grader is ``judge``, with a model that compares, or a function
            ``(answer, question) -> score`` as ``module:function``.
        dataset: Name of the records' dataset.
        progress: Called with (step, done, total, note).

    Raises:
        CollectError: If there is neither a judge nor a grader, or see `avengers_core.collecting.runner.collect`.
    """
    if plan.grader != "judge" and ":" not in plan.grader:
        raise CollectError(
            "answers of users have no reference: give a judge, or a grader of your own (module:function)"
        )
    if plan.grader == "judge" and plan.judge is None:
        raise CollectError("say which model judges, or give a grader of your own (module:function)")
    source = f"judged by {plan.judge.id}" if plan.judge is not None else f"graded by {plan.grader}"
    questions = [
        Question(request.query, None, request.index or str(place), dataset, request.prompt, source=source)
        for place, request in enumerate(requests)
    ]
    given = {question.key: request for question, request in zip(questions, requests, strict=True) if request.answer}
    pairs = [
        (question, model)
        for question in questions
        for model in models
        if question.key not in given or given[question.key].model != model.id
    ]
    with Collector(questions, models, output, plan) as collector:
        collector.ask(pairs, progress, graded=False)
        answers = _answers(collector, questions, models, given)
        if plan.judge is not None:
            limit = plan.concurrency_of(plan.judge.profile.provider)
            compared = run_async(compare_all(collector, plan.judge, questions, answers, limit))
            scores = {key: _won(found) for key, found in compared.items()}
            bias = _bias(compared, plan.judge, models)
        else:
            scores, bias = _graded(questions, answers, plan), None
        records = _records(collector, questions, scores, source)
        result = ShadowResult(
            requests=len(requests),
            records=len(records),
            spent_usd=collector.spent_usd,
            capped=collector.capped,
            models=_by_model(collector, questions, scores),
            bias=bias,
            failed=collector.failed,
        )
    if records:
        write_records(user_path(output), records)
    return result


def _answers(
    collector: Collector,
    questions: Sequence[Question],
    models: Sequence[ModelUnderTest],
    given: Mapping[str, ShadowRequest],
) -> dict[str, dict[str, str]]:
    """All answers, by a question's key and a model's id."""
    found: dict[str, dict[str, str]] = {}
    for question in questions:
        texts = found.setdefault(question.key, {})
        for model in models:
            answer = collector.journal.answer(question.key, model.id)
            if answer is not None:
                texts[model.id] = answer.text
        if question.key in given:
            request = given[question.key]
            texts[request.model or "given"] = request.answer
    return found


def _won(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """The share of its comparisons that each model's answer won."""
    scores: dict[str, list[float]] = {}
    for one in comparisons:
        scores.setdefault(one.one, []).append(one.score)
        scores.setdefault(one.two, []).append(1 - one.score)
    return {model: statistics.mean(values) for model, values in scores.items()}


def _graded(
    questions: Sequence[Question], answers: Mapping[str, Mapping[str, str]], plan: CollectionPlan
) -> dict[str, dict[str, float]]:
    grader = make_grader(plan.grader)
    return {
        question.key: {model: grader(text, question) for model, text in answers[question.key].items()}
        for question in questions
    }


def _bias(
    compared: Mapping[str, Sequence[Comparison]], judge: ModelUnderTest, models: Sequence[ModelUnderTest]
) -> JudgeBias:
    own = [model.id for model in models if model.profile.provider == judge.profile.provider]
    return bias_of([one for found in compared.values() for one in found], own)


def _records(
    collector: Collector,
    questions: Sequence[Question],
    scores: Mapping[str, Mapping[str, float]],
    source: str,
) -> list[Record]:
    """The records of the answers that have a score and whose model has a name."""
    records = []
    for question in questions:
        found = {model: score for model, score in scores.get(question.key, {}).items() if model != "given"}
        usages: dict[str, Any] = {}
        for model in found:
            answer = collector.journal.answer(question.key, model)
            if answer is not None:
                usages[model] = usage_of(answer)
        if found:
            records.append(Record(question.index, question.dataset, question.query, dict(found), usages, source=source))
    return records


def _by_model(
    collector: Collector,
    questions: Sequence[Question],
    scores: Mapping[str, Mapping[str, float]],
) -> dict[str, ShadowModel]:
    models: dict[str, ShadowModel] = {}
    values: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for question in questions:
        for name, score in scores.get(question.key, {}).items():
            model = models.setdefault(name, ShadowModel())
            model.answers += 1
            values.setdefault(name, []).append(score)
            answer = collector.journal.answer(question.key, name)
            if answer is None:
                model.given += 1
            else:
                model.cost_usd += (answer.cost_pico or 0) / PICO
                seconds.setdefault(name, []).append(answer.seconds)
    for name, model in models.items():
        model.score = statistics.mean(values[name])
        model.seconds = statistics.mean(seconds[name]) if name in seconds else None
    return dict(sorted(models.items(), key=lambda item: -(item[1].score or 0.0)))
