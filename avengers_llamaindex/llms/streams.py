"""What a chosen model answers, whole or streamed: its tokens go to the attempt, the decision into the response."""

from __future__ import annotations

from typing import Any, Generic

from avengers_core.adapters import StreamAccumulator
from avengers_core.dispatch.call import Attempt
from avengers_core.errors import EmptyAnswerError
from avengers_core.pricing.types import TokenUsage
from avengers_core.pricing.usage import read_usage
from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms import LLM

from .._messages import KEY
from .._models import answering_name, has_content, reported_usage, tells_why
from .tools import Response

__all__ = ["ResponseAccumulator", "finish", "with_decision"]


class ResponseAccumulator(StreamAccumulator[LLM, Response], Generic[Response]):
    """Adds up the parts of an LLM's stream.

    Args:
        attempt: The attempt that the stream belongs to.
    """

    def __init__(self, attempt: Attempt[LLM]) -> None:
        super().__init__(attempt)
        self._mark = _mark(attempt)
        self._reported: dict[str, Any] = {}

    def _read(self, chunk: Response) -> None:
        self._reported |= reported_usage(chunk)
        if isinstance(chunk, ChatResponse):
            chunk.message.additional_kwargs[KEY] = self._mark

    def _has_content(self, chunk: Response) -> bool:
        return has_content(chunk)

    def _size(self, chunk: Response) -> int:
        return len(chunk.delta or "") + len(str(chunk.additional_kwargs.get("thinking_delta") or ""))

    def _ends(self, chunk: Response) -> bool:
        return tells_why(chunk)

    def _usage(self) -> TokenUsage | None:
        return read_usage(self._reported)

    def _model_name(self) -> str:
        return answering_name(self.last_chunk)

    def decision_chunk(self) -> Response:
        """A last part without new text that carries the decision, and the usage where handlers look for it."""
        last = self.last_chunk
        assert last is not None
        extras = {name: value for name, value in last.additional_kwargs.items() if name != "thinking_delta"}
        update: dict[str, Any] = {"delta": "", "additional_kwargs": extras}
        if self._reported and not reported_usage(last):
            update["raw"] = {**dict(last.raw or {}), "usage": self._reported}
        if isinstance(last, ChatResponse):
            marked = dict(last.message.additional_kwargs)
            update["message"] = last.message.model_copy(update={"additional_kwargs": marked})
        return with_decision(last.model_copy(update=update), self.attempt)


def finish(attempt: Attempt[LLM], response: Any) -> None:
    """End an attempt with the tokens and the model's name that a response reports.

    Raises:
        EmptyAnswerError: If the response has neither content nor a reason why it has none.
    """
    if not has_content(response) and not tells_why(response):
        raise EmptyAnswerError(f"{attempt.member.id} sent an empty answer")
    attempt.finish(read_usage(reported_usage(response)), answering_name(response))


def with_decision(response: Response, attempt: Attempt[LLM]) -> Response:
    """The response with the decision."""
    response.additional_kwargs = {**response.additional_kwargs, KEY: attempt.summary()}
    if isinstance(response, ChatResponse):
        response.message.additional_kwargs[KEY] = _mark(attempt)
    return response


def _mark(attempt: Attempt[LLM]) -> dict[str, Any]:
    """What a message keeps of the choice, for the next step of a tool loop and the next turn."""
    usage = attempt.usage
    return {
        "model": attempt.member.id,
        "provider": attempt.member.provider,
        "tokens": usage.input_tokens + usage.output_tokens if usage else 0,
    }
