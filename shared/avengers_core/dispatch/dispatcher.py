"""One call through the router, whatever the framework: choose, reserve, try, fall back, price, record.

A framework's adapter writes this loop in its sync and in its async twin; all but the model's own call is here::

    call = dispatcher.plan(prompt, options, labels)
    for attempt in call:
        with attempt:
            message = attempt.member.client.invoke(...)
            attempt.finish(usage)

The loop goes on while an attempt fails in a way that another model may help with, and raises otherwise.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Generic

from .._utils.tokens import encoding
from ..embedders.base import Vectors
from ..embedders.wordllama import WordLlamaEmbedder
from ..errors import AvengersError, BudgetError, NoCandidateError, UnavailableError
from ..ledger.budget import PICO, budget_scopes, within
from ..ledger.budget_store import InMemoryBudgetStore, remaining
from ..ledger.store import Ledger
from ..routing.candidates import exclusion_reasons
from ..routing.capabilities import LENIENT, lacking
from ..routing.decision import Decision
from ..routing.options import RouteOptions
from ..routing.request import Request
from ..routing.router import Router
from .call import Call
from .context import DispatchContext
from .failures import Cooldowns
from .options import CallLabels, Prompt
from .pool import M, ModelPool
from .stickiness import model_to_ask

__all__ = ["Dispatcher"]

#: Texts whose vectors are kept, for the steps of a tool loop.
REMEMBERED_TEXTS = 256

#: Requests up to this length are planned on an event loop: in much less than a millisecond.
QUICK_CHARACTERS = 4000

#: About the characters of a tool's description and schema.
_TOOL_CHARACTERS = 400

#: Characters of a text that are embedded: a document says early what it is about, and long ones take seconds.
EMBEDDED_CHARACTERS = 50_000

#: Most texts whose vectors are kept after a batch was embedded together.
REMEMBERED_BATCH = 65_536

_NO_LABELS = CallLabels()


class Dispatcher(Generic[M]):
    """Plans calls over a pool of models. Threads may share it.

    Args:
        router: Chooses the models.
        pool: The models that are chosen from.
        ledger: Where attempts are written, or None.
        cooldown: Seconds for which a model that failed is not asked.
        attempt_timeout: Seconds that one attempt may take in all, None if there is no limit.
    """

    def __init__(
        self,
        router: Router,
        pool: ModelPool[M],
        *,
        ledger: Ledger | None = None,
        cooldown: float = 30.0,
        attempt_timeout: float | None = None,
    ) -> None:
        self.router = router
        self.ledger = ledger
        self.context = DispatchContext(
            pool,
            router.artifact.manifest.checksum[:12],
            InMemoryBudgetStore() if ledger is None else ledger,
            Cooldowns(cooldown),
            attempt_timeout,
        )
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._remembered = REMEMBERED_TEXTS
        self._planned = False
        self._prepared: tuple[RouteOptions, Mapping[str, str], Request] | None = None

    @property
    def pool(self) -> ModelPool[M]:
        """The models that may be asked."""
        return self.context.pool

    def share(self, other: Dispatcher[M], *, purse: bool, cooldowns: bool) -> None:
        """Use what another dispatcher knows.

        Args:
            other: The other dispatcher.
            purse: Whether money is added up together.
            cooldowns: Whether a model that failed there is not asked here, and the other way round.
        """
        self.context = dataclasses.replace(
            self.context,
            budget_store=other.context.budget_store if purse else self.context.budget_store,
            cooldowns=other.context.cooldowns.lasting(self.context.cooldowns.seconds)
            if cooldowns
            else self.context.cooldowns,
        )
        if purse:
            self.ledger = other.ledger

    def embed(self, texts: Iterable[str]) -> None:
        """Embed texts together and remember them for the calls that follow."""
        unseen = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        for text, vector in zip(unseen, self.router.embed(unseen), strict=True) if unseen else ():
            self._vectors[text] = vector[None]
        if len(unseen) > 1:
            self._remembered = min(max(REMEMBERED_TEXTS, len(unseen)), REMEMBERED_BATCH)
        while len(self._vectors) > self._remembered:
            self._vectors.popitem(last=False)

    def warm(self) -> None:
        """Make all models and plan a call, so that no call has to wait for that later.

        A model that cannot be made is left out, as it would be later.
        """
        for name in self.pool.ids:
            with contextlib.suppress(UnavailableError):
                self.pool.get(name)
        encoding()  # long requests are counted exactly
        with contextlib.suppress(AvengersError):
            self.plan(Prompt("Hello"), RouteOptions())

    def may_block(self, characters: int, options: RouteOptions, *, tools: int = 0) -> bool:
        """Whether planning a call may take long, so that it should not be done on an event loop.

        Args:
            characters: Length of the request's texts.
            options: How to choose.
            tools: Number of its tools.
        """
        return (
            (self.context.budget_store.blocks and options.budget.adds_up)
            or not self._planned
            or characters + tools * _TOOL_CHARACTERS > QUICK_CHARACTERS
            or not isinstance(self.router.embedder, WordLlamaEmbedder)  # another one may ask a server
            or not all(map(self.pool.is_made, self.pool.ids))
        )

    def plan(self, prompt: Prompt, options: RouteOptions, labels: CallLabels = _NO_LABELS) -> Call[M]:
        """Choose a model, and those that may follow it.

        Args:
            prompt: The request.
            options: How to choose.
            labels: What the call is filed under in the ledger.

        Raises:
            NoCandidateError: If no model can do what the request needs, or none could be made; it says why for each.
            BudgetError: If the budget leaves no model.
        """
        cooling_down = self.context.cooldowns.cooling_down()
        while True:
            ineligible = self._ineligible(prompt, options)
            avoided = {name: why for name, why in cooling_down.items() if name not in ineligible}
            if len(ineligible) + len(avoided) >= len(self.pool.ids):
                avoided = {}  # a model that is cooling down is better than none
            try:
                decision = self._decide(prompt, options, labels, {**ineligible, **avoided})
            except (NoCandidateError, BudgetError):
                if not avoided:
                    raise
                decision = self._decide(prompt, options, labels, ineligible)
            first = model_to_ask(decision, prompt, sticky=options.sticky)
            try:
                member = self.pool.get(first)
            except UnavailableError:
                continue
            if not lacking(member.capabilities, prompt.requirements, LENIENT):
                self._planned = True
                return Call(self.context, decision, first, prompt, options, labels)

    def _ineligible(self, prompt: Prompt, options: RouteOptions) -> dict[str, str]:
        """Models that must not be asked, with the reason."""
        excluded = exclusion_reasons(options.exclude_models)
        named = set(excluded) if isinstance(options.fallbacks, (bool, int)) else {*excluded, *options.fallbacks}
        if unknown := sorted(named - set(self.router.models)):
            raise NoCandidateError(f"the artifact has no model {unknown[0]!r}: it has {', '.join(self.router.models)}")
        ineligible = dict(self.pool.unavailable)
        requirements = prompt.requirements
        for name in self.pool.ids:
            if name in excluded:
                ineligible[name] = excluded[name]
            elif name not in ineligible and (why := self._lacking(name, requirements)):
                ineligible[name] = why
        if len(ineligible) == len(self.pool.ids):
            unknown = [why for why in ineligible.values() if "unknown" in why]
            need = next((name for name in requirements if any(name in why for why in unknown)), "tools")
            hint = (
                f". Say what a model can do with capabilities={{id: {{'{need.split('|')[0]}': True}}}}"
                if unknown
                else ""
            )
            raise NoCandidateError(f"no model can take this call: {_listed(ineligible)}{hint}", ineligible)
        return ineligible

    def _lacking(self, name: str, requirements: Mapping[str, bool | int]) -> str:
        """Why a model cannot take a request. A model of which something is unknown is made, so that it tells."""
        why = lacking(self.pool.capabilities(name), requirements, LENIENT)
        if why and "unknown" in why and not self.pool.is_made(name):
            try:
                self.pool.get(name)
            except UnavailableError as error:
                return str(error)
            why = lacking(self.pool.capabilities(name), requirements, LENIENT)
        return why

    def _decide(
        self, prompt: Prompt, options: RouteOptions, labels: CallLabels, exclude: Mapping[str, str]
    ) -> Decision:
        """A decision among the models that are left and can be paid for."""
        decision = self._route(prompt, options, exclude)
        limits = options.budget.limits(budget_scopes(labels.session)) if options.budget.adds_up else {}
        ceiling = options.budget.ceiling(remaining(self.context.budget_store, limits))
        if ceiling is None:
            return decision
        over_budget = {
            name: f"its expected cost ({_dollars(cost)}) does not fit into the {_dollars(ceiling / PICO)} that are left"
            for name, cost in zip(decision.candidates, decision.costs.tolist(), strict=True)
            if not within(cost, ceiling)
        }
        if len(over_budget) == len(decision.candidates):
            raise BudgetError(f"the budget ({options.budget}) leaves no model for this call: {_listed(over_budget)}")
        return self._route(prompt, options, {**exclude, **over_budget}) if over_budget else decision

    def _route(self, prompt: Prompt, options: RouteOptions, exclude: Mapping[str, str]) -> Decision:
        text = prompt.text[:EMBEDDED_CHARACTERS]
        self.embed([text])
        vector = self._vectors.get(text)
        if vector is None:
            vector = self.router.embed([text])
        request = self._prepare(options, exclude)._replace(
            input_tokens=prompt.tokens, extra_cost=self._cache_discount(prompt, options)
        )
        return next(self.router.decide(vector, [text], request))

    def _prepare(self, options: RouteOptions, exclude: Mapping[str, str]) -> Request:
        """What a choice is made with: that of the call before, if it had the same options."""
        known = self._prepared
        if known is None or known[0] is not options or known[1] != exclude:
            request = self.router.prepare(options, models=self.pool.ids, exclude_models=exclude)
            known = self._prepared = options, exclude, request
        return known[2]

    def _cache_discount(self, prompt: Prompt, options: RouteOptions) -> dict[str, float]:
        """What the prompt cache of the current model saves: negative US dollars, by its id."""
        if not (options.sticky and prompt.current in self.pool.ids and prompt.cached_tokens):
            return {}
        try:
            discount = self.pool.get(prompt.current).price_schedule.cache_discount
        except UnavailableError:
            return {}
        return {prompt.current: -discount * prompt.cached_tokens}


def _listed(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in reasons.items())


def _dollars(value: float) -> str:
    return "unknown" if math.isnan(value) else f"${value:.2g}"
