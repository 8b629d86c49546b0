"""Errors pass from process to process whole."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
from avengers_core import errors

MADE = {errors.MissingExtraError: ("training", "train"), errors.NoCandidateError: ("none", {"a": "too dear"})}
ALL = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.AvengersError)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_can_be_pickled_and_copied(kind: type[errors.AvengersError]) -> None:
    error = kind(*MADE.get(kind, ("what happened",)))
    for same in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(same), str(same)) == (kind, str(error))
        assert getattr(same, "reasons", None) == getattr(error, "reasons", None)
