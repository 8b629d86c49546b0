"""Checks of single values, with errors that name the parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

__all__ = ["as_number", "check_one_of", "check_share"]


def as_number(given: Any) -> float:
    """``given`` as a float, or NaN if it is no number. True and False are not numbers here."""
    try:
        return math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        return math.nan


def check_share(name: str, given: Any, meaning: str) -> float:
    """A number in [0, 1].

    Args:
        name: Name of the parameter.
        given: Its value.
        meaning: What it must be, for the error.

    Raises:
        ValueError: If it is not a number in [0, 1].
    """
    value = as_number(given)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be {meaning}, not {given!r}")
    return value


def check_one_of(name: str, given: Any, choices: Sequence[str]) -> str:
    """One of some names.

    Args:
        name: Name of the parameter.
        given: Its value.
        choices: What it may be.

    Raises:
        ValueError: If it is none of them.
    """
    if not isinstance(given, str) or given not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {given!r}")
    return given
