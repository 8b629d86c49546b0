"""Ask models the questions that are worth most, update the artifact, and say what changed."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..bank import KINDS
from ..catalog.catalog import default_catalog
from ..collecting.runner import Collector
from ..collecting.types import CollectionPlan, ModelUnderTest
from ..dispatch.factory import extended_router
from ..ledger.budget import PICO
from ..pricing.types import Price, TokenUsage
from ..routing.extending import with_models
from ..routing.manifest import Artifact
from ..routing.prices import with_prices
from ..routing.router import Router
from ..routing.statistics import Array
from ..training.encoding import encode_records
from ..training.lengths import with_lengths_of
from ..training.updating import update_artifact
from .beliefs import Beliefs
from .choosing import choose_cells
from .questions import QuestionBank
from .router_beliefs import LEVEL_SCORES, beliefs_of_bank
from .types import Calibration, CalibrationPlan, ChoiceChange, KindResult

__all__ = ["calibrate", "question_costs"]

#: Half of an interval that holds 90% of a normal distribution, in standard deviations.
_HALF_WIDTH = 1.645

#: Mean score of a level's questions over all levels.
_MEAN_LEVEL = statistics.mean(LEVEL_SCORES.values())


class _Asked(NamedTuple):
    """How far a run has come.

    Attributes:
        tried: (m, j) place of the next question of each kind for each model.
        scores: By model, kind and place, the grades of the answers.
    """

    tried: NDArray[np.intp]
    scores: dict[tuple[int, int, int], float]

    def of(self, model: int, kind: int) -> list[float]:
        """The grades of a model's answers to questions of a kind."""
        return [score for (row, column, _), score in self.scores.items() if (row, column) == (model, kind)]


def calibrate(
    router: Router,
    models: Sequence[ModelUnderTest],
    records: str | Path,
    plan: CalibrationPlan,
    collection: CollectionPlan,
    *,
    prices: Mapping[str, Price] | None = None,
    progress: Callable[..., None] | None = None,
) -> tuple[Artifact, Calibration]:
    """Learn what models can do from generated questions, and put it into an artifact.

    What earlier runs on the same records did is not asked again. Each round chooses the questions whose answers are
    worth most to the router's choices; see `avengers_core.calibrating.beliefs`.

    Args:
        router: What is known so far.
        models: The models.
        records: JSON lines of records that are written; the journal is ``<records>.journal``.
        plan: Which questions to ask, and when to stop.
        collection: How to ask: the cap, the concurrency, the time limits. Its ``settings`` must hold the plan's seed.
        prices: Contract prices by id, in US dollars per million tokens.
        progress: Called with (step, done, total, note).

    Returns:
        An artifact of these models alone that knows the answers, and what was learned.

    Raises:
        CollectError: See `avengers_core.collecting.runner.collect`.
        SandboxError: If a kind needs a sandbox that does not work here.
    """
    names = [model.id for model in models]
    spellings = {model.id: _spelling(model, router) for model in models}
    base = with_prices(
        with_models(router.artifact, spellings, strict=False, score_model=router.score_model), prices or {}
    )
    before = _only(Router(base, embedder=router.embedder), names)
    bank = QuestionBank(list(plan.kinds), plan.seed)
    costs = question_costs(models, bank, collection)
    costs = np.where(np.isfinite(costs), costs, np.nan_to_num(costs).max())  # an unknown one may be the highest
    beliefs = beliefs_of_bank(before, names, costs, plan.alpha, plan.queries)
    regret_before, reason = beliefs.regret(), ""
    with Collector(bank.all(1), models, records, collection) as collector:
        asked, beliefs = _resume(beliefs, bank, models, collector, plan)
        regret = beliefs.regret()
        while not reason:
            if progress:
                note = f"regret {regret:.3f}, ${collector.spent_usd:.4f}"
                progress("calibrate", len(asked.scores), 0, note)
            left = np.maximum(plan.max_questions - asked.tried, 0)
            left[[name in collector.given_up for name in names]] = 0
            for place, model in enumerate(models):
                if model.profile.capabilities.get("tools") is False and "tools" in bank.kinds:
                    left[place, bank.kinds.index("tools")] = 0
            ended = regret <= plan.max_regret or collector.capped
            chosen = [] if ended else choose_cells(beliefs, left, plan.round_size, asked.tried)
            if regret <= plan.max_regret:
                reason = "regret"
            elif collector.capped:
                reason = "money"
            elif not chosen:
                reason = "failures" if collector.given_up and not left.any() else "questions"
            else:
                beliefs = _ask(chosen, beliefs, bank, models, collector, asked)
                regret = beliefs.regret()
        questions = [bank.question(kind, place) for kind, place in sorted({key[1:] for key in asked.scores})]
        outcome = collector.write(questions)
        results = _results(beliefs, bank, models, collector, asked)
    artifact = base
    if outcome.records:
        table = encode_records(records, router.embedder)
        artifact = with_lengths_of(update_artifact(base, table, embedder=router.embedder), table)
    after = _only(Router(artifact, embedder=router.embedder), names)
    return after.artifact, Calibration(
        alpha=plan.alpha,
        seed=plan.seed,
        models=names,
        kinds=bank.kinds,
        answers=len(asked.scores),
        spent_usd=outcome.spent_usd,
        regret_before=regret_before,
        regret=regret,
        reason=reason,
        results=results,
        changes=_changes(before, after, bank, plan),
        failed={name: result.reason for name, result in outcome.models.items() if result.failed},
    )


