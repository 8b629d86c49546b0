"""What a choice is made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .candidates import Candidates
from .scorers import Scorer

__all__ = ["Request"]


class Request(NamedTuple):
    """Options and arguments of a choice, checked, and with the artifact's settings where nothing is said.

    Attributes:
        scorer: Ranks the candidates.
        scoring: Its name.
        alpha: From 0 (cost only) to 1 (quality only).
        rate: What a full point of score is worth at this alpha, in US dollars.
        min_quality: Share of the best expected score that the chosen model must reach; None: alpha decides.
        max_cost: US dollars that it may be expected to cost, None without a limit.
        max_seconds: Seconds that it may be expected to take, None without a limit.
        exploration: Share of choices that are drawn at random.
        candidates: The models that may be chosen.
        output_tokens: Expected output tokens of every model; None: predicted.
        input_tokens: Input tokens of the whole request; None: those of the query, and as many beside it as in training.
        extra_cost: US dollars by id to add to a model's expected cost.
    """

    scorer: Scorer
    scoring: str
    alpha: float
    rate: float
    min_quality: float | None
    max_cost: float | None
    max_seconds: float | None
    exploration: float
    candidates: Candidates
    output_tokens: float | None = None
    input_tokens: float | None = None
    extra_cost: Mapping[str, float] | None = None
