"""How a model is chosen: the options of a router and of both adapters, and what a single call may change about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from ..ledger.budget import Budget, plain_budget
from .capabilities import Require
from .exchange import check_exchange
from .scoring import check_alpha, check_exploration, check_max_cost, check_max_seconds, check_min_quality, check_scoring

__all__ = [
    "ROUTE_FIELDS",
    "ROUTE_ON",
    "RouteArguments",
    "RouteOptions",
    "RouteOverrides",
    "check_route_on",
    "merge_overrides",
]

#: The texts that can be embedded. Without an engine that tells the question, ``question`` means ``last_human``.
ROUTE_ON = ("last_human", "question", "with_system", "conversation")


class RouteOverrides(TypedDict, total=False):
    """What a single call may change. An option that is absent keeps its value; see `RouteOptions`."""

    alpha: float | None
    scoring: str | None
    exchange: str | None
    min_quality: float | None
    max_cost: float | None
    max_seconds: float | None
    exclude_models: Iterable[str] | Mapping[str, str]
    fallbacks: bool | int | Sequence[str]
    exploration: float
    route_on: Any
    sticky: bool
    budget: Budget | Mapping[str, float] | None


class RouteArguments(RouteOverrides, total=False):
    """What `avengers_core.routing.router.Router.route` takes by name, besides ``options``; it is described there."""

    models: Iterable[str] | None
    require: Require
    performance_weight: float | None
    cost_sensitivity: float | None
    output_tokens: float | None
    input_tokens: float | None
    extra_cost: Mapping[str, float] | None


@dataclass(frozen=True, kw_only=True)
class RouteOptions:
    """How a model is chosen. Values are checked when the object is made.

    `Router.route` uses them all but ``fallbacks``, ``route_on``, ``sticky`` and ``budget``; these say what happens to a
    call, so only the adapters and the proxy use them.

    Attributes:
        alpha: From 0 (cost only) to 1 (quality only). Default: the artifact's.
        scoring: ``utility``, ``reference`` or ``simple``. Default: the artifact's.
        exchange: What alpha means to ``utility``. ``even``: the share of the way, in log expected cost, from the
            cheapest choice to the best one, for the candidates at hand. ``fixed``: a number of US dollars per point of
            score, whatever the candidates are. Default: the artifact's.
        min_quality: In place of alpha: the cheapest model is chosen whose expected score is at least this share, from 0
            to 1, of the best one's on the query. Needs the scoring ``utility``.
        max_cost: US dollars that the chosen model may be expected to cost for a call, at most. Unless alpha or
            ``min_quality`` is set, the best of these models is chosen. Default: no limit.
        max_seconds: Seconds that the chosen model may be expected to take for a whole answer, at most. A model whose
            speed is unknown is left out. Default: no limit.
        exclude_models: Ids of models that must not be chosen, or a mapping from id to the reason.
        fallbacks: How many of the next-ranked models may be asked when one fails (True: all, False: none), or their
            ids in order.
        exploration: Share of choices in [0, 1] that are drawn evenly from all candidates, or from those that reach
            ``min_quality``.
        route_on: The text that is embedded: one of `ROUTE_ON`, or a function of the messages.
        sticky: Whether the model stays the same within a tool loop, and whether the prompt cache that a change would
            lose is weighed between turns.
        budget: Limits in US dollars.

    Raises:
        ValueError: If a value is out of its range or of another type.
    """

    alpha: float | None = None
    scoring: str | None = None
    exchange: str | None = None
    min_quality: float | None = None
    max_cost: float | None = None
    max_seconds: float | None = None
    exclude_models: tuple[str, ...] | Mapping[str, str] = ()
    fallbacks: bool | int | tuple[str, ...] = True
    exploration: float = 0.0
    route_on: Any = "last_human"
    sticky: bool = True
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        checked = {name: check(getattr(self, name)) for name, check in _CHECKS.items()}
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def override(self, given: RouteOverrides) -> RouteOptions:
        """These options with those that a call gives in their place.

        A call's ``alpha`` also takes the place of a ``min_quality`` that it does not give.

        Args:
            given: Options by name. Only these are checked, as the others have been.

        Returns:
            New options, or these if nothing is given.

        Raises:
            TypeError: If there is no such option.
            ValueError: If a value is out of its range or of another type.
        """
        if not given:
            return self
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)
        for name, value in given.items():
            if name not in _CHECKS:
                raise TypeError(f"there is no option {name!r}: the options are {', '.join(ROUTE_FIELDS)}")
            object.__setattr__(changed, name, _CHECKS[name](value))
        if _aims_by_alpha(given):
            object.__setattr__(changed, "min_quality", None)
        return changed


def merge_overrides(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """Two layers of overrides as one. The inner ones win, and an inner ``alpha`` does over an outer ``min_quality``.

    Args:
        outer: What is farther from the call, such as a config.
        inner: What is nearer to it, such as an argument.
    """
    kept = {name: value for name, value in outer.items() if name != "min_quality" or not _aims_by_alpha(inner)}
    return {**kept, **inner}


def _aims_by_alpha(given: Mapping[str, Any]) -> bool:
    return given.get("alpha") is not None and "min_quality" not in given


def _optional(check: Any) -> Any:
    return lambda value: None if value is None else check(value)


def _check_names(value: Any) -> tuple[str, ...] | Mapping[str, str]:
    if isinstance(value, Mapping):
        names: tuple[Any, ...] | dict[Any, Any] = dict(value)
    elif isinstance(value, str):
        names = (value,)
    else:
        names = tuple(value) if isinstance(value, Iterable) else () if value is None else (value,)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"exclude_models must hold ids of models, not {value!r}")
    return names


def _check_fallbacks(value: Any) -> bool | int | tuple[str, ...]:
    if isinstance(value, bool) or (isinstance(value, int) and value >= 0):
        return value
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else ()
    if not names or not all(isinstance(name, str) for name in names):
        if isinstance(value, Sequence) and not value:
            return False
        raise ValueError(f"fallbacks must be True, False, a number of models or their ids, not {value!r}")
    return names


def check_route_on(value: Any) -> Any:
    """``value``, if it is one of `ROUTE_ON` or a function of the messages.

    Raises:
        ValueError: If it is neither.
    """
    if not callable(value) and value not in ROUTE_ON:
        listed = ", ".join(repr(name) for name in ROUTE_ON)
        raise ValueError(f"route_on must be {listed} or a function of the messages, not {value!r}")
    return value


def _check_sticky(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"sticky must be True or False, not {value!r}")
    return value


def _check_budget(value: Any) -> Budget:
    return value if isinstance(value, Budget) else Budget(**(plain_budget(value) or {}))


_CHECKS = {
    "alpha": _optional(check_alpha),
    "scoring": _optional(check_scoring),
    "exchange": _optional(check_exchange),
    "min_quality": _optional(check_min_quality),
    "max_cost": _optional(check_max_cost),
    "max_seconds": _optional(check_max_seconds),
    "exclude_models": _check_names,
    "fallbacks": _check_fallbacks,
    "exploration": check_exploration,
    "route_on": check_route_on,
    "sticky": _check_sticky,
    "budget": _check_budget,
}

#: Names of the options.
ROUTE_FIELDS = tuple(option.name for option in fields(RouteOptions))