def question_costs(models: Sequence[ModelUnderTest], bank: QuestionBank, collection: CollectionPlan) -> Array:
    """(m, j) expected US dollars of a question of each kind, NaN if unknown.

    Args:
        models: The models.
        bank: The questions.
        collection: Says how long answers are expected to be.
    """
    inputs = [bank.input_tokens(kind) for kind in range(len(bank.kinds))]
    costs = [
        [model.tariff.cost(TokenUsage(input_tokens=round(n), output_tokens=collection.output_tokens)) for n in inputs]
        for model in models
    ]
    return np.array([[np.nan if cost is None else float(cost) for cost in row] for row in costs])


def _spelling(model: ModelUnderTest, router: Router) -> str:
    """What the catalogue calls a model that the user may have given a name of their own."""
    catalog, profile = default_catalog(), model.profile
    spellings = (model.id, f"{profile.provider}:{profile.name}", profile.name)
    return next((one for one in spellings if one in router.models or catalog.knows(one)), model.id)


def _only(router: Router, names: Sequence[str]) -> Router:
    """The router over these models alone."""
    return extended_router(router, {name: name for name in names})


def _resume(
    beliefs: Beliefs,
    bank: QuestionBank,
    models: Sequence[ModelUnderTest],
    collector: Collector,
    plan: CalibrationPlan,
) -> tuple[_Asked, Beliefs]:
    """What the journal holds already, and the beliefs that follow from it."""
    asked = _Asked(np.zeros(beliefs.cells.cost.shape, dtype=np.intp), {})
    known = collector.journal.answered()
    answered = [
        (bank.question(kind, place), model)
        for model in models
        if known[model.id]
        for kind in range(len(bank.kinds))
        for place in range(plan.max_questions)
        if bank.question(kind, place).key in known[model.id]
    ]
    collector.ask(answered)  # grades what a run that was killed had not graded yet
    for row, model in enumerate(models):
        if not known[model.id]:
            continue
        for kind in range(len(bank.kinds)):
            for place in range(plan.max_questions):
                question = bank.question(kind, place)
                if question.key not in known[model.id]:
                    continue  # a run that was cut off leaves gaps, which are filled first
                if asked.tried[row, kind] == place:
                    asked.tried[row, kind] += 1
                beliefs = _learn(beliefs, bank, collector, asked, row, model, kind, place)
    return asked, beliefs


