"""What the messages of a conversation say about its last turn, and messages that another provider accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..dispatch.conversation import MIN_CACHED_TOKENS, safe_call_ids

__all__ = ["LastTurn", "last_turn", "rewrite_history"]

Message = TypeVar("Message")


@dataclass(frozen=True)
class LastTurn:
    """The last answer of a conversation.

    Attributes:
        model: Id of the model that wrote it, None if that is unknown or there is no answer yet.
        cached_tokens: Input tokens that the model's provider may have in its prompt cache.
        in_tool_loop: Whether results of tools follow the answer.
    """

    model: str | None = None
    cached_tokens: int = 0
    in_tool_loop: bool = False


def last_turn(
    messages: Sequence[Message],
    is_tool_result: Callable[[Message], bool],
    read_answer: Callable[[Message], tuple[str | None, int] | None],
) -> LastTurn:
    """Read the last answer of a conversation.

    Args:
        messages: The conversation, oldest message first.
        is_tool_result: Whether a message is the result of a tool.
        read_answer: Returns the model and the tokens (input and output) of a model's answer, None for other messages.
    """
    in_tool_loop = False
    for message in reversed(messages):
        if is_tool_result(message):
            in_tool_loop = True
        elif (answer := read_answer(message)) is not None:
            model, tokens = answer
            return LastTurn(model, tokens if tokens >= MIN_CACHED_TOKENS else 0, in_tool_loop)
    return LastTurn()


def rewrite_history(
    messages: Sequence[Message],
    call_ids: Callable[[Message], Iterable[str | None]] | None,
    rewrite: Callable[[Message, Mapping[str, str]], Message],
) -> list[Message]:
    """Rewrite the messages of a conversation for another provider.

    Args:
        messages: The conversation, oldest message first.
        call_ids: Returns the ids of tool calls that a message has or answers. None: they stay as they are.
        rewrite: Returns a message as the provider accepts it, given new ids for the tool calls whose id some provider
            refuses. It returns the message itself if there is nothing to change.
    """
    ids = safe_call_ids(call_id for message in messages for call_id in call_ids(message)) if call_ids else {}
    return [rewrite(message, ids) for message in messages]
