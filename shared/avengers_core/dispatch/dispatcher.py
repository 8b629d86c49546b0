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

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Generic

from ..embedders.base import Vectors
from ..errors import BudgetError, NoCandidateError, UnavailableError
from ..ledger.budget import PICO, budget_scopes, fits, remaining
from ..ledger.store import Ledger
from ..routing.capabilities import LENIENT, lacking
from ..routing.decision import Decision
from ..routing.router import Router
from ..routing.scoring import utilities
from .call import Call
from .context import DispatchContext
from .failures import Cooldowns
from .options import Options, Prompt, _needs
from .pool import M, ModelPool

#: Texts whose vectors are kept: at least these, for the steps of a tool loop, and a batch of up to so many.
REMEMBERED_TEXTS, REMEMBERED_BATCH = 256, 65_536


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
        pool: ModelPool[M],
        *,
        ledger: Ledger | None = None,
        cooldown: float = 30.0,
    ) -> None:
        self.router = router
        self.context = DispatchContext(pool, router.artifact.manifest.checksum[:12], ledger, Cooldowns(cooldown))
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._remembered = REMEMBERED_TEXTS

    @property
    def pool(self) -> ModelPool[M]:
        """The models that may be asked."""
        return self.context.pool

    @property
    def ledger(self) -> Ledger | None:
        """Where attempts are written, if anywhere."""
        return self.context.ledger

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
        resting = self.context.cooldowns.resting()
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
                return Call(self.context, decision, self._order(decision, chosen, options), prompt, options)

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
        limits = options.budget.limits(budget_scopes(options.session))
        ceiling = options.budget.ceiling(remaining(self.context.spend, limits))
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
                exclude_models=unfit,
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
        if not decision.weighs_costs and not self._worth_switching(decision, current):
            return current
        return decision.model

    def _worth_switching(self, decision: Decision, current: str) -> bool:
        """Whether the expected gain beats the lost prompt cache, for scorings that do not weigh dollars themselves."""
        scale = self.router.artifact.manifest.typical_cost
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


def _dollars(value: float) -> str:
    return "unknown" if math.isnan(value) else f"${value:.2g}"
