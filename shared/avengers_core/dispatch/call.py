"""A planned call and its attempts."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from types import TracebackType
from typing import Any, Generic

from ..errors import BudgetError, LedgerError, UnavailableError
from ..ledger.budget import budget_scopes, fits, picodollars
from ..ledger.entry import Entry, now, spent_amount
from ..pricing.types import TokenUsage
from ..routing.capabilities import LENIENT, lacking
from ..routing.decision import Decision
from . import telemetry
from .context import DispatchContext
from .failures import TRANSIENT, failure_kind
from .options import Options, Prompt, _needs, log
from .pool import M, PoolModel


class Call(Generic[M]):
    """A planned call; iterating it gives the attempts.

    Attributes:
        id: shared by its attempts in the ledger.
        decision: of the router. order: models that may be asked, in order.
        attempts: those made so far.
    """

    def __init__(
        self,
        context: DispatchContext[M],
        decision: Decision,
        order: list[str],
        prompt: Prompt,
        options: Options,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.context = context
        self.decision = decision
        self.order = order
        self.prompt = prompt
        self.options = options
        self.attempts: list[Attempt[M]] = []

    @property
    def first(self) -> PoolModel[M]:
        """The chosen model."""
        return self.context.pool.get(self.order[0])

    def __iter__(self) -> Iterator[Attempt[M]]:
        """Attempts, until one is finished.

        Raises:
            BudgetError: other calls have used up what was left when this one was planned.
        """
        needs = _needs(self.prompt)
        waiting = list(self.order)
        self.attempts = []
        while waiting:
            try:
                member = self.context.pool.get(waiting.pop(0))
            except UnavailableError:
                continue
            if lacking(member.capabilities, needs, LENIENT):
                continue
            attempt = Attempt(self, member, len(self.attempts), last=not waiting)
            if not attempt.reserve():
                continue
            self.attempts.append(attempt)
            yield attempt
            if attempt.error is None:
                return
        if self.attempts and self.attempts[-1].error is not None:
            raise self.attempts[-1].error
        raise BudgetError(f"the budget ({self.options.budget}) was used up by other calls in flight")

    @property
    def propensity(self) -> float | None:
        """Probability that the router makes this choice, None where it was not the router's to make."""
        prompt, sticky = self.prompt, self.options.sticky and self.prompt.current in self.decision.candidates
        if sticky and (prompt.in_tool_loop or not self.decision.weighs_costs):
            return None
        return self.decision.propensity if self.order[0] == self.decision.model else None

    def expected(self, model: str) -> float:
        """Expected dollars of a candidate, NaN if unknown."""
        return float(self.decision.costs[self.decision.candidates.index(model)])


