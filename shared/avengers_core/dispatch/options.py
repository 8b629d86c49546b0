"""What a request is to the dispatcher, and what its call is recorded under. How to choose is `RouteOptions`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

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
class CallLabels:
    """What a call is recorded under.

    Attributes:
        session: The conversation or job that ``budget.per_session`` adds up, and the ledger's column of that name.
        run: Id of the framework's run or span, for the ledger.
        tags: For the ledger's reports.
    """

    session: str = ""
    run: str = ""
    tags: tuple[str, ...] = ()


def _needs(prompt: Prompt) -> dict[str, bool | int]:
    needs = dict(prompt.needs)
    if prompt.tokens >= 1:
        needs["max_input_tokens"] = int(prompt.tokens)
    return needs
