"""Structured output: kept until the model is known, bound on the chosen model, parsed from text or a tool call."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from avengers_core.adapters import needs_from_arguments
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import BaseTransformOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough, RunnableSequence
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.json import parse_json_markdown
from pydantic import TypeAdapter, ValidationError

from ._messages import as_chunk
from ._models import unwrap

__all__ = [
    "METHODS",
    "PendingTool",
    "StructuredParser",
    "bind",
    "needs_of",
    "plain_tools",
    "structured_chain",
    "tool_dict",
    "tools_size",
]

#: Capabilities that a model must have for a method of structured output.
METHODS = {
    None: "tools|structured_output",
    "function_calling": "tools",
    "json_schema": "structured_output",
    "json_mode": "structured_output",
}


class StructuredParser(BaseTransformOutputParser[Any]):
    """Reads an answer that fits a schema, from a tool call or from JSON text.

    Of a stream, it gives what fits of each part of an answer, as the parsers of LangChain's models do.

    Raises:
        OutputParserException: If the answer does not fit.
    """

    target: Any = None

    @property
    def _type(self) -> str:
        return "avengers_structured"

    @property
    def _name(self) -> str:
        return str(convert_to_openai_tool(self.target)["function"]["name"]) if self.target is not None else ""

    def parse(self, text: str) -> Any:
        """Read JSON text."""
        try:
            return self._validate(parse_json_markdown(text))
        except (json.JSONDecodeError, ValidationError) as error:
            raise OutputParserException(f"the answer does not fit the schema: {error}", llm_output=text) from error

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Read an answer."""
        generation = result[0]
        message = generation.message if isinstance(generation, ChatGeneration) else None
        if isinstance(message, AIMessage):
            if refusal := message.additional_kwargs.get("refusal"):
                raise OutputParserException(f"the model refused: {refusal}", llm_output=str(refusal))
            calls = [call for call in message.tool_calls if call["name"] == self._name]
            if calls:
                try:
                    return self._validate(calls[0]["args"])
                except ValidationError as error:
                    text = json.dumps(calls[0]["args"])
                    raise OutputParserException(f"the tool call does not fit: {error}", llm_output=text) from error
            if message.tool_calls and not message.text:
                names = ", ".join(call["name"] for call in message.tool_calls)
                raise OutputParserException(f"the model called {names} in place of answering; use include_raw=True")
            return self.parse(str(message.text))
        return self.parse(generation.text)

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:
        answer, shown = None, None
        for part in input:
            answer = _joined(answer, part)
            value = self._partial(answer)
            if value is not None and value != shown:
                yield value
                shown = value
        if answer is not None and (value := self.parse_result([answer])) != shown:
            yield value

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        answer, shown = None, None
        async for part in input:
            answer = _joined(answer, part)
            value = self._partial(answer)
            if value is not None and value != shown:
                yield value
                shown = value
        if answer is not None and (value := self.parse_result([answer])) != shown:
            yield value

    def _partial(self, answer: Generation) -> Any:
        """What is there of an answer, None if it does not fit yet."""
        try:
            return self.parse_result([answer], partial=True)
        except ValueError:  # as all of its errors are, those of pydantic.v1 included
            return None

    def _validate(self, value: Any) -> Any:
        target = self.target
        if isinstance(target, type) and hasattr(target, "model_validate"):
            return target.model_validate(value)
        if isinstance(target, type) and hasattr(target, "parse_obj"):
            return target.parse_obj(value)
        return TypeAdapter(dict[str, Any]).validate_python(value)


def _joined(answer: Any, part: str | BaseMessage) -> Any:
    """An answer so far with its next part."""
    chunk = GenerationChunk(text=part) if isinstance(part, str) else ChatGenerationChunk(message=as_chunk(part))
    return chunk if answer is None else answer + chunk


class PendingTool(dict[str, Any]):
    """A tool until the model is known: others read plain values, as of any chat model, and the model gets the tool.

    Args:
        tool: The tool.
    """

    def __init__(self, tool: Any) -> None:
        super().__init__(convert_to_openai_tool(tool))
        self.tool = tool

    def __reduce__(self) -> tuple[Any, ...]:
        return PendingTool, (self.tool,)

    @classmethod
    def of(cls, tool: Any) -> dict[str, Any]:
        """The tool as plain values; one that is given as such stays as it is.

        Args:
            tool: A tool in any form that LangChain takes.
        """
        return tool if isinstance(tool, dict) else cls(tool)