def _ask(
    chosen: Sequence[tuple[int, int]],
    beliefs: Beliefs,
    bank: QuestionBank,
    models: Sequence[ModelUnderTest],
    collector: Collector,
    asked: _Asked,
) -> Beliefs:
    """Ask the next questions of these cells; returns the beliefs that follow from the answers."""
    new: list[tuple[int, int, int]] = []
    for row, kind in chosen:
        new.append((row, kind, int(asked.tried[row, kind])))
        asked.tried[row, kind] += 1
    collector.ask([(bank.question(kind, place), models[row]) for row, kind, place in new])
    for row, kind, place in new:
        beliefs = _learn(beliefs, bank, collector, asked, row, models[row], kind, place)
    return beliefs


def _learn(
    beliefs: Beliefs,
    bank: QuestionBank,
    collector: Collector,
    asked: _Asked,
    row: int,
    model: ModelUnderTest,
    kind: int,
    place: int,
) -> Beliefs:
    """The beliefs after the answer to a question, if it is graded."""
    score = collector.grade(bank.question(kind, place), model.id)
    if score is None or (row, kind, place) in asked.scores:
        return beliefs
    asked.scores[row, kind, place] = score
    return beliefs.observe(row, kind, score, LEVEL_SCORES[bank.level(place)] - _MEAN_LEVEL)


def _results(
    beliefs: Beliefs,
    bank: QuestionBank,
    models: Sequence[ModelUnderTest],
    collector: Collector,
    asked: _Asked,
) -> list[KindResult]:
    expected, deviation = beliefs.expected()
    results = []
    for row, model in enumerate(models):
        for kind, name in enumerate(bank.kinds):
            scores = asked.of(row, kind)
            found = [collector.journal.answer(question.key, model.id) for question in bank.made(kind)]
            answers = [answer for answer in found if answer is not None]
            costs = [answer.cost_pico / PICO for answer in answers if answer.cost_pico is not None]
            center, half = float(expected[row, kind]), _HALF_WIDTH * float(deviation[row, kind])
            results.append(
                KindResult(
                    model=model.id,
                    kind=name,
                    answers=len(scores),
                    mean_score=statistics.mean(scores) if scores else None,
                    expected=center,
                    low=max(center - half, 0.0),
                    high=min(center + half, 1.0),
                    cost_usd=statistics.mean(costs) if costs else None,
                    seconds=statistics.median(answer.seconds for answer in answers) if answers else None,
                )
            )
    return results


def _changes(before: Router, after: Router, bank: QuestionBank, plan: CalibrationPlan) -> list[ChoiceChange]:
    """What the router does with other questions of each kind, and with the user's queries."""
    groups = {
        KINDS[name].task: [bank.question(kind, plan.max_questions + place).query for place in range(8)]
        for kind, name in enumerate(bank.kinds)
    }
    if plan.queries:
        groups = {"your queries": list(plan.queries), **groups}
    return [_change(name, texts, before, after, plan.alpha) for name, texts in groups.items()]


def _change(name: str, texts: list[str], before: Router, after: Router, alpha: float) -> ChoiceChange:
    old, new = before.route_many(texts, alpha=alpha), after.route_many(texts, alpha=alpha)
    formerly = [decision.candidates.index(one.model) for one, decision in zip(old, new, strict=True)]
    now = [decision.candidates.index(decision.model) for decision in new]
    scores, costs = np.stack([decision.scores for decision in new]), np.stack([decision.costs for decision in new])
    rows, best = np.arange(len(texts)), int(scores.mean(axis=0).argmax())
    return ChoiceChange(
        queries=name,
        number=len(texts),
        before=_shares([decision.model for decision in old]),
        after=_shares([decision.model for decision in new]),
        score_before=float(scores[rows, formerly].mean()),
        score_after=float(scores[rows, now].mean()),
        cost_before=_known(costs[rows, formerly].mean()),
        cost_after=_known(costs[rows, now].mean()),
        best_single=new[0].candidates[best],
        best_single_cost=_known(costs[:, best].mean()),
        best_single_score=float(scores[:, best].mean()),
    )


def _shares(chosen: Sequence[str]) -> dict[str, float]:
    return {name: count / len(chosen) for name, count in Counter(chosen).most_common()}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
