"""What a request is to the dispatcher, and how to choose for it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..ledger.budget import Budget

log = logging.getLogger("avengers")


@dataclass(frozen=True)
class Prompt:
    """What the dispatcher knows of a request.

    Attributes:
        text: what is embedded.
        needs: capabilities that the model must have, see `avengers_core.routing.capabilities`.
        tokens: input tokens of the whole request (estimated).
        current: the model that wrote the conversation's last answer.
        in_tool_loop: the last message is a tool's result, so ``current`` must go on.
        cached_tokens: input tokens that ``current``'s provider may have in its prompt cache.
    """

    text: str
    needs: Mapping[str, bool | int] = field(default_factory=dict)
    tokens: float = 0.0
    current: str | None = None
    in_tool_loop: bool = False
    cached_tokens: int = 0


@dataclass(frozen=True)
class Options:
    """How to choose; see `Router.route` for the first three.

    Attributes:
        fallbacks: how many models may follow a failing one (True: all, False: none), or their ids in order.
        exploration: share of calls whose model is drawn at random, see `Router.route`.
        sticky: keep the model within a tool loop and price the lost prompt cache between turns.
        budget: limits, if any.
        session: adds up ``budget.per_session``. run, tags: for the ledger.
    """

    alpha: float | None = None
    scoring: str | None = None
    exclude: Iterable[str] = ()
    fallbacks: bool | int | Sequence[str] = True
    exploration: float = 0.0
    sticky: bool = True
    budget: Budget = field(default_factory=Budget)
    session: str = ""
    run: str = ""
    tags: Sequence[str] = ()


def _needs(prompt: Prompt) -> dict[str, bool | int]:
    needs = dict(prompt.needs)
    if prompt.tokens >= 1:
        needs["max_input_tokens"] = int(prompt.tokens)
    return needs