def structured_chain(model: Runnable[Any, Any], schema: Any, include_raw: bool) -> Runnable[Any, Any]:
    """A model with a parser, in the shape that LangChain's models return.

    Args:
        model: The model, with what it needs for structured output.
        schema: The schema.
        include_raw: Return ``{"raw", "parsed", "parsing_error"}``.
    """
    parser = StructuredParser(target=schema)
    if not include_raw:
        return model | parser
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def bind(
    client: Runnable[Any, Any], kwargs: Mapping[str, Any], structured: Mapping[str, Any] | None
) -> tuple[BaseChatModel, dict[str, Any]]:
    """The chosen model and its arguments, with tools and schema in its own form.

    If the model takes the schema as a tool and there are other tools, all are offered and one must be called.

    Args:
        client: The chosen model.
        kwargs: The arguments of the call.
        structured: Schema and arguments of `with_structured_output`, if it was used.

    Raises:
        ValueError: If the model does not take such arguments.
        NotImplementedError: If the model has no tools or no structured output.
    """
    model, bound = unwrap(client)
    arguments = {**bound, **kwargs}
    tools = [
        getattr(tool, "tool", tool) if isinstance(tool, PendingTool) else tool
        for tool in arguments.pop("tools", None) or ()
    ]
    choice = _plain_choice(arguments.pop("tool_choice", None))
    parallel = {"parallel_tool_calls": arguments.pop("parallel_tool_calls", None)}
    if "response_format" in arguments and not _takes_response_format(model, arguments["response_format"]):
        raise NotImplementedError(f"{type(model).__name__} does not take this response_format")
    if structured:
        given = _accepted(model.with_structured_output, structured["kwargs"], "strict")
        chain = model.with_structured_output(structured["schema"], include_raw=True, **given)
        _, extra = unwrap(_raw_step(chain))
        if choice == "none":
            tools, choice = [], None
        if tools and extra.pop("tools", None):
            extra.pop("tool_choice", None)
            tools, choice = [*tools, structured["schema"]], "any" if choice in (None, "auto") else choice
        arguments |= extra
    if tools:
        chosen = {} if choice is None else {"tool_choice": _choice_for(model, choice)}
        kept = {name: value for name, value in parallel.items() if value is not None}
        kept = _accepted(model.bind_tools, kept, "parallel_tool_calls")
        model, arguments = unwrap(model.bind_tools(tools, **chosen, **kept, **arguments))
    for name in ("ls_structured_output_format", "structured_output_format"):
        arguments.pop(name, None)
    return model, arguments


def _plain_choice(choice: Any) -> Any:
    """A tool choice as LangChain spells it: ``auto``, ``none``, ``any`` or the name of a tool.

    Args:
        choice: In the spelling of LangChain, OpenAI or Anthropic.
    """
    if isinstance(choice, Mapping):
        kind, function = choice.get("type"), choice.get("function")
        if isinstance(function, Mapping):
            return function.get("name")
        if kind in ("tool", "function"):
            return choice.get("name")
        return kind if kind in ("auto", "none", "any") else choice
    return "any" if choice is True or choice == "required" else choice


def _choice_for(model: BaseChatModel, choice: Any) -> Any:
    """A tool choice as a model takes it: Anthropic's takes ``none`` for the name of a tool."""
    is_anthropic = any(base.__module__.startswith("langchain_anthropic") for base in type(model).__mro__)
    return {"type": "none"} if choice == "none" and is_anthropic else choice


def _takes_response_format(model: BaseChatModel, given: Any) -> bool:
    """Whether a model takes OpenAI's argument ``response_format``: its relatives do, and Anthropic's take a schema."""
    bases = [base.__module__ for base in type(model).__mro__]
    if any(name.startswith("langchain_anthropic") for name in bases):
        return isinstance(given, Mapping) and given.get("type") == "json_schema"
    return not any(name.startswith(("langchain_google", "langchain_aws")) for name in bases)


def _accepted(method: Callable[..., Any], given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Arguments of a method, without one of this name if the method does not have it."""
    parameters = inspect.signature(method).parameters
    return {key: value for key, value in given.items() if key != name or name in parameters}


def _raw_step(chain: Runnable[Any, Any]) -> Runnable[Any, Any]:
    first = chain.first if isinstance(chain, RunnableSequence) else None
    if not isinstance(first, RunnableMap) or "raw" not in first.steps__:
        raise NotImplementedError(f"the structured output of {type(chain).__name__} has an unknown shape")
    raw = first.steps__["raw"]
    while isinstance(raw, RunnableSequence):  # the model and a check of its answer, which the parser makes as well
        raw = raw.first
    return raw


def needs_of(arguments: Mapping[str, Any]) -> dict[str, bool | int]:
    """Capabilities that the arguments of a call ask for, structured output among them."""
    needs = needs_from_arguments(arguments)
    structured = arguments.get("avengers_structured")
    if structured:
        needs[METHODS[structured["kwargs"].get("method")]] = True
    if arguments.get("response_format"):
        needs["structured_output"] = True
    return needs


def tool_dict(tool: Any) -> dict[str, Any]:
    """A tool or a schema as OpenAI's plain values."""
    return tool if isinstance(tool, dict) else convert_to_openai_tool(tool)


def plain_tools(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with tools and schemas as plain values, for traces and cache keys."""
    plain = dict(kwargs)
    if plain.get("tools"):
        plain["tools"] = [tool_dict(tool) for tool in plain["tools"]]
    structured = plain.pop("avengers_structured", None)
    if structured:
        schema = structured["schema"]
        plain["structured_output"] = {**structured["kwargs"], "schema": None if schema is None else tool_dict(schema)}
    return plain


def tools_size(tools: Sequence[Any]) -> int:
    """Characters of tools as they are sent."""
    return sum(len(json.dumps(tool_dict(tool), default=str)) for tool in tools)
