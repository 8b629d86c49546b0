"""A planned call and its attempts."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from types import TracebackType
from typing import Any, Generic

from .._utils.threads import off_loop
from ..errors import BudgetError, LedgerError, UnavailableError
from ..ledger.budget import picodollars
from ..ledger.entry import Entry, now
from ..ledger.reservation import Reservation
from ..ledger.writer import wait, wait_async
from ..pricing.types import TokenUsage
from ..routing.capabilities import LENIENT, lacking
from ..routing.decision import Decision, new_id
from ..routing.options import RouteOptions
from .context import DispatchContext
from .deadlines import Deadline
from .failures import FALLBACK, MAY_BE_CHARGED, OTHER_PROVIDER, RESTING, TRANSIENT, failure_kind
from .options import CallLabels, Prompt
from .pool import M, PoolModel
from .stickiness import has_choice
from .telemetry import AttemptFacts, AttemptSpan, OwnSpans

__all__ = ["Attempt", "Call", "Outcome"]

log = logging.getLogger("avengers")

#: Characters of a token, to count what was streamed.
CHARACTERS_PER_TOKEN = 3.5

#: How loud a failure is logged, and in which words.
_REPORTS = {
    "auth": (logging.ERROR, "refused its key: other providers are asked in its place"),
    "not_found": (logging.ERROR, "is not known to its provider, which may have retired it"),
    "too_long": (logging.WARNING, "cannot take so long a request"),
    "refused": (logging.WARNING, "does not take this request; nothing was sent"),
}


@dataclass
class Outcome(Generic[M]):
    """How an attempt went. A call keeps these rather than its attempts, so that one that succeeds has no cycles.

    Attributes:
        member: The model.
        status: How it ended: ``ok``, a kind of `failure_kind`, or ``cancelled``; empty until then.
        error: What it failed with, or None.
    """

    member: PoolModel[M]
    status: str = ""
    error: BaseException | None = None


class Call(Generic[M]):
    """A planned call; iterating it gives the attempts.

    Attributes:
        id: Shared by its attempts in the ledger.
        context: What it stands on.
        decision: What the router chose.
        model: Id of the model that is asked first.
        prompt: The request.
        options: How the model was chosen.
        labels: What it is filed under in the ledger.
        outcomes: How the attempts so far went.
        own_spans: What our own spans of the attempts say.
    """

    def __init__(
        self,
        context: DispatchContext[M],
        decision: Decision,
        model: str,
        prompt: Prompt,
        options: RouteOptions,
        labels: CallLabels,
    ) -> None:
        self.id = new_id()
        self.context = context
        self.decision = decision
        self.model = model
        self.prompt = prompt
        self.options = options
        self.labels = labels
        self.outcomes: list[Outcome[M]] = []
        self._place = 0
        self.own_spans = OwnSpans.WHOLE

    @property
    def first(self) -> PoolModel[M]:
        """The model that is asked first."""
        return self.context.pool.get(self.model)

    @cached_property
    def order(self) -> list[str]:
        """Ids of the models that may be asked, in order. The ranking is only looked at if the first one fails."""
        allowed, decision = self.options.fallbacks, self.decision
        if isinstance(allowed, (bool, int)):
            rest = [name for name in decision.ranking if name != self.model]
            return [self.model, *(rest if allowed is True else rest[: int(allowed)])]
        return [self.model, *(name for name in allowed if name != self.model and name in decision.candidates)]

    def __iter__(self) -> Iterator[Attempt[M]]:
        """Attempts, until one is finished.

        Raises:
            BudgetError: If other calls have used up what was left when this one was planned.
            Exception: What the models failed with, if none answered.
        """
        self._begin()
        while (attempt := self._next()) is not None:
            yield attempt
            if attempt.error is None:
                return
        raise self._failure()

    async def __aiter__(self) -> AsyncIterator[Attempt[M]]:
        """`__iter__` that does not hold up the event loop."""
        self._begin()
        while (attempt := await off_loop(self._next, blocks=self._may_block(), undo=_give_back)) is not None:
            yield attempt
            if attempt.error is None:
                return
        raise self._failure()

    def _begin(self) -> None:
        if self.outcomes:  # the ledger has rows under the id already
            self.id = new_id()
        self.outcomes, self._place = [], 0

    def _waiting(self) -> str | None:
        """The id of the next model, None if there is none."""
        if self._place == 0:
            return self.model
        return self.order[self._place] if self._place < len(self.order) else None

    def _may_block(self) -> bool:
        """Whether the next attempt may need a database, or a model that is not made yet."""
        limited = self.context.budget_store.blocks and self.options.budget.adds_up
        name = self._waiting()
        return limited or not (name is None or self.context.pool.is_made(name))

    def _next(self) -> Attempt[M] | None:
        """The attempt of the next model that can be asked, with its money set aside; None if there is none."""
        without_key = {outcome.member.provider for outcome in self.outcomes if outcome.status in OTHER_PROVIDER}
        while (name := self._waiting()) is not None:
            self._place += 1
            try:
                member = self.context.pool.get(name)
            except UnavailableError:
                continue
            if member.provider in without_key or lacking(member.capabilities, self.prompt.requirements, LENIENT):
                continue
            attempt = Attempt(self, Outcome(member), len(self.outcomes))
            if attempt.reserve():
                self.outcomes.append(attempt.outcome)
                return attempt
        return None

    def _failure(self) -> BaseException:
        """The error to raise if no attempt was answered: the first of a kind that passes, or else the first."""
        if not self.outcomes:
            return BudgetError(f"the budget ({self.options.budget}) was used up by other calls in flight")
        failed = [outcome for outcome in self.outcomes if outcome.error is not None]
        told = next((outcome for outcome in failed if outcome.status in TRANSIENT), failed[0])
        assert told.error is not None
        return told.error

    @property
    def propensity(self) -> float | None:
        """Probability that the router makes this choice, or None if it did not decide alone."""
        if self.model != self.decision.model or not has_choice(self.decision, self.prompt, sticky=self.options.sticky):
            return None
        return self.decision.propensity

    def expected_cost(self, model: str) -> float:
        """Expected US dollars of a candidate, NaN if unknown."""
        return float(self.decision.costs[self.decision.candidates.index(model)])


class Attempt(Generic[M]):
    """One try of one model.

    A context manager around the model's own call: it prices and records the attempt, and swallows an error if another
    model may be asked instead.

    Attributes:
        call: The call that it belongs to.
        outcome: How it went.
        number: 0 for the first attempt of the call.
        begun: Whether a part of a stream was passed on; no other model is tried after that. See `begin`.
        first_token_seconds: Seconds until then, None if nothing was streamed.
        started: When it began (UTC).
        usage: Tokens reported by the provider, None if there are none.
        cost_usd: US dollars, None if unknown.
        deadline: How long it may take.
        response_model: Name that the model answered under, empty if unknown.
        facts: What tracing tools are told of it.
    """

    def __init__(self, call: Call[M], outcome: Outcome[M], number: int) -> None:
        self.call = call
        self.outcome = outcome
        self.number = number
        self.begun = False
        self.first_token_seconds: float | None = None
        self.started = now()
        self.usage: TokenUsage | None = None
        self.cost_usd: Decimal | None = None
        self.response_model = ""
        self.deadline = Deadline()
        self._streamed = 0
        self._finished = False
        self._clock = time.perf_counter()
        decision, member = call.decision, outcome.member
        self.facts = AttemptFacts(
            member.id, member.name, member.provider, decision.alpha, number, call.id, decision.id, decision.explain
        )
        self._span = AttemptSpan(self.facts, call.own_spans)
        self._reservation = Reservation(
            call.context.budget_store, call.options.budget, call.labels.session, self.expected_cost
        )

    @property
    def member(self) -> PoolModel[M]:
        """The model."""
        return self.outcome.member

    @property
    def error(self) -> BaseException | None:
        """What it failed with, or None."""
        return self.outcome.error

    @property
    def expected_cost(self) -> float:
        """Expected US dollars, NaN if unknown."""
        return self.call.expected_cost(self.member.id)

    def reserve(self) -> bool:
        """Set the expected cost aside; False if the budget does not allow it."""
        return self._reservation.take()

    def give_back(self) -> None:
        """Give back what was set aside, because the attempt will not be made."""
        try:
            self._reservation.give_back()
        except LedgerError as failure:
            log.error("%s (call %s)", failure, self.call.id)

    def __enter__(self) -> Attempt[M]:
        self.started = now()
        self._clock = time.perf_counter()
        self.deadline = Deadline(self.call.context.attempt_timeout, self.member.silence)
        self._span.start()
        return self

    def begin(self) -> None:
        """Say that the first part of a stream is about to be passed on."""
        self.begun = True
        self.first_token_seconds = time.perf_counter() - self._clock

    def finish(self, usage: TokenUsage | None, model: str = "", *, cached: bool = False) -> None:
        """Say that the model has answered.

        Args:
            usage: Tokens reported by the provider, or None. Tokens that cannot be are taken for unknown.
            model: Name that the model answered under, if the provider tells it.
            cached: Whether the answer came from a framework's cache, so that nothing was asked or paid.
        """
        self._finished = True
        self.response_model = model
        if cached:
            self.cost_usd = Decimal(0)
            return
        if usage is not None and not usage.plausible:
            log.warning("%s reported tokens that cannot be: %s", self.member.id, usage)
            usage = None
        self.usage = usage
        self.cost_usd = self.member.price_schedule.cost(usage)

    def count(self, characters: int) -> None:
        """Count what was streamed, for a stream that ends before the provider tells its tokens.

        Args:
            characters: Characters of a part.
        """
        self._streamed += characters

    @property
    def counted_cost(self) -> Decimal | None:
        """US dollars of the request and of what was streamed so far, by count; None if unknown."""
        tokens = round(self._streamed / CHARACTERS_PER_TOKEN)
        usage = TokenUsage(input_tokens=max(round(self.call.prompt.tokens), 1), output_tokens=tokens)
        return self.member.price_schedule.cost(usage) if self._streamed else None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        status = self._close(error)
        try:
            wait(self._record(status, waits=True))
        except Exception as failure:
            self._log_unrecorded(failure)
        return self._ends(status, error)

    async def __aenter__(self) -> Attempt[M]:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        status = self._close(error)
        try:
            done = self._record(status, waits=False)
            if isinstance(error, asyncio.CancelledError):  # what is awaited now may be cancelled again
                return False
            await wait_async(done)
        except Exception as failure:
            self._log_unrecorded(failure)
        return self._ends(status, error)

    def _log_unrecorded(self, failure: Exception) -> None:
        """Say that the ledger has no row. The answer is paid for, and raising would have it asked again."""
        told = failure if isinstance(failure, LedgerError) else f"it could not be recorded ({type(failure).__name__})"
        log.error("%s (call %s)", told, self.call.id)

    def _ends(self, status: str, error: BaseException | None) -> bool:
        """Whether an error is swallowed, because another model is asked."""
        cooldowns = self.call.context.cooldowns
        if status == "ok":
            cooldowns.succeed(self.member.id)
            return False
        if status not in FALLBACK or error is None:
            return False
        if status in RESTING:
            cooldowns.fail(self.member.id, error, gone=status == "not_found")
        level, what = _REPORTS.get(status, (logging.WARNING, "failed"))
        log.log(level, "%s %s (%s, %s)", self.member.id, what, status, type(self.error).__name__)
        return not self.begun

    def _close(self, error: BaseException | None) -> str:
        """How it ended: the status."""
        outcome = self.outcome
        if self._finished:  # what fails now, such as a callback, does not undo a paid answer
            outcome.status = "ok"
        else:
            outcome.error = error if error is not None else RuntimeError("attempt.finish was not called")
            outcome.status = failure_kind(error) if isinstance(error, Exception) else "cancelled"
        return outcome.status

    def _record(self, status: str, *, waits: bool) -> Future[None] | None:
        try:
            return self._reservation.settle(lambda: self._entry(status), waits=waits)
        finally:
            seconds = time.perf_counter() - self._clock
            self._span.end(
                self.usage, self.cost_usd, self.response_model, self.error, seconds, self.first_token_seconds
            )

    def _entry(self, status: str) -> Entry:
        call, decision, member = self.call, self.call.decision, self.member
        charged = self._finished or self.begun or status in MAY_BE_CHARGED
        return Entry(
            time=self.started,
            call=call.id,
            decision=decision.id,
            attempt=self.number,
            model=member.id,
            provider=member.provider,
            status=status,
            alpha=decision.alpha,
            session=call.labels.session,
            run=call.labels.run,
            tags=list(call.labels.tags),
            error=type(self.error).__name__ if self.error is not None else "",
            usage=self.usage,
            cost_pico=picodollars(self.cost_usd) if charged else 0,
            expected_cost_pico=picodollars(self.expected_cost),
            counted_pico=picodollars(self.counted_cost),
            seconds=time.perf_counter() - self._clock,
            first_token_seconds=self.first_token_seconds,
            prompt=call.prompt.text,
            artifact=call.context.artifact,
            cluster=decision.cluster,
            similarity=decision.similarity,
            propensity=call.propensity if member.id == call.model else None,
            cooldown_seconds=self._cooldown(status),
            describe_decision=decision.summary_json,
        )

    def _cooldown(self, status: str) -> float | None:
        """Seconds for which the model is not asked after this attempt, None if it may be."""
        if status not in RESTING or self.error is None:
            return None
        return self.call.context.cooldowns.duration(self.error, gone=status == "not_found")

    def summary(self) -> dict[str, Any]:
        """What an answer's metadata says of the choice: plain values, for JSON."""
        decision, member = self.call.decision, self.member
        best = decision.best_single
        pool = self.call.context.pool
        expected_seconds = float(decision.seconds[decision.candidates.index(member.id)])
        best_cost = self.cost_usd if best == member.id else pool.price_schedule(best).cost(self.usage)
        return {
            "model": member.id,
            "provider": member.provider,
            "alpha": decision.alpha,
            "expected_score": float(decision.scores[decision.candidates.index(member.id)]),
            "expected_cost_usd": self.expected_cost if math.isfinite(self.expected_cost) else None,
            "expected_seconds": expected_seconds if math.isfinite(expected_seconds) else None,
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "decision_id": decision.id,
            "call_id": self.call.id,
            "attempts": [
                {"model": outcome.member.id, "error": type(outcome.error).__name__ if outcome.error else None}
                for outcome in self.call.outcomes
            ],
            "best_single": {"model": best, "cost_usd": None if best_cost is None else float(best_cost)},
        }


def _give_back(attempt: Attempt[Any] | None) -> None:
    if attempt is not None:
        attempt.give_back()
