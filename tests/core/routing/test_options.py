from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest
from avengers_core import Budget, RouteOptions, RouteOverrides
from avengers_core.routing.options import ROUTE_FIELDS, ROUTE_ON


def test_defaults() -> None:
    options = RouteOptions()
    assert options.alpha is None
    assert options.scoring is None
    assert options.exclude_models == ()
    assert options.fallbacks is True
    assert options.exploration == 0
    assert options.route_on == "last_human"
    assert options.sticky is True
    assert options.budget == Budget()


def test_overrides_are_the_fields() -> None:
    assert tuple(RouteOverrides.__annotations__) == ROUTE_FIELDS
    assert RouteOverrides.__total__ is False


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("alpha", 1, 1.0),
        ("alpha", None, None),
        ("scoring", "simple", "simple"),
        ("exclude_models", "a", ("a",)),
        ("exclude_models", ["a", "b"], ("a", "b")),
        ("exclude_models", (name for name in "ab"), ("a", "b")),
        ("exclude_models", None, ()),
        ("exclude_models", {"a": "why"}, {"a": "why"}),
        ("fallbacks", False, False),
        ("fallbacks", 2, 2),
        ("fallbacks", ["b", "a"], ("b", "a")),
        ("fallbacks", "a", ("a",)),
        ("fallbacks", [], False),
        ("exploration", 0.25, 0.25),
        ("route_on", "conversation", "conversation"),
        ("route_on", len, len),
        ("sticky", False, False),
        ("budget", None, Budget()),
        ("budget", {"per_day": 5}, Budget(per_day=5)),
        ("budget", Budget(per_call=1), Budget(per_call=1)),
    ],
)
def test_values_are_kept_in_one_form(name: str, given: Any, kept: Any) -> None:
    listed = list(given) if hasattr(given, "__next__") else given
    assert getattr(RouteOptions(**{name: listed}), name) == kept
    assert getattr(RouteOptions().override({name: listed}), name) == kept  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("alpha", 7, "alpha must be"),
        ("alpha", "much", "alpha must be"),
        ("scoring", "magic", "scoring must be"),
        ("exclude_models", [1], "exclude_models must hold ids"),
        ("exclude_models", {1: "why"}, "exclude_models must hold ids"),
        ("exclude_models", 5, "exclude_models must hold ids"),
        ("fallbacks", -1, "fallbacks must be"),
        ("fallbacks", None, "fallbacks must be"),
        ("fallbacks", [1], "fallbacks must be"),
        ("exploration", True, "exploration must be"),
        ("exploration", 1.5, "exploration must be"),
        ("route_on", "first_human", "route_on must be"),
        ("route_on", None, "route_on must be"),
        ("sticky", 1, "sticky must be True or False"),
        ("budget", {"per_week": 1}, "budget has no 'per_week'"),
        ("budget", {"per_day": -1}, "per_day must be a positive"),
    ],
)
def test_values_are_checked_when_made_and_when_overridden(name: str, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RouteOptions(**{name: given})
    with pytest.raises(ValueError, match=message):
        RouteOptions().override({name: given})  # type: ignore[misc]


def test_override_changes_a_copy() -> None:
    options = RouteOptions(alpha=0.2, exclude_models=["a"])
    changed = options.override({"alpha": 0.8, "sticky": False})
    assert (options.alpha, options.sticky) == (0.2, True)
    assert changed == RouteOptions(alpha=0.8, exclude_models=("a",), sticky=False)
    assert options.override({}) is options
    assert changed.override({"alpha": None}).alpha is None
    assert dataclasses.replace(changed, alpha=0.2, sticky=True) == options
    assert pickle.loads(pickle.dumps(changed)) == changed


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no option 'alpa': the options are alpha, scoring, exchange, min_quality"):
        RouteOptions().override({"alpa": 1})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(TypeError, match="alpa"):
        RouteOptions(alpa=1)  # type: ignore[call-arg]


def test_options_cannot_be_changed_from_outside() -> None:
    reasons = {"a": "why"}
    options = RouteOptions(exclude_models=reasons)
    reasons["b"] = "later"
    assert options.exclude_models == {"a": "why"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.alpha = 1  # type: ignore[misc]


@pytest.mark.parametrize("place", ROUTE_ON)
def test_every_place_to_route_on_is_accepted(place: str) -> None:
    assert RouteOptions(route_on=place).route_on == place
