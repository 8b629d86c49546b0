"""What a run would cost, before anything is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..pricing.tariff import PriceSchedule
from ..pricing.types import TokenUsage
from .graders import judge_prompt
from .questions import Question
from .runner import _count


@dataclass(frozen=True)
class Estimate:
    """What asking a model is expected to cost: requests, tokens, and US dollars (None: its price is unknown)."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None


def estimate(
    questions: Sequence[Question], tariffs: Mapping[str, PriceSchedule], output_tokens: int = 500, system: str = ""
) -> list[Estimate]:
    """What asking these models would cost; nothing is sent."""
    tokens = sum(_count(question.prompt or question.query, system) for question in questions)
    rows = []
    for model, tariff in tariffs.items():
        usage = TokenUsage(input_tokens=tokens, output_tokens=output_tokens * len(questions))
        cost = tariff.cost(usage)
        rows.append(
            Estimate(
                model, len(questions), usage.input_tokens, usage.output_tokens, None if cost is None else float(cost)
            )
        )
    return rows


def estimate_judge(
    judge: str, tariff: PriceSchedule, questions: Sequence[Question], models: int, output_tokens: int = 500
) -> Estimate:
    """What judging the answers of so many models would cost; a verdict is short."""
    tokens = sum(_count(judge_prompt("", question)) + output_tokens for question in questions) * models
    usage = TokenUsage(input_tokens=tokens, output_tokens=20 * models * len(questions))
    cost = tariff.cost(usage)
    return Estimate(
        f"{judge} (judge)",
        models * len(questions),
        usage.input_tokens,
        usage.output_tokens,
        None if cost is None else float(cost),
    )
