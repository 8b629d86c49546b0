"""One call through the router, framework-free: choose, reserve, try, fall back, price, record.

A framework's adapter writes this loop in its sync and in its async twin; all but the model's own call is here::

    call = dispatcher.plan(prompt, options)
    for attempt in call:
        with attempt:
            message = attempt.member.client.invoke(...)
            attempt.finish(usage)

The loop goes on while an attempt fails in a way that another model may help with, and raises otherwise.
"""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Generic

from ..embedders.base import Vectors
from ..errors import BudgetError, LedgerError, NoCandidateError, UnavailableError
from ..ledger.budget import PICO, Budget, Purse, Spend, fits, money_left, picodollars, scopes_of
from ..ledger.store import Entry, Ledger, now, spent_amount
from ..pricing.tariff import TokenUsage
from ..routing.capabilities import LENIENT, lacking
from ..routing.decision import Decision
from ..routing.router import Router
from ..routing.scoring import utilities
from . import telemetry
from .failures import TRANSIENT, Cooldowns, failure_kind
from .pool import M, Member, Pool

log = logging.getLogger("avengers")

#: Texts whose vectors are kept: at least these, for the steps of a tool loop, and a batch of up to so many.
REMEMBERED_TEXTS, REMEMBERED_BATCH = 256, 65_536


@dataclass(frozen=True)
class Prompt:
    """What the dispatcher knows of a request.

    Attributes:
        text: what is embedded.
        needs: capabilities that the model must have, see `avengers_core.routing.capabilities`.
        tokens: input tokens of the whole request (estimated).
        current: the model that wrote the conversation's last answer.
        in_tool_loop: the last message is a tool's result, so ``current`` must go on.
        cached_tokens: input tokens that ``current``'s provider may have in its prompt cache.
    """

    text: str
    needs: Mapping[str, bool | int] = field(default_factory=dict)
    tokens: float = 0.0
    current: str | None = None
    in_tool_loop: bool = False
    cached_tokens: int = 0


@dataclass(frozen=True)
class Options:
    """How to choose; see `Router.route` for the first three.

    Attributes:
        fallbacks: how many models may follow a failing one (True: all, False: none), or their ids in order.
        exploration: share of calls whose model is drawn at random, see `Router.route`.
        sticky: keep the model within a tool loop and price the lost prompt cache between turns.
        budget: limits, if any.
        session: adds up ``budget.per_session``. run, tags: for the ledger.
    """

    alpha: float | None = None
    scoring: str | None = None
    exclude: Iterable[str] = ()
    fallbacks: bool | int | Sequence[str] = True
    exploration: float = 0.0
    sticky: bool = True
    budget: Budget = field(default_factory=Budget)
    session: str = ""
    run: str = ""
    tags: Sequence[str] = ()


