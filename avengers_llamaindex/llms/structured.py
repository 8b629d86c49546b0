"""Structured answers of a stream: read part by part, from a tool call or from JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.output_parsers.utils import extract_json_str
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.program.utils import process_streaming_objects
from llama_index.core.prompts import BasePromptTemplate
from pydantic import BaseModel

__all__ = ["StructuredReader", "structured_request"]


def structured_request(
    llm: FunctionCallingLLM,
    output_cls: type[BaseModel],
    prompt: BasePromptTemplate,
    llm_kwargs: Mapping[str, Any] | None,
    prompt_args: Mapping[str, Any],
) -> dict[str, Any]:
    """Arguments for ``stream_chat_with_tools`` with which a model must answer by a call of the schema.

    Args:
        llm: The LLM that is asked.
        output_cls: The schema.
        prompt: The prompt's template.
        llm_kwargs: Further arguments of the call.
        prompt_args: What fills the template.
    """
    messages = llm._extend_messages(prompt.format_messages(llm=llm, **prompt_args))
    asked = {"tools": [get_function_tool(output_cls)], "chat_history": messages, "tool_required": True}
    return {**(llm_kwargs or {}), **asked}


class StructuredReader:
    """Reads the parts of a structured answer.

    Args:
        llm: Knows the tool calls of its responses.
        output_cls: The schema.
    """

    def __init__(self, llm: FunctionCallingLLM, output_cls: type[BaseModel]) -> None:
        self._llm, self._output_cls = llm, output_cls
        self._last: ChatResponse | None = None
        self._read: list[Any] = []

    def read(self, part: ChatResponse) -> list[Any]:
        """What a part adds.

        Args:
            part: A part of the stream.

        Returns:
            The answer so far, or nothing if it has not changed.
        """
        self._last = part
        if not self._llm.get_tool_calls_from_response(part, error_on_no_tool_call=False):
            return []
        objects = process_streaming_objects(
            part, self._output_cls, cur_objects=self._read or None, flexible_mode=True, llm=self._llm
        )
        found = objects if isinstance(objects, list) else [objects]
        if found == self._read:
            return []
        self._read = found
        return found

    def finish(self) -> list[Any]:
        """What the whole answer says, if no tool was called.

        Raises:
            ValueError: If it is text that does not fit the schema.
        """
        if self._read:
            return []
        text = (self._last.message.content or "") if self._last is not None else ""
        try:
            return [self._output_cls.model_validate_json(extract_json_str(text))]
        except ValueError as error:
            name = self._output_cls.__name__
            raise ValueError(f"the model answered in text in place of {name}: {text[:200]!r}") from error