class Attempt(Generic[M]):
    """One try of one model; a context manager that prices and records it, and swallows what a fallback may help with.

    Attributes:
        member: the model.
        begun: set it when the first part of a stream was passed on: no other model is tried from then on.
        error: what it failed with. cost_usd: US dollars, None where unknown.
    """

    def __init__(self, call: Call[M], member: PoolModel[M], number: int, *, last: bool) -> None:
        self.call = call
        self.member = member
        self.number = number
        self.begun = False
        self.error: BaseException | None = None
        self.usage: TokenUsage | None = None
        self.cost_usd: Decimal | None = None
        self._last = last
        self._finished = False
        self._reserved = 0
        self._scopes = budget_scopes(call.options.session)
        self._limits = call.options.budget.limits(self._scopes)

    @property
    def expected_cost(self) -> float:
        """Expected dollars, NaN if unknown."""
        return self.call.expected(self.member.id)

    def reserve(self) -> bool:
        """Set the expected cost aside; False where the budget does not have it."""
        if not fits(self.expected_cost, self.call.options.budget.ceiling(None)):
            return False
        self._reserved = picodollars(self.expected_cost) or 0
        return self.call.context.spend.reserve(self._reserved, self._limits)

    def __enter__(self) -> Attempt[M]:
        self.started = now()
        self._clock = time.perf_counter()
        decision = self.call.decision
        attributes = {"avengers.decision.id": decision.id, "avengers.alpha": decision.alpha}
        self._span = telemetry.start_span(self.member.provider, self.member.name, attributes)
        return self

    def finish(self, usage: TokenUsage | None, model: str = "") -> None:
        """Say that the model has answered, with the tokens it reports and the name it answers under."""
        self._finished = True
        self.usage = usage
        self.cost_usd = self.member.tariff.cost(usage)
        self._answered_as = model

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        status, name = "ok", ""
        if error is not None and not (isinstance(error, GeneratorExit) and self._finished):
            self.error = error
            name = type(error).__name__
            status = failure_kind(error) if isinstance(error, Exception) else "cancelled"
        elif not self._finished:
            self.error = RuntimeError("attempt.finish was not called")
            status = "cancelled"
        self._record(status, name)
        cooldowns = self.call.context.cooldowns
        if status == "ok":
            cooldowns.succeed(self.member.id)
            return False
        if status not in TRANSIENT:
            if status == "auth":
                log.error("%s refused its key (%s): it is not asked again in its place", self.member.id, name)
            return False
        assert error is not None
        cooldowns.fail(self.member.id, error)
        if self.begun or self._last:
            return False
        log.warning("%s failed (%s, %s); trying the next model", self.member.id, status, name)
        return True

    def _record(self, status: str, error: str) -> None:
        call, member = self.call, self.member
        # A refused attempt costs nothing; one that was cut off may, and how much is unknown.
        charged = self._finished or self.begun or status in ("cancelled", "timeout", "connection", "invalid_response")
        expected = picodollars(self.expected_cost)
        entry = Entry(
            time=self.started,
            call=call.id,
            decision=call.decision.id,
            attempt=self.number,
            model=member.id,
            provider=member.provider,
            status=status,
            alpha=call.decision.alpha,
            session=call.options.session,
            run=call.options.run,
            tags=list(call.options.tags),
            error=error,
            usage=self.usage,
            cost_pico=picodollars(self.cost_usd) if charged else 0,
            expected_cost_pico=expected,
            seconds=time.perf_counter() - self._clock,
            prompt=call.prompt.text,
            artifact=call.context.artifact,
            cluster=call.decision.cluster,
            similarity=call.decision.similarity,
            propensity=call.propensity if member.id == call.order[0] else None,
        )
        context = call.context
        try:
            if context.ledger is None:
                context.purse.settle(self._reserved, self._limits, spent_amount(entry))
            else:
                session = [self._scopes["session"]] if call.options.session else []
                scopes = [self._scopes["day"], *session]
                context.ledger.record(entry, scopes, dict.fromkeys(self._limits, self._reserved))
        except LedgerError as failure:  # the answer is paid for; raising would have it asked again
            log.error("%s (call %s)", failure, entry.call)
        finally:
            usage = self.usage
            telemetry.end_span(
                self._span,
                {
                    "gen_ai.response.model": getattr(self, "_answered_as", None) or None,
                    "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
                    "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
                    "avengers.cost": float(self.cost_usd) if self.cost_usd is not None else None,
                },
                self.error,
            )

    def summary(self) -> dict[str, Any]:
        """What an answer's metadata tells of the choice: plain values, for JSON."""
        decision, member = self.call.decision, self.member
        best = decision.best_single
        same = best == member.id
        best_cost = self.cost_usd if same else self.call.context.pool.tariff(best).cost(self.usage)
        return {
            "model": member.id,
            "provider": member.provider,
            "alpha": decision.alpha,
            "expected_score": float(decision.scores[decision.candidates.index(member.id)]),
            "expected_cost_usd": _plain(self.expected_cost),
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "decision_id": decision.id,
            "call_id": self.call.id,
            "attempts": [
                {"model": one.member.id, "error": type(one.error).__name__ if one.error else None}
                for one in self.call.attempts
            ],
            "best_single": {"model": best, "cost_usd": None if best_cost is None else float(best_cost)},
        }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