class Dispatcher(Generic[M]):
    """Plans calls over a pool of models; threads may share it.

    Args:
        router, pool: what chooses, and what is chosen from.
        ledger: where attempts are written, if anywhere.
        cooldown: seconds that a failing model rests.
    """

    def __init__(
        self,
        router: Router,
        pool: Pool[M],
        *,
        ledger: Ledger | None = None,
        cooldown: float = 30.0,
    ) -> None:
        self.router = router
        self.pool = pool
        self.ledger = ledger
        self.cooldowns = Cooldowns(cooldown)
        self.purse = Purse()
        self.spend: Spend = ledger or self.purse
        self.artifact = router.artifact.manifest.checksum[:12]
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._remembered = REMEMBERED_TEXTS

    def embed(self, texts: Iterable[str]) -> None:
        """Embed texts together and remember them for the calls that follow."""
        wanted = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        for text, vector in zip(wanted, self.router.embed(wanted), strict=True) if wanted else ():
            self._vectors[text] = vector[None]
        if len(wanted) > 1:
            self._remembered = min(max(REMEMBERED_TEXTS, len(wanted)), REMEMBERED_BATCH)
        while len(self._vectors) > self._remembered:
            self._vectors.popitem(last=False)

    def plan(self, prompt: Prompt, options: Options) -> Call[M]:
        """Choose a model, and those that may follow it.

        Raises:
            NoCandidateError: no model can do what the request needs, or none could be made; it says why for each.
            BudgetError: the budget leaves none.
        """
        resting = self.cooldowns.resting()
        while True:
            unfit = self._unfit(prompt, options)
            asleep = {name: why for name, why in resting.items() if name not in unfit}
            if len(unfit) + len(asleep) >= len(self.pool.ids):
                asleep = {}  # a model that rests is better than none
            decision = self._decide(prompt, options, {**unfit, **asleep})
            chosen = self._chosen(decision, prompt, options)
            try:
                member = self.pool.get(chosen)
            except UnavailableError:
                continue
            if not lacking(member.capabilities, _needs(prompt), LENIENT):
                return Call(self, decision, self._order(decision, chosen, options), prompt, options)

    def _unfit(self, prompt: Prompt, options: Options) -> dict[str, str]:
        """Models that must not be asked, with the reason."""
        excluded = set([options.exclude] if isinstance(options.exclude, str) else options.exclude)
        named = excluded if isinstance(options.fallbacks, (bool, int)) else excluded | set(options.fallbacks)
        if unknown := sorted(named - set(self.router.models)):
            raise NoCandidateError(f"the artifact has no model {unknown[0]!r}: it has {', '.join(self.router.models)}")
        unfit = dict(self.pool.unavailable)
        needs = _needs(prompt)
        for name in self.pool.ids:
            if name in excluded:
                unfit[name] = "excluded by the caller"
            elif name not in unfit and (why := lacking(self.pool.capabilities(name), needs, LENIENT)):
                unfit[name] = why
        if len(unfit) == len(self.pool.ids):
            told = "; ".join(f"{name}: {why}" for name, why in unfit.items())
            hint = ""
            if any("unknown" in why for why in unfit.values()):
                hint = ". What a model can do is told with capabilities={id: {'tools': True}}"
            raise NoCandidateError(f"no model can take this call: {told}{hint}", unfit)
        return unfit

    def _decide(self, prompt: Prompt, options: Options, unfit: dict[str, str]) -> Decision:
        """A decision among the models that fit and can be paid."""
        decision = self._route(prompt, options, unfit)
        limits = options.budget.limits(scopes_of(options.session))
        ceiling = options.budget.ceiling(money_left(self.spend, limits))
        if ceiling is None:
            return decision
        dear = {
            name: f"its expected cost ({_dollars(cost)}) does not fit into the {_dollars(ceiling / PICO)} that are left"
            for name, cost in zip(decision.candidates, decision.costs.tolist(), strict=True)
            if not fits(cost, ceiling)
        }
        if len(dear) == len(decision.candidates):
            told = "; ".join(f"{name}: {why}" for name, why in dear.items())
            raise BudgetError(f"the budget ({options.budget}) leaves no model for this call: {told}")
        return self._route(prompt, options, {**unfit, **dear}) if dear else decision

    def _route(self, prompt: Prompt, options: Options, unfit: Mapping[str, str]) -> Decision:
        self.embed([prompt.text])
        vector = self._vectors.get(prompt.text)
        return next(
            self.router.route_vectors(
                self.router.embed([prompt.text]) if vector is None else vector,
                [prompt.text],
                alpha=options.alpha,
                scoring=options.scoring,
                exploration=options.exploration,
                models=self.pool.ids,
                exclude=unfit,
                extra_cost=self._conversation_cost(prompt, options),
            )
        )

    def _conversation_cost(self, prompt: Prompt, options: Options) -> dict[str, float]:
        """Dollars of the rest of the request for each model, less what the current one's prompt cache saves."""
        rest = prompt.tokens - len(prompt.text) / self.router.artifact.manifest.characters_per_token
        prices = self.router.prices
        extra = {name: rest * prices[name].input / 1e6 for name in self.pool.ids if name in prices} if rest > 0 else {}
        if options.sticky and prompt.current in self.pool.ids and prompt.cached_tokens:
            try:
                discount = self.pool.get(prompt.current).tariff.cache_discount
            except UnavailableError:
                return extra
            extra[prompt.current] = extra.get(prompt.current, 0.0) - discount * prompt.cached_tokens
        return extra

    def _chosen(self, decision: Decision, prompt: Prompt, options: Options) -> str:
        current = prompt.current
        if not options.sticky or current is None or current not in decision.candidates:
            return decision.model
        if prompt.in_tool_loop:
            return current
        if decision.scoring != "utility" and not self._worth_switching(decision, current):
            return current
        return decision.model

    def _worth_switching(self, decision: Decision, current: str) -> bool:
        """Whether the expected gain beats the lost prompt cache, for scorings that do not weigh dollars themselves."""
        scale = self.router.artifact.manifest.cost_scale
        values = utilities(decision.scores[None], decision.costs[None], decision.alpha, scale)[0]
        here, there = (values[decision.candidates.index(name)] for name in (current, decision.model))
        return bool(there > here)

    def _order(self, decision: Decision, chosen: str, options: Options) -> list[str]:
        """The chosen model and those that may follow it."""
        allowed = options.fallbacks
        if isinstance(allowed, (bool, int)):
            rest = [name for name in decision.ranking if name != chosen]
            return [chosen, *(rest if allowed is True else rest[: int(allowed)])]
        return [chosen, *(name for name in allowed if name != chosen and name in decision.candidates)]


