"""Tools: kept until the model is known, put in its own form, and read from its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, ToolCallBlock
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.tools import BaseTool
from pydantic import BaseModel

__all__ = ["PendingTool", "Response", "ResponseCheck", "answering_by_schema", "read_tool_calls", "with_model_tools"]

#: A response of an LLM.
Response = TypeVar("Response", ChatResponse, CompletionResponse)

#: The schema of an answer that is asked for now, see `answering_by_schema`.
_schema: ContextVar[type[BaseModel] | None] = ContextVar("avengers_schema", default=None)

#: What an LLM does with its response before it returns it.
ResponseCheck = Callable[[Any], Any]


class PendingTool(dict[str, Any]):
    """A tool until the model is known: handlers see plain values among a call's arguments, the model gets the tool.

    Args:
        tool: The tool.
    """

    def __init__(self, tool: BaseTool) -> None:
        super().__init__(tool.metadata.to_openai_tool(skip_length_check=True))
        self.tool = tool


def with_model_tools(
    client: LLM, messages: list[ChatMessage], arguments: dict[str, Any]
) -> tuple[dict[str, Any], ResponseCheck | None]:
    """Put the tools of a chat into the form of the chosen model.

    Args:
        client: The chosen model.
        messages: The messages that it gets.
        arguments: All other arguments, with `PendingTool` among the tools.

    Returns:
        The arguments of the model's method, and what the model checks its response with.
    """
    pending = [tool for tool in arguments.get("tools") or () if isinstance(tool, PendingTool)]
    if not isinstance(client, FunctionCallingLLM) or not pending:
        return {"messages": messages, **arguments}, None
    schema = _native_schema(client, pending)
    if schema is not None:
        left_out = ("tools", "tool_required", "tool_choice", "allow_parallel_tool_calls")
        kept = {name: value for name, value in arguments.items() if name not in left_out}
        return {"messages": messages, **cast("Any", client)._prepare_schema(kept, schema)}, partial(
            _as_call, pending[0]
        )
    tools = [tool.tool for tool in arguments.pop("tools")]
    parallel = arguments.pop("allow_parallel_tool_calls", False)
    prepared = client._prepare_chat_with_tools_compat(
        tools,
        chat_history=messages,
        tool_required=arguments.pop("tool_required", False),
        allow_parallel_tool_calls=parallel,
        **arguments,
    )

    def check(response: ChatResponse) -> ChatResponse:
        return client._validate_chat_with_tools_response(response, tools, allow_parallel_tool_calls=parallel)

    return prepared, check


@contextmanager
def answering_by_schema(output_cls: type[BaseModel]) -> Iterator[None]:
    """While the block runs, a call that must call the tool of this schema may answer by the schema instead.

    Args:
        output_cls: The schema.
    """
    token = _schema.set(output_cls)
    try:
        yield
    finally:
        _schema.reset(token)


def _native_schema(client: LLM, tools: Sequence[PendingTool]) -> type[BaseModel] | None:
    """The schema that a model is to answer by in place of a call, None if it has no such mode or it is not asked for.

    Args:
        client: The chosen model.
        tools: The tools of the call.
    """
    schema, has_mode = _schema.get(), getattr(client, "_should_use_structure_outputs", None)
    asked = schema is not None and [tool.tool.metadata.fn_schema for tool in tools] == [schema]
    return schema if asked and has_mode is not None and has_mode() else None


def _as_call(tool: PendingTool, response: ChatResponse) -> ChatResponse:
    """A response whose text is JSON as one that calls a tool with it, as those who asked for the call read it.

    Args:
        tool: The tool.
        response: The response.
    """
    call = ToolCallBlock(tool_name=tool.tool.metadata.name or "", tool_kwargs=response.message.content or "")
    message = response.message.model_copy(update={"blocks": [call]})
    return response.model_copy(update={"message": message})


def read_tool_calls(response: ChatResponse, error_on_no_tool_call: bool) -> list[ToolSelection]:
    """The tool calls among a response's blocks.

    Args:
        response: The response.
        error_on_no_tool_call: Raise an error if there is none.

    Raises:
        ValueError: If there is no tool call.
    """
    calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    if not calls and error_on_no_tool_call:
        raise ValueError("expected at least one tool call, but the answer has none")
    return [
        ToolSelection(
            tool_id=call.tool_call_id or "", tool_name=call.tool_name, tool_kwargs=_arguments(call.tool_kwargs)
        )
        for call in calls
    ]


def _arguments(given: dict[str, Any] | str) -> dict[str, Any]:
    return cast("dict[str, Any]", parse_partial_json(given)) if isinstance(given, str) else given
