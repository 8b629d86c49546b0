"""Results as plain values and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from avengers_core._utils.results import Result, to_json


@dataclass(frozen=True)
class Inner:
    name: str
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Outer(Result):
    value: float
    inner: list[Inner]


def test_a_result_is_plain_values() -> None:
    result = Outer(float("nan"), [Inner("é", (0.0, 1.0)), Inner("b", None)])
    plain = result.to_dict()
    assert np.isnan(plain["value"])
    assert plain["inner"] == [{"name": "é", "interval": (0.0, 1.0)}, {"name": "b", "interval": None}]


def test_json_is_readable_and_valid() -> None:
    text = to_json(Outer(float("inf"), [Inner("é", (float("nan"), 1.0))]))
    assert '\n  "value": null,\n' in text
    assert "é" in text
    assert json.loads(text) == {"value": None, "inner": [{"name": "é", "interval": [None, 1.0]}]}


def test_numpy_numbers_are_numbers() -> None:
    assert json.loads(to_json({"a": np.float64(0.5), "b": np.array([1, 2]), "c": np.bool_(True)})) == {
        "a": 0.5,
        "b": [1, 2],
        "c": True,
    }
    with pytest.raises(TypeError, match="object"):
        to_json(object())