class Call(Generic[M]):
    """A planned call; iterating it gives the attempts.

    Attributes:
        id: shared by its attempts in the ledger.
        decision: of the router. order: models that may be asked, in order.
        attempts: those made so far.
    """

    def __init__(
        self,
        dispatcher: Dispatcher[M],
        decision: Decision,
        order: list[str],
        prompt: Prompt,
        options: Options,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.dispatcher = dispatcher
        self.decision = decision
        self.order = order
        self.prompt = prompt
        self.options = options
        self.attempts: list[Attempt[M]] = []

    @property
    def first(self) -> Member[M]:
        """The chosen model."""
        return self.dispatcher.pool.get(self.order[0])

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
                member = self.dispatcher.pool.get(waiting.pop(0))
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
        if sticky and (prompt.in_tool_loop or self.decision.scoring != "utility"):
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
        error: what it failed with. cost: dollars, None where unknown.
    """

    def __init__(self, call: Call[M], member: Member[M], number: int, *, last: bool) -> None:
        self.call = call
        self.member = member
        self.number = number
        self.begun = False
        self.error: BaseException | None = None
        self.usage: TokenUsage | None = None
        self.cost: Decimal | None = None
        self._last = last
        self._finished = False
        self._reserved = 0
        self._scopes = scopes_of(call.options.session)
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
        return self.call.dispatcher.spend.reserve(self._reserved, self._limits)

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
        self.cost = self.member.tariff.cost(usage)
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
        cooldowns = self.call.dispatcher.cooldowns
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
            cost=picodollars(self.cost) if charged else 0,
            expected_cost=expected,
            seconds=time.perf_counter() - self._clock,
            prompt=call.prompt.text,
            artifact=call.dispatcher.artifact,
            cluster=call.decision.cluster,
            similarity=call.decision.similarity,
            propensity=call.propensity if member.id == call.order[0] else None,
        )
        dispatcher = call.dispatcher
        try:
            if dispatcher.ledger is None:
                dispatcher.purse.settle(self._reserved, self._limits, spent_amount(entry))
            else:
                session = [self._scopes["session"]] if call.options.session else []
                scopes = [self._scopes["day"], *session]
                dispatcher.ledger.record(entry, scopes, dict.fromkeys(self._limits, self._reserved))
        except LedgerError as failure:  # the answer is paid for; raising would have it asked again
            log.error("%s (call %s)", failure, entry.call)
        finally:
            usage = self.usage
            telemetry.end_span(
                self._span,
                {
                    "gen_ai.response.model": getattr(self, "_answered_as", None) or None,
                    "gen_ai.usage.input_tokens": usage.input if usage else None,
                    "gen_ai.usage.output_tokens": usage.output if usage else None,
                    "avengers.cost": float(self.cost) if self.cost is not None else None,
                },
                self.error,
            )

    def summary(self) -> dict[str, Any]:
        """What an answer's metadata tells of the choice: plain values, for JSON."""
        decision, member = self.call.decision, self.member
        best = decision._router.best_single(decision.candidates)
        same = best == member.id
        best_cost = self.cost if same else self.call.dispatcher.pool.tariff(best).cost(self.usage)
        return {
            "model": member.id,
            "provider": member.provider,
            "alpha": decision.alpha,
            "expected_score": float(decision.scores[decision.candidates.index(member.id)]),
            "expected_cost": _plain(self.expected_cost),
            "cost": None if self.cost is None else float(self.cost),
            "decision_id": decision.id,
            "call_id": self.call.id,
            "attempts": [
                {"model": one.member.id, "error": type(one.error).__name__ if one.error else None}
                for one in self.call.attempts
            ],
            "best_single": {"model": best, "cost": None if best_cost is None else float(best_cost)},
        }


def _needs(prompt: Prompt) -> dict[str, bool | int]:
    needs = dict(prompt.needs)
    if prompt.tokens >= 1:
        needs["max_input_tokens"] = int(prompt.tokens)
    return needs


def _dollars(value: float) -> str:
    return "unknown" if math.isnan(value) else f"${value:.2g}"


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
