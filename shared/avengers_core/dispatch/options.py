"""What a dispatcher is given with a request: what the request is, and what its ledger rows are filed under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CallLabels", "Prompt"]


@dataclass(frozen=True)
class Prompt:
    """What the dispatcher knows of a request.

    Attributes:
        text: The text that is embedded.
        needs: Capabilities that the model must have, see `avengers_core.routing.capabilities`.
        tokens: Estimated input tokens of the whole request.
        answer_tokens: Tokens that the model's window must leave for the answer.
        current: Id of the model that wrote the conversation's last answer.
        in_tool_loop: True if the last message is a tool's result, so that ``current`` must go on.
        cached_tokens: Input tokens that ``current``'s provider may have in its prompt cache.
    """

    text: str
    needs: Mapping[str, bool | int] = field(default_factory=dict)
    tokens: float = 0.0
    answer_tokens: float = 0.0
    current: str | None = None
    in_tool_loop: bool = False
    cached_tokens: int = 0

    @property
    def requirements(self) -> dict[str, bool | int]:
        """``needs`` together with the input length that the model must accept."""
        size = int(self.tokens + self.answer_tokens)
        length = {"max_input_tokens": size} if size else {}
        return {**self.needs, **length}


@dataclass(frozen=True)
class CallLabels:
    """What a call is filed under in the ledger.

    Attributes:
        session: The conversation or job whose calls ``Budget.per_session`` adds up.
        run: The framework's id of the run, under which feedback can be given.
        tags: Names to group costs by.
    """

    session: str = ""
    run: str = ""
    tags: tuple[str, ...] = ()
