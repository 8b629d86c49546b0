"""Expected seconds of each model's answer: to its first token, and to its end.

An answer takes ``first token + output tokens * seconds per token``. Both follow from the recorded durations of calls:
from the times of first tokens if some answers were streamed, otherwise from a straight line through the durations of
short and of long answers. Durations of agent runs are not those of a call and do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..records.schema import TIMING
from .manifest import Artifact
from .statistics import Array, divide

__all__ = ["MIN_TIMED_ANSWERS", "Speed", "SpeedModel"]

#: Answers of known duration that a model needs for its speed to be known.
MIN_TIMED_ANSWERS = 3

#: Share of the mean squared output tokens that their variance must be for a line to be drawn through durations.
_LEAST_VARIANCE = 1e-6


class Speed(NamedTuple):
    """How fast a model answers.

    Attributes:
        first_token: Seconds to the first token.
        per_token: Seconds per output token after it.
        answers: Answers of known duration that this follows from.
    """

    first_token: float
    per_token: float
    answers: float


@dataclass(frozen=True)
class SpeedModel:
    """Expected seconds of ``m`` models.

    Attributes:
        first_token: (m,) seconds to the first token, NaN if unknown.
        per_token: (m,) seconds per output token, NaN if unknown.
        answers: (m,) answers of known duration.
    """

    first_token: Array
    per_token: Array
    answers: Array

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> SpeedModel:
        """The speeds of an artifact's models.

        Args:
            artifact: A trained artifact.
        """
        totals = artifact.statistics.timing[~artifact.agent_runs].sum(axis=0)
        sums = {name: totals[:, position] for position, name in enumerate(TIMING)}
        first, per_token = _line(sums)
        streamed = sums["n_first"] >= MIN_TIMED_ANSWERS
        first = np.where(streamed, divide(sums["first_seconds"], sums["n_first"]), first)
        later = np.nan_to_num(divide(sums["later_seconds"], sums["later_output"]))
        per_token = np.where(streamed, later, per_token)
        known = sums["n"] >= MIN_TIMED_ANSWERS
        return cls(np.where(known, first, np.nan), np.where(known, per_token, np.nan), sums["n"])

    def of_columns(self, columns: NDArray[np.intp]) -> SpeedModel:
        """The speeds of some of the models.

        Args:
            columns: (c,) their columns.
        """
        return SpeedModel(self.first_token[columns], self.per_token[columns], self.answers[columns])

    @cached_property
    def any_known(self) -> bool:
        """Whether the speed of any model is known."""
        return bool(np.isfinite(self.first_token).any())

    def expect(self, output_tokens: Array) -> Array:
        """(n, m) expected seconds of each answer, NaN if unknown.

        Args:
            output_tokens: (n, m) expected output tokens.
        """
        if not self.any_known:
            rows = self.first_token[None]
            return rows if len(output_tokens) == 1 else np.broadcast_to(rows, output_tokens.shape)
        return np.asarray(self.first_token + output_tokens * self.per_token)

    def of(self, column: int) -> Speed | None:
        """The speed of one model, None if it is unknown.

        Args:
            column: The model's column.
        """
        if np.isnan(self.first_token[column]):
            return None
        return Speed(float(self.first_token[column]), float(self.per_token[column]), float(self.answers[column]))


def _line(sums: dict[str, Array]) -> tuple[Array, Array]:
    """(m,) seconds at 0 output tokens and per output token, by least squares; neither is below 0."""
    mean_seconds, mean_output = divide(sums["seconds"], sums["n"]), divide(sums["output"], sums["n"])
    squares, products = divide(sums["output_squares"], sums["n"]), divide(sums["seconds_output"], sums["n"])
    variance, covariance = squares - mean_output**2, products - mean_seconds * mean_output
    whole = np.nan_to_num(divide(mean_seconds, mean_output))  # everything per token
    slope = divide(covariance, np.where(variance > _LEAST_VARIANCE * squares, variance, 0.0))
    slope = np.clip(np.where(np.isnan(slope), whole, slope), 0.0, whole)
    return mean_seconds - slope * mean_output, slope
