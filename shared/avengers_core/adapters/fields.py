"""The fields that the model objects of all frameworks have, with their checks and the dispatcher that they build."""

from __future__ import annotations

import copy
import operator
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator
from typing_extensions import Self

from .._utils.threads import off_loop
from ..catalog.available import default_models
from ..dispatch.dispatcher import Dispatcher
from ..dispatch.factory import open_dispatcher
from ..embedders.base import Embedder
from ..ledger.budget import plain_budget
from ..ledger.store import Ledger
from ..pricing.types import plain_prices
from ..routing.options import ROUTE_FIELDS, RouteOptions, RouteOverrides
from ..routing.router import Router
from .cache import DispatcherCache
from .framework import Framework

__all__ = ["BUILD_FIELDS", "RoutingFields"]

_DEFAULTS = RouteOptions()

#: Fields that a dispatcher (router, models and ledger) is built from. An adapter adds its field for embeddings.
BUILD_FIELDS = (
    "models",
    "efforts",
    "artifact",
    "ledger",
    "capabilities",
    "prices",
    "cooldown",
    "attempt_timeout",
    "init_kwargs",
)


class RoutingFields(BaseModel):
    """A mixin for a framework's model class: how to choose a model, from which models, and where calls are recorded.

    The fields of `RouteOptions` have its defaults and its checks. An adapter puts this class before the framework's own
    base class, sets ``framework`` and ``model_config`` (pydantic takes the last base's value), and adds its field for
    embeddings.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", use_attribute_docstrings=True)

    framework: ClassVar[Framework[Any]]
    build_fields: ClassVar[tuple[str, ...]] = BUILD_FIELDS

    alpha: float | None = _DEFAULTS.alpha
    """From 0 (cost only) to 1 (quality only). Default: the artifact's."""
    models: Any = Field(default=None, repr=False)
    """Ids of models in any spelling that the catalogue resolves, such as ``gpt-5.2@low``, or
    ``{name: model object or "provider:model"}``. Default: a few current models of each provider whose key is set and
    whose integration is installed; with an ``artifact`` of your own, all of its models.

    A model that is given as text is made when it is first chosen. Those whose integration or key is missing are left
    out."""
    efforts: bool = False
    """Offer each model at all the reasoning efforts that the catalogue knows of it, too, as ``model@effort``."""
    artifact: Any = None
    """Path or pretrained name of the trained router, or a `Router`. Default: the packaged router."""
    scoring: str | None = _DEFAULTS.scoring
    """``utility``, ``reference`` or ``simple``. Default: the artifact's."""
    exchange: str | None = _DEFAULTS.exchange
    """What alpha means. ``even``: the share of the way, in log expected cost, from the cheapest choice to the best one,
    for the models at hand. ``fixed``: a number of US dollars per point of score. Default: the artifact's."""
    min_quality: float | None = _DEFAULTS.min_quality
    """In place of alpha: choose the cheapest model whose expected score is at least this share, from 0 to 1, of the
    best one's."""
    max_cost: float | None = _DEFAULTS.max_cost
    """US dollars that a call may be expected to cost, at most. Unless ``alpha`` or ``min_quality`` is set, the best
    model within it is chosen. Default: no limit."""
    max_seconds: float | None = _DEFAULTS.max_seconds
    """Seconds that a whole answer may be expected to take, at most. Models whose speed is unknown are left out.
    Default: no limit."""
    exclude_models: tuple[str, ...] | Mapping[str, str] = _DEFAULTS.exclude_models
    """Ids that must not be chosen, or a mapping from id to the reason."""
    fallbacks: bool | int | tuple[str, ...] = _DEFAULTS.fallbacks
    """How many of the next-ranked models may be asked when one fails (True: all, False: none), or their ids in
    order."""
    exploration: float = _DEFAULTS.exploration
    """Share of calls, from 0 to 1, whose model is drawn at random, so that the ledger shows how the others answer."""
    route_on: Any = _DEFAULTS.route_on
    """The text that is embedded: ``last_human``, ``question``, ``with_system``, ``conversation``, or a function of the
    messages."""
    sticky: bool = _DEFAULTS.sticky
    """Keep the model within a tool loop, and weigh the prompt cache that a change between turns would lose."""
    ledger: Any = Field(default=None, repr=False)
    """Where calls are recorded: a path, an SQLAlchemy URL, a `Ledger`, or True for the default file. Default:
    ``$AVENGERS_LEDGER`` if it is set, else nowhere."""
    budget: Any = None
    """A `Budget`, or a mapping of ``per_call``, ``per_session`` and ``per_day``, in US dollars. Default: no limit."""
    capabilities: Mapping[str, Mapping[str, Any]] | None = None
    """What models can do, as ``{id: {"tools": True}}``, over what the models and the artifact report."""
    prices: Any = None
    """Contract prices, as ``{id: Price or its fields}``, in place of list prices."""
    cooldown: float = 30.0
    """Seconds that a model is left alone after it has failed."""
    attempt_timeout: float | None = Field(default=600.0, gt=0)
    """Seconds that one attempt may take in all, whatever the server does, before the next model is asked. None: no
    limit. A model with a timeout of its own is also given up if nothing comes from it for as long as that and its own
    retries can take."""
    init_kwargs: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Arguments for models that are made from text, such as ``{"timeout": 60}``."""
    shadow: Any = Field(default=None, exclude=True, repr=False)
    """A `avengers_core.shadowing.Shadow`, which asks other models a share of the requests again in the background.
    Default: none."""
    temperature: float | None = None
    """Sent with each call if it is set."""
    max_tokens: int | None = None
    """Sent with each call if it is set."""

    _dispatchers: DispatcherCache = PrivateAttr(default_factory=DispatcherCache)
    _checked_options: tuple[tuple[Any, ...], RouteOptions] | None = PrivateAttr(default=None)
    _instance: str = PrivateAttr(default_factory=lambda: uuid.uuid4().hex)

    @field_validator(*(name for name in ROUTE_FIELDS if name != "budget"), mode="before")
    @classmethod
    def _check_option(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        try:
            return getattr(RouteOptions(**{name: value}), name)
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from None

    @field_validator("shadow")
    @classmethod
    def _check_shadow(cls, value: Any) -> Any:
        if value is not None and not hasattr(value, "observe"):
            raise ValueError(f"shadow must be a Shadow of avengers_core.shadowing, not {type(value).__name__}")
        return value

    # These two are kept as plain values, which can be dumped and loaded.

    @field_validator("budget", mode="before")
    @classmethod
    def _check_budget(cls, value: Any) -> dict[str, float] | None:
        return plain_budget(value)

    @field_validator("prices", mode="before")
    @classmethod
    def _check_prices(cls, value: Any) -> dict[str, dict[str, Any]] | None:
        return plain_prices(value)

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied._dispatchers = copy.copy(self._dispatchers)  # the copy's fields may be changed, and its dispatcher then
        return copied

    @property
    def dispatcher(self) -> Dispatcher[Any]:
        """What plans calls: the router, the pool of models, the ledger and the cooldowns."""
        values = tuple(getattr(self, name) for name in self.build_fields)
        return self._dispatchers.own(
            values, lambda: self._open_dispatcher(dict(zip(self.build_fields, values, strict=True)))
        )

    @property
    def router(self) -> Router:
        """The router, for `Router.route`, prices and the artifact."""
        return self.dispatcher.router

    @property
    def spending(self) -> Ledger | None:
        """The ledger, if calls are recorded."""
        return self.dispatcher.ledger

    def warm(self) -> None:
        """Load the router and make all models now, so that the first calls need not: for servers, when they start."""
        self.dispatcher.warm()

    async def awarm(self) -> None:
        """`warm`, in a thread."""
        await off_loop(self.warm)

    def route_options(self, overrides: RouteOverrides | None = None) -> RouteOptions:
        """The fields that say how to choose, with those that a call gives in their place.

        Raises:
            TypeError: If there is no such option.
            ValueError: If a value is out of its range or of another type.
        """
        values = tuple(getattr(self, name) for name in ROUTE_FIELDS)
        known = self._checked_options
        if known is None or not all(map(operator.is_, known[0], values)):
            options = RouteOptions(**dict(zip(ROUTE_FIELDS, values, strict=True)))
            may_change = any(isinstance(one, (Mapping, list, set)) for one in values)
            self._checked_options = None if may_change else (values, options)
        else:
            options = known[1]
        return options.override(overrides) if overrides else options

    def _dispatcher_with(self, overrides: Mapping[str, Any]) -> Dispatcher[Any]:
        """The dispatcher of a call that gives build fields of its own."""
        if not overrides:
            return self.dispatcher
        build = {name: overrides.get(name, getattr(self, name)) for name in self.build_fields}
        return self._dispatchers.variant(tuple(build.values()), lambda: self._open_variant(build, overrides))

    def _open_variant(self, build: Mapping[str, Any], overrides: Mapping[str, Any]) -> Dispatcher[Any]:
        """A dispatcher that shares the ledger and the budget, and knows which of the same models are cooling down."""
        if "ledger" not in overrides:
            build = {**build, "ledger": self.dispatcher.ledger or False}
        variant = self._open_dispatcher(build)
        variant.share(self.dispatcher, purse="ledger" not in overrides, cooldowns="models" not in overrides)
        return variant

    def _open_dispatcher(self, build: Mapping[str, Any]) -> Dispatcher[Any]:
        framework, models, init_arguments = self.framework, build["models"], self._init_arguments(build)
        if isinstance(models, Mapping):
            models = {name: framework.prepare(model) for name, model in models.items()}
        return open_dispatcher(
            build["artifact"],
            models,
            make=lambda name, price_id: framework.make_model(name, price_id, init_arguments),
            is_client=framework.is_client,
            describe=framework.describe,
            kind=framework.kind,
            default_models=lambda: default_models(framework.name),
            efforts=build["efforts"],
            embedder=self._embedder(build),
            prices=build["prices"],
            capabilities=build["capabilities"],
            ledger=build["ledger"],
            cooldown=build["cooldown"],
            attempt_timeout=build["attempt_timeout"],
        )

    def _embedder(self, build: Mapping[str, Any]) -> Embedder | None:
        """The embedder of the adapter's field for embeddings; None: the artifact's."""
        raise NotImplementedError

    def _init_arguments(self, build: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments for models that are made from text."""
        return dict(build["init_kwargs"])

    def _with_defaults(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A call's arguments, with the fields that are sent with each call."""
        defaults = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {**{name: value for name, value in defaults.items() if value is not None}, **arguments}
