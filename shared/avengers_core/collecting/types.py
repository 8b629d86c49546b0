"""What a run asks, whom, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..dispatch.pool import ClientProfile
from ..pricing.tariff import PriceSchedule
from ..pricing.types import TokenUsage

log = logging.getLogger("avengers")


#: Failures in a row, of the kind that asking again does not mend, after which a model is given up.
MAX_CONSECUTIVE_FAILURES = 5


#: Kinds of failures that cost nothing: the provider said that it did not answer.
UNBILLED_FAILURES = ("rate_limit", "auth", "caller", "server")


class ModelReply(msgspec.Struct, frozen=True):
    """What a model said, and the tokens that its provider reports, None where it reports none."""

    text: str
    usage: TokenUsage | None


@dataclass(frozen=True)
class ModelUnderTest:
    """A model to ask.

    Attributes:
        id: its name in the records. traits: what it says of itself.
        ask: sends one prompt. tariff: what its tokens cost.
    """

    id: str
    traits: ClientProfile
    ask: Callable[[str], Awaitable[ModelReply]]
    tariff: PriceSchedule


@dataclass(frozen=True)
class Plan:
    """How to collect.

    Attributes:
        grader: see `make_grader`, or ``judge``; questions may name their own.
        judge: who grades where the grader is ``judge``.
        concurrency: requests at a time to each provider, or by provider.
        retries: tries after the first where a failure may pass. timeout: seconds for each.
        max_cost: US dollars that all runs on one journal may cost. It is held to what requests are expected to cost, so
            without ``max_tokens`` an answer of unseen length may pass it.
        output_tokens: expected of an answer where ``settings`` have no ``max_tokens``, until a model has given five;
            then the longest of its last 200.
        code_timeout, sandboxed: for code that models write, see `avengers_core.collecting.sandbox.run_python`.
        settings: what all answers of a journal have in common, for it to check.
    """

    grader: str = "exact"
    judge: ModelUnderTest | None = None
    concurrency: int | Mapping[str, int] = 8
    retries: int = 5
    timeout: float = 120.0
    max_cost: float | None = None
    output_tokens: int = 500
    code_timeout: float = 10.0
    sandboxed: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class ModelOutcome:
    """Answers of one model, over all runs: how many, how many graded and wanted, their mean score and US dollars.

    ``unknown`` answers have no known cost; ``failed`` counts this run's questions that brought no answer, and
    ``reason`` says why the last one did not.
    """

    answers: int = 0
    graded: int = 0
    wanted: int = 0
    mean_score: float | None = None
    cost_usd: float = 0.0
    unknown: int = 0
    failed: int = 0
    reason: str = ""


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        records: how many were written. models: by id.
        spent: US dollars of all runs, judges and lost requests among them. lost: requests of killed or failed runs that
            may have been paid, and ``lost_cost`` what they may have cost.
        capped: the spend cap stopped it.
    """

    records: int = 0
    models: dict[str, ModelOutcome] = field(default_factory=dict)
    spent: float = 0.0
    lost: int = 0
    lost_cost: float = 0.0
    capped: bool = False

    @property
    def complete(self) -> bool:
        """Whether each model has answered each question, and each answer is graded."""
        return all(one.graded == one.wanted for one in self.models.values())
