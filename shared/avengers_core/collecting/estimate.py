"""What a run would cost, before anything is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._utils.results import Result
from .._utils.tokens import count_tokens
from ..pricing.tariff import PriceSchedule
from ..pricing.types import TokenUsage
from .graders import judge_prompt
from .questions import Question

__all__ = ["Estimate", "estimate", "estimate_judge"]

#: Output tokens of a judge's verdict.
_VERDICT_TOKENS = 20


@dataclass(frozen=True)
class Estimate(Result):
    """What asking a model is expected to cost.

    Attributes:
        model: Id of the model.
        requests: Number of requests.
        input_tokens: Input tokens of all requests.
        output_tokens: Output tokens of all answers.
        cost_usd: US dollars, or None if the model's price is unknown.
    """

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None


def estimate(
    questions: Sequence[Question], tariffs: Mapping[str, PriceSchedule], output_tokens: int = 500, system: str = ""
) -> list[Estimate]:
    """What asking models would cost. Nothing is sent.

    Args:
        questions: The questions.
        tariffs: What the models' tokens cost, by model.
        output_tokens: Expected output tokens of an answer.
        system: The system message of each request.
    """
    input_tokens = sum(
        count_tokens(question.prompt or question.query, system, json.dumps(question.tools) if question.tools else "")
        for question in questions
    )
    usage = TokenUsage(input_tokens=input_tokens, output_tokens=output_tokens * len(questions))
    return [_estimate(model, tariff, len(questions), usage) for model, tariff in tariffs.items()]


def estimate_judge(
    judge: str, tariff: PriceSchedule, questions: Sequence[Question], models: int, output_tokens: int = 500
) -> Estimate:
    """What judging answers would cost. Nothing is sent.

    Args:
        judge: Id of the judge.
        tariff: What the judge's tokens cost.
        questions: The questions.
        models: How many models answer each question.
        output_tokens: Expected tokens of an answer, which the judge reads.
    """
    input_tokens = sum(count_tokens(judge_prompt("", question)) + output_tokens for question in questions) * models
    requests = models * len(questions)
    usage = TokenUsage(input_tokens=input_tokens, output_tokens=_VERDICT_TOKENS * requests)
    return _estimate(f"{judge} (judge)", tariff, requests, usage)


def _estimate(model: str, tariff: PriceSchedule, requests: int, usage: TokenUsage) -> Estimate:
    cost = tariff.cost(usage)
    return Estimate(model, requests, usage.input_tokens, usage.output_tokens, None if cost is None else float(cost))
