"""How to calibrate, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .._utils.results import Result

__all__ = ["Calibration", "CalibrationPlan", "ChoiceChange", "KindResult"]


@dataclass(frozen=True)
class CalibrationPlan:
    """Which questions to ask, and when to stop.

    Attributes:
        alpha: The alpha that choices are made with, from 0 (cost only) to 1 (quality only).
        kinds: Names of the kinds of questions; see `avengers_core.bank.KINDS`.
        seed: Another seed gives other questions.
        max_regret: Points of score that the best choices may be expected to gain over those that look best; the run
            ends when it is less.
        max_questions: Questions of each kind that a model is asked at most.
        round_size: Questions that are chosen at a time.
        queries: What users ask, which the choices are for. Default: queries like those that the router was trained
            with.

    Raises:
        ValueError: If a value is out of its range.
    """

    alpha: float
    kinds: Sequence[str]
    seed: int
    max_regret: float = 0.02
    max_questions: int = 40
    round_size: int = 16
    queries: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("kinds: give at least one")
        if not 0 <= self.max_regret < 1:
            raise ValueError(f"max_regret must be a number of points of score from 0 to 1, not {self.max_regret!r}")
        if self.max_questions < 1 or self.round_size < 1:
            raise ValueError("max_questions and round_size must be at least 1")


@dataclass(frozen=True)
class KindResult(Result):
    """What is known of a model on a kind of questions.

    Attributes:
        model: Id of the model.
        kind: Name of the kind.
        answers: Graded answers.
        mean_score: Their mean score, None if there are none.
        expected: Expected score on questions of the kind, of which an equal number has each level.
        low: Lower end of the interval that holds it with a probability of 90%.
        high: Its upper end.
        cost_usd: Mean US dollars of an answer, None if unknown.
        seconds: Median seconds of an answer, None if there are none.
    """

    model: str
    kind: str
    answers: int
    mean_score: float | None
    expected: float
    low: float
    high: float
    cost_usd: float | None
    seconds: float | None


@dataclass(frozen=True)
class ChoiceChange(Result):
    """What the router does with some queries, before and after.

    Attributes:
        queries: What they are.
        number: How many.
        before: Share of them by model, largest first, as the router chose before.
        after: The same as it chooses now.
        score_before: Expected score of the former choices, by what is known now.
        score_after: Expected score of the choices now.
        cost_before: Expected US dollars a query of the former choices, None if unknown.
        cost_after: Expected US dollars a query of the choices now, None if unknown.
        best_single: The model with the best expected score over them, by what is known now.
        best_single_cost: Expected US dollars a query if all went to it, None if unknown.
        best_single_score: Expected score if all went to it.
    """

    queries: str
    number: int
    before: dict[str, float]
    after: dict[str, float]
    score_before: float
    score_after: float
    cost_before: float | None
    cost_after: float | None
    best_single: str
    best_single_cost: float | None
    best_single_score: float


@dataclass(frozen=True)
class Calibration(Result):
    """The result of a run.

    Attributes:
        alpha: The alpha that choices are made with.
        seed: Seed of the questions.
        models: Ids of the models.
        kinds: Names of the kinds.
        answers: Graded answers of all runs on the journal.
        spent_usd: US dollars of all runs on the journal.
        regret_before: Expected regret before the first question, in points of score.
        regret: Expected regret now.
        reason: Why the run ended: ``regret``, ``money``, ``questions`` (none is left that could change a choice) or
            ``failures``.
        results: What is known of each model on each kind.
        changes: What the router does with other queries now.
        failed: Why models failed last, by id.
    """

    alpha: float
    seed: int
    models: list[str]
    kinds: list[str]
    answers: int
    spent_usd: float
    regret_before: float
    regret: float
    reason: str
    results: list[KindResult]
    changes: list[ChoiceChange]
    failed: dict[str, str] = field(default_factory=dict)

    def of(self, model: str) -> list[KindResult]:
        """What is known of one model, by kind."""
        return [result for result in self.results if result.model == model]
