"""Whether a conversation stays with the model that wrote its last answer.

Within a tool loop it does. Between turns, a change loses the provider's prompt cache. A scoring that weighs dollars
sees that loss in the expected costs; with any other, the model changes only if that raises the utility.
"""

from __future__ import annotations

from ..routing.decision import Decision
from ..routing.scoring import utilities
from .options import Prompt

__all__ = ["has_choice", "model_to_ask"]


def model_to_ask(decision: Decision, prompt: Prompt, *, sticky: bool) -> str:
    """The model that a request goes to: the chosen one, or the one that the conversation stays with.

    Args:
        decision: What the router chose.
        prompt: The request.
        sticky: Whether conversations may stay with a model at all.
    """
    current = prompt.current
    if not sticky or current is None or current not in decision.candidates:
        return decision.model
    if prompt.in_tool_loop:
        return current
    if decision.weighs_costs or _has_more_utility(decision, current):
        return decision.model
    return current


def has_choice(decision: Decision, prompt: Prompt, *, sticky: bool) -> bool:
    """Whether the router alone decides which model is asked, so that its choice has a probability."""
    if not sticky or prompt.current not in decision.candidates:
        return True
    return not prompt.in_tool_loop and decision.weighs_costs


def _has_more_utility(decision: Decision, current: str) -> bool:
    """Whether the chosen model's utility is above that of the current one."""
    values = utilities(decision.scores[None], decision.costs[None], decision.exchange_rate)[0]
    here, there = (values[decision.candidates.index(name)] for name in (current, decision.model))
    return bool(there > here)
