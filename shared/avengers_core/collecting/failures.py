"""Which models fail, and which of them are not asked any more."""

from __future__ import annotations

import logging
from collections import Counter

from ..dispatch.failures import TRANSIENT, failure_kind
from ..dispatch.pool import first_line

__all__ = ["MAX_CONSECUTIVE_FAILURES", "Failures"]

#: Failures in a row, of a kind that does not pass, after which a model is given up.
MAX_CONSECUTIVE_FAILURES = 5

_log = logging.getLogger("avengers")


class Failures:
    """Counts the failures of models.

    Attributes:
        counts: Number of failures, by model.
        reasons: Why each model failed last.
        given_up: Models that are not asked any more: their key was refused, or they fail again and again.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self.given_up: set[str] = set()
        self._in_a_row: Counter[str] = Counter()

    def note(self, model: str, reason: str) -> None:
        """Count a failure that says nothing of the model's next answer."""
        self.counts[model] += 1
        self.reasons[model] = reason

    def fail(self, model: str, error: Exception) -> None:
        """Count a request that failed, and give the model up if it is hopeless."""
        kind = failure_kind(error)
        self.note(model, f"{kind}: {first_line(error)}")
        self._in_a_row[model] += kind not in TRANSIENT
        if kind == "auth" or self._in_a_row[model] >= MAX_CONSECUTIVE_FAILURES:
            if model not in self.given_up:
                _log.error("%s is given up: %s", model, self.reasons[model])
            self.given_up.add(model)

    def succeed(self, model: str) -> None:
        """End a row of failures."""
        self._in_a_row[model] = 0
