"""What a collecting run asks of which models, and its result."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from .._utils.results import Result
from ..dispatch.pool import ClientProfile
from ..pricing.tariff import PriceSchedule
from ..pricing.types import TokenUsage

__all__ = ["Asker", "CollectionPlan", "CollectionResult", "ModelReply", "ModelResult", "ModelUnderTest"]


class ModelReply(msgspec.Struct, frozen=True):
    """A model's answer.

    Attributes:
        text: The text.
        usage: Tokens as the provider reports them, or None if it reports none.
        tool_calls: Calls of tools, each with ``name`` and ``args``.
    """

    text: str
    usage: TokenUsage | None
    tool_calls: list[dict[str, Any]] = []


def _not_here(prompt: Any) -> ModelReply:
    raise NotImplementedError("this model can be asked in an event loop only")


class Asker(Protocol):
    """Sends one prompt to a model."""

    def __call__(self, prompt: Any, tools: Sequence[dict[str, Any]] = (), /) -> Awaitable[ModelReply]:
        """Send a prompt.

        Args:
            prompt: The prompt, or a list of the framework's messages.
            tools: Tools that the model may call, in OpenAI's form.
        """


@dataclass(frozen=True)
class ModelUnderTest:
    """A model to ask.

    Attributes:
        id: Its name in the records.
        profile: Its provider and name, as the client reports them.
        ask: Sends one prompt, and the tools that the model may call.
        call: Sends one prompt without an event loop.
        tariff: What its tokens cost.
    """

    id: str
    profile: ClientProfile
    ask: Asker
    tariff: PriceSchedule
    call: Callable[[Any], ModelReply] = _not_here


@dataclass(frozen=True)
class CollectionPlan:
    """How to collect answers.

    Attributes:
        grader: Name of the grader (see `make_grader`) or ``judge``. A question may name its own.
        judge: The model that grades, if the grader is ``judge``.
        concurrency: Requests in flight at a time to each provider: one number, or a number by provider.
        retries: Tries after the first, for failures that may pass.
        timeout: Seconds for each try.
        max_cost: US dollars that all runs on one journal may cost. Requests are held to it by their expected cost, so
            without ``max_tokens`` an answer that is longer than expected may exceed it.
        output_tokens: Expected output tokens of an answer if ``settings`` have no ``max_tokens``, until a model has
            given five answers; then the longest of its last 200 answers is expected.
        code_timeout: Seconds for a program that a model wrote.
        grader_timeout: Seconds that a grader may take for an answer. One that takes longer counts as failed, and a
            function of your own goes on in its thread.
        sandboxed: Whether code that models wrote must run in a sandbox; see
            `avengers_core.collecting.sandbox.run_python`.
        settings: What all answers in a journal have in common. A run with other settings is refused.

    Raises:
        ValueError: If ``max_cost`` is not a number of 0 or more.
    """

    grader: str = "exact"
    judge: ModelUnderTest | None = None
    concurrency: int | Mapping[str, int] = 8
    retries: int = 5
    timeout: float = 120.0
    max_cost: float | None = None
    output_tokens: int = 500
    code_timeout: float = 10.0
    grader_timeout: float = 60.0
    sandboxed: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.max_cost is not None and not 0 <= self.max_cost < math.inf:
            raise ValueError(f"max_cost must be 0 or more US dollars, not {self.max_cost!r}")

    def concurrency_of(self, provider: str) -> int:
        """Requests in flight at a time to a provider."""
        return self.concurrency if isinstance(self.concurrency, int) else self.concurrency.get(provider, 8)


@dataclass
class ModelResult(Result):
    """The answers of one model, over all runs on a journal.

    Attributes:
        answers: Number of answers.
        graded: Number of answers that are graded.
        questions: Number of questions; 0 for a judge.
        mean_score: Mean of the grades, or None if there are none.
        cost_usd: US dollars of the answers whose cost is known.
        unpriced: Number of answers whose cost is unknown.
        failed: Number of this run's questions that brought no answer or no grade.
        reason: Why the last of them failed.
    """

    answers: int = 0
    graded: int = 0
    questions: int = 0
    mean_score: float | None = None
    cost_usd: float = 0.0
    unpriced: int = 0
    failed: int = 0
    reason: str = ""


@dataclass
class CollectionResult(Result):
    """The result of a run.

    Attributes:
        records: Number of records that were written.
        models: Results by model.
        spent_usd: US dollars of all runs on the journal, including judges and lost requests.
        lost_requests: Requests of killed or failed runs that were never answered and may have been paid.
        lost_cost_usd: US dollars that the lost requests were expected to cost.
        capped: Whether the run ended because the next request did not fit into ``max_cost``.
    """

    records: int = 0
    models: dict[str, ModelResult] = field(default_factory=dict)
    spent_usd: float = 0.0
    lost_requests: int = 0
    lost_cost_usd: float = 0.0
    capped: bool = False

    @property
    def complete(self) -> bool:
        """Whether each model has answered each question, and each answer is graded."""
        return all(model.graded == model.questions for model in self.models.values())

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, with ``complete``."""
        return {**super().to_dict(), "complete": self.complete}
