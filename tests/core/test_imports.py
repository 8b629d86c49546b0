"""Imports that documentation of development versions named keep working, with a warning that names the new place."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("embedding", "embedders", "make_embedder"),
        ("updating", "training", "update_artifact"),
        ("distributed", "training", "fit_on_cluster"),
    ],
)
def test_old_places_keep_working(old: str, new: str, name: str) -> None:
    sys.modules.pop(f"avengers_core.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"moved to avengers_core.{new}"):
        found = getattr(importlib.import_module(f"avengers_core.{old}"), name)
    assert found is getattr(importlib.import_module(f"avengers_core.{new}"), name)


@pytest.mark.parametrize("room", ["records", "pricing", "ledger", "dispatch", "routing", "training", "evaluation"])
def test_rooms_export_what_they_list(room: str) -> None:
    module = importlib.import_module(f"avengers_core.{room}")
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None
