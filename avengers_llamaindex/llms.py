"""`AvengersLLM`: a LlamaIndex LLM that asks, for each request, the model that the router chooses."""

from __future__ import annotations

import copy
import functools
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from avengers_core import Decision, Router
from avengers_core.dispatch.call import Attempt, Call
from avengers_core.dispatch.dispatcher import Dispatcher
from avengers_core.dispatch.factory import open_dispatcher
from avengers_core.dispatch.options import CallLabels
from avengers_core.errors import EmptyAnswerError
from avengers_core.ledger.budget import Budget, plain_budget
from avengers_core.ledger.store import Ledger
from avengers_core.pricing.types import plain_prices
from avengers_core.pricing.usage import read_usage
from avengers_core.routing.options import ROUTE_FIELDS, RouteOptions, check_route_on
from avengers_core.routing.scoring import check_alpha, check_exploration, check_scoring
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
    ToolCallBlock,
)
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW, DEFAULT_NUM_OUTPUTS
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.tools import BaseTool
from pydantic import ConfigDict, Field, PrivateAttr, field_serializer, field_validator

from ._inner import asteps, inside, steps
from ._messages import KEY, as_prompt, portable, routing_text
from ._models import (
    answering_name,
    as_client,
    describe,
    is_client,
    make_model,
    reported_usage,
    streams_usage_on_request,
)
from .embeddings import as_embedder
from .questions import OPTIONS, open_question, said, watch

R = TypeVar("R", ChatResponse, CompletionResponse)

_SECRET = re.compile(r"api_?key|access_key|secret|password|credential|headers|_token$|http_client", re.IGNORECASE)

#: Arguments of a call that mean a reasoning model is wanted.
_REASONING = ("reasoning", "reasoning_effort", "thinking", "thinking_dict")


class _Tool(dict[str, Any]):
    """A tool as handlers see it among a call's arguments, plain values; the chosen model gets the tool itself."""

    def __init__(self, tool: BaseTool) -> None:
        super().__init__(tool.metadata.to_openai_tool(skip_length_check=True))
        self.tool = tool


class AvengersLLM(FunctionCallingLLM):
    """An LLM that sends each request to the model with the best expected score for its expected cost.

    A drop-in wherever an `LLM` goes: ``Settings.llm``, query engines, chat engines, agents. What is nearest to a call
    wins: an argument (``llm.chat(messages, alpha=0.9)``), then an enclosing `routing` block, then the field.

    Example:
        >>> llm = AvengersLLM(alpha=0.4)  # doctest: +SKIP
        >>> llm.complete("What is 17 * 23?").additional_kwargs["avengers"]["model"]  # doctest: +SKIP
        'gpt-4o-mini-2024-07-18'

    Raises:
        NoCandidateError: no model can do what a request needs; it says what rules out which.
        BudgetError: the budget leaves none.
        ArtifactError: the artifact is missing or damaged, or was trained with other embeddings.
        ValueError: a field has a value that it cannot have (pydantic's ``ValidationError``), or ``models`` holds an id
            that the artifact has not.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    alpha: float | None = Field(default=None, description="0: cost only, 1: quality only; default: the artifact's.")
    models: Any = Field(
        default=None,
        repr=False,
        description="Ids of the artifact, or {id: LLM or 'provider:model'}; default: all of the artifact's. Ids are "
        "made by LlamaIndex's integrations when first chosen; those that cannot be made are left out.",
    )
    artifact: Any = Field(
        default=None, description="Path or pretrained name of the trained router, or a Router; default: the packaged."
    )
    scoring: str | None = Field(default=None, description="utility, reference or simple; default: the artifact's.")
    exclude_models: list[str] = Field(default_factory=list, description="Ids that must not be asked.")
    embed_model: BaseEmbedding | None = Field(
        default=None, exclude=True, description="The embeddings that the artifact was trained with."
    )
    fallbacks: bool | int | list[str] = Field(
        default=True, description="How many of the next-ranked models may follow a failing one, or their ids in order."
    )
    exploration: float = Field(
        default=0.0,
        description="Share of calls whose model is drawn at random, so that the ledger tells how the others answer.",
    )
    route_on: Any = Field(
        default="question",
        description="What is embedded: question (of the engine at work, else the last user message), last_human, "
        "with_system, conversation, or a function of the messages.",
    )
    sticky: bool = Field(
        default=True, description="Keep the model within a tool loop; between turns weigh the lost prompt cache."
    )
    ledger: Any = Field(
        default=None,
        repr=False,
        description="Where calls are recorded: path, SQLAlchemy URL, Ledger, or True; default: $AVENGERS_LEDGER.",
    )
    budget: Any = Field(default=None, description="Budget, or per_call, per_session and per_day in US dollars.")
    capabilities: dict[str, dict[str, Any]] | None = Field(
        default=None, description="What models can do where metadata and artifact do not say: {id: {'images': True}}."
    )
    prices: Any = Field(default=None, description="Contract prices, {id: Price or its fields}.")
    cooldown: float = Field(default=30.0, description="Seconds that a failing model is left alone.")
    init_kwargs: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Arguments for models that are made from ids."
    )
    temperature: float | None = Field(default=None, description="Sent with each call where given.")
    max_tokens: int | None = Field(default=None, description="Sent with each call where given.")

    _made: tuple[tuple[Any, ...], Dispatcher[LLM]] | None = PrivateAttr(default=None)
    _instance: str = PrivateAttr(default_factory=lambda: uuid.uuid4().hex)

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        watch()
        _ = self._dispatcher  # wrong models, artifacts and ledgers are errors now; no model is made

    # --- fields ---

    @field_validator("alpha")
    @classmethod
    def _valid_alpha(cls, value: float | None) -> float | None:
        return None if value is None else check_alpha(value)

    @field_validator("scoring")
    @classmethod
    def _valid_scoring(cls, value: str | None) -> str | None:
        return None if value is None else check_scoring(value)

    @field_validator("exploration")
    @classmethod
    def _valid_exploration(cls, value: float) -> float:
        return check_exploration(value)

    @field_validator("route_on")
    @classmethod
    def _valid_route_on(cls, value: Any) -> Any:
        return check_route_on(value)

    @field_validator("budget")
    @classmethod
    def _valid_budget(cls, value: Any) -> dict[str, float] | None:
        return plain_budget(value)

    @field_validator("prices")
    @classmethod
    def _valid_prices(cls, value: Any) -> dict[str, dict[str, Any]] | None:
        return plain_prices(value)

    @field_serializer("models")
    def _dump_models(self, models: Any) -> Any:
        if not isinstance(models, Mapping):
            return None if models is None else list(models)
        return {name: _without_secrets(one.to_dict()) if is_client(one) else one for name, one in models.items()}

    @field_serializer("init_kwargs")
    def _dump_init_kwargs(self, init_kwargs: dict[str, Any]) -> dict[str, Any]:
        return _without_secrets(init_kwargs)

    @field_serializer("artifact", "route_on", "ledger")
    def _dump_plain(self, value: Any) -> Any:
        """Paths and names; a ledger with a password is read from ``$AVENGERS_LEDGER`` when loaded."""
        if isinstance(value, Path):
            return str(value)
        kept = value is None or isinstance(value, (bool, str))
        return value if kept and not (isinstance(value, str) and "://" in value and "@" in value) else None

    def __getstate__(self) -> dict[str, Any]:
        bare = copy.copy(self)
        bare._made = None
        return super(AvengersLLM, bare).__getstate__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> AvengersLLM:
        bare = copy.copy(self)
        bare._made = None
        shared_parts = (self.models, self.artifact, self.ledger)  # clients and connections have locks
        return super(AvengersLLM, bare).__deepcopy__({**(memo or {}), **{id(part): part for part in shared_parts}})

    @classmethod
    def class_name(cls) -> str:
        """Its name in serialisation."""
        return "AvengersLLM"

    # --- what it stands on ---

    @property
    def _dispatcher(self) -> Dispatcher[LLM]:
        making = (self.models, self.artifact, self.embed_model, self.ledger, self.capabilities, self.prices)
        values = (*making, self.cooldown, self.init_kwargs)
        if self._made is None or any(a is not b for a, b in zip(self._made[0], values, strict=True)):
            models = self.models
            if isinstance(models, Mapping):
                models = {name: as_client(one) for name, one in models.items()}
            self._made = (
                values,
                open_dispatcher(
                    self.artifact,
                    models,
                    make=functools.partial(make_model, init_kwargs=self.init_kwargs),
                    is_client=is_client,
                    describe=describe,
                    kind="an LLM",
                    embedder=None if self.embed_model is None else as_embedder(self.embed_model),
                    prices=self.prices,
                    capabilities=self.capabilities,
                    ledger=self.ledger,
                    cooldown=self.cooldown,
                ),
            )
        return self._made[1]

    @property
    def router(self) -> Router:
        """The router, for `Router.route`, prices and the artifact."""
        return self._dispatcher.router

    @property
    def spending(self) -> Ledger | None:
        """The ledger, if calls are recorded."""
        return self._dispatcher.ledger

    @property
    def metadata(self) -> LLMMetadata:
        """The least context window of the candidates; function calling if one of them can call tools."""
        pool = self._dispatcher.pool
        known = [pool.capabilities(name) for name in pool.ids if name not in self.exclude_models]
        windows = [one["max_input_tokens"] for one in known if "max_input_tokens" in one]
        return LLMMetadata(
            model_name="avengers",
            is_chat_model=True,
            is_function_calling_model=any(one.get("tools") for one in known),
            context_window=min(windows, default=DEFAULT_CONTEXT_WINDOW),
            num_output=self.max_tokens or DEFAULT_NUM_OUTPUTS,
        )

    # --- one call ---

    def _settings(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Fields, under those of enclosing `routing` blocks and of the call, which are taken out of its arguments."""
        told = {**said(), **{name: kwargs.pop(name) for name in OPTIONS if name in kwargs}}
        settings = {**{name: getattr(self, name) for name in OPTIONS}, **told}
        settings["route_on"] = self._valid_route_on(settings["route_on"])
        settings["budget"] = Budget(**(plain_budget(settings["budget"]) or {}))
        if "model" in kwargs:
            wanted, ids = kwargs.pop("model"), self._dispatcher.pool.ids
            if wanted not in ids:
                raise ValueError(f"model: {wanted!r} is none of the candidates: {', '.join(ids)}")
            settings["exclude_models"] = [*settings["exclude_models"], *(name for name in ids if name != wanted)]
        return settings

    def _plan(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> Call[LLM]:
        """Choose; settings are taken out of ``kwargs``."""
        settings = self._settings(kwargs)
        route_on = settings["route_on"]
        question = settings.get("question") or (open_question() if route_on == "question" else None)
        if question is None:
            question = routing_text(messages, "last_human" if route_on == "question" else route_on)
        size = len(json.dumps(kwargs["tools"], default=str)) if kwargs.get("tools") else 0
        prompt = as_prompt(messages, question, _needs(kwargs), tool_tokens=size / 4)
        options = RouteOptions().override({name: settings[name] for name in ROUTE_FIELDS})  # type: ignore[arg-type]
        labels = CallLabels(
            str(settings.get("session") or self._instance),
            active_span_id.get() or "",
            tuple(settings.get("tags") or ()),
        )
        return self._dispatcher.plan(prompt, options, labels)

    def _prepare(
        self, attempt: Attempt[LLM], given: str | Sequence[ChatMessage], kwargs: Mapping[str, Any], *, stream: bool
    ) -> tuple[LLM, dict[str, Any], Callable[[Any], Any]]:
        """The chosen model, the arguments of its method, and what it checks an answer with."""
        client = attempt.member.client
        arguments = dict(kwargs)
        for name in ("temperature", "max_tokens"):
            if (value := getattr(self, name)) is not None:
                arguments.setdefault(name, value)
        if stream and streams_usage_on_request(client):
            arguments.setdefault("stream_options", {"include_usage": True})
        if isinstance(given, str):
            return client, {"prompt": given, **arguments}, lambda response: response
        messages = portable(given, attempt.member.provider)
        tools = arguments.get("tools") or ()
        if not isinstance(client, FunctionCallingLLM) or not any(isinstance(tool, _Tool) for tool in tools):
            return client, {"messages": messages, **arguments}, lambda response: response
        real = [tool.tool for tool in arguments.pop("tools")]
        parallel = {"allow_parallel_tool_calls": arguments.pop("allow_parallel_tool_calls", False)}
        required = arguments.pop("tool_required", False)
        prepared = client._prepare_chat_with_tools_compat(
            real, chat_history=messages, tool_required=required, **parallel, **arguments
        )
        return (
            client,
            prepared,
            lambda response: client._validate_chat_with_tools_response(response, real, **parallel),
        )

    def _ask(self, how: str, given: Any, kwargs: dict[str, Any]) -> Any:
        call = self._plan(_as_messages(given), kwargs)
        for attempt in call:
            with attempt:
                client, arguments, check = self._prepare(attempt, given, kwargs, stream=False)
                with inside(call.labels.run or None):
                    response = check(getattr(client, how)(**arguments))
                _finish(attempt, response, reported_usage(response))
        return _described(response, attempt)

    async def _aask(self, how: str, given: Any, kwargs: dict[str, Any]) -> Any:
        call = self._plan(_as_messages(given), kwargs)
        for attempt in call:
            with attempt:
                client, arguments, check = self._prepare(attempt, given, kwargs, stream=False)
                with inside(call.labels.run or None):
                    response = check(await getattr(client, how)(**arguments))
                _finish(attempt, response, reported_usage(response))
        return _described(response, attempt)

    # Streams are planned before they are read: by then the engine that knows the question may be through.

    def _ask_stream(self, how: str, given: Any, kwargs: dict[str, Any]) -> Any:
        call = self._plan(_as_messages(given), kwargs)

        def answer() -> Iterator[Any]:
            for attempt in call:
                with attempt:
                    client, arguments, _ = self._prepare(attempt, given, kwargs, stream=True)
                    heard = _Heard(attempt)
                    with inside(call.labels.run or None):
                        stream = getattr(client, how)(**arguments)
                    for part in steps(stream, call.labels.run or None):
                        yield heard.add(part)
                    heard.finish()
            yield heard.last()

        return answer()

    async def _aask_stream(self, how: str, given: Any, kwargs: dict[str, Any]) -> Any:
        call = self._plan(_as_messages(given), kwargs)

        async def answer() -> AsyncIterator[Any]:
            for attempt in call:
                with attempt:
                    client, arguments, _ = self._prepare(attempt, given, kwargs, stream=True)
                    heard = _Heard(attempt)
                    with inside(call.labels.run or None):
                        stream = await getattr(client, how)(**arguments)
                    async for part in asteps(stream, call.labels.run or None):
                        yield heard.add(part)
                    heard.finish()
            yield heard.last()

        return answer()

    # --- LlamaIndex's entries ---

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Ask the model that the router chooses; fields may be given for this call."""
        return self._ask("chat", messages, kwargs)  # type: ignore[no-any-return]

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """`chat`, part by part; a last part without text carries the decision and the cost."""
        return self._ask_stream("stream_chat", messages, kwargs)  # type: ignore[no-any-return]

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """`chat`, async."""
        return await self._aask("achat", messages, kwargs)  # type: ignore[no-any-return]

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """`stream_chat`, async."""
        return await self._aask_stream("astream_chat", messages, kwargs)  # type: ignore[no-any-return]

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Ask the model that the router chooses; fields may be given for this call."""
        return self._ask("complete", prompt, {**kwargs, "formatted": formatted})  # type: ignore[no-any-return]

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """`complete`, part by part; a last part without text carries the decision and the cost."""
        return self._ask_stream("stream_complete", prompt, {**kwargs, "formatted": formatted})  # type: ignore[no-any-return]

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """`complete`, async."""
        return await self._aask("acomplete", prompt, {**kwargs, "formatted": formatted})  # type: ignore[no-any-return]

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """`stream_complete`, async."""
        return await self._aask_stream("astream_complete", prompt, {**kwargs, "formatted": formatted})  # type: ignore[no-any-return]

    # --- tools ---

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Keep tools for the model that will be chosen, which can call tools."""
        messages = list(chat_history or [])
        if user_msg:
            messages += _as_messages(user_msg) if isinstance(user_msg, str) else [user_msg]
        if not tools:
            return {"messages": messages, **kwargs}
        choice = {"allow_parallel_tool_calls": allow_parallel_tool_calls, "tool_required": tool_required}
        return {"messages": messages, "tools": [_Tool(tool) for tool in tools], **choice, **kwargs}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Tool calls of an answer, read by the model that gave it.

        Raises:
            ValueError: it has none, and ``error_on_no_tool_call``.
        """
        mark = response.message.additional_kwargs.get(KEY)
        client = self._dispatcher.pool.get(mark["model"]).client if mark else None
        if isinstance(client, FunctionCallingLLM):
            return client.get_tool_calls_from_response(response, error_on_no_tool_call=error_on_no_tool_call, **kwargs)
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        if not calls and error_on_no_tool_call:
            raise ValueError("expected at least one tool call, but the answer has none")
        return [
            ToolSelection(
                tool_id=call.tool_call_id or "",
                tool_name=call.tool_name,
                tool_kwargs=parse_partial_json(call.tool_kwargs)
                if isinstance(call.tool_kwargs, str)
                else call.tool_kwargs,
            )
            for call in calls
        ]

    def route(self, messages: str | Sequence[ChatMessage], **kwargs: Any) -> Decision:
        """The decision for a prompt or messages, without asking a model.

        Raises:
            NoCandidateError, BudgetError: as for `chat`.
        """
        return self._plan(_as_messages(messages), kwargs).decision


class _Heard:
    """What was heard of a stream."""

    def __init__(self, attempt: Attempt[LLM]) -> None:
        self.attempt = attempt
        self.mark = _mark(attempt)
        self.last_part: Any = None
        self.usage: dict[str, Any] = {}

    def add(self, part: R) -> R:
        """Take note of a part that is passed on; it says which model it is from."""
        self.attempt.begun = True
        self.last_part = part
        self.usage |= reported_usage(part)
        if isinstance(part, ChatResponse):
            part.message.additional_kwargs[KEY] = self.mark
        return part

    def finish(self) -> None:
        """Close the attempt.

        Raises:
            EmptyAnswerError: there was not one part.
        """
        if self.last_part is None:
            raise EmptyAnswerError(f"{self.attempt.member.id} sent an empty stream")
        _finish(self.attempt, self.last_part, self.usage)

    def last(self) -> Any:
        """A part without new text that carries the decision, and the usage where handlers look for it."""
        last = self.last_part
        extras = {name: value for name, value in last.additional_kwargs.items() if name != "thinking_delta"}
        update: dict[str, Any] = {"delta": "", "additional_kwargs": extras}
        if self.usage and not reported_usage(last):
            update["raw"] = {**dict(last.raw or {}), "usage": self.usage}
        if isinstance(last, ChatResponse):
            marked = dict(last.message.additional_kwargs)
            update["message"] = last.message.model_copy(update={"additional_kwargs": marked})
        return _described(last.model_copy(update=update), self.attempt)


def _as_messages(given: str | Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=given)] if isinstance(given, str) else given


def _finish(attempt: Attempt[LLM], response: Any, usage: Mapping[str, Any]) -> None:
    attempt.finish(read_usage(usage), answering_name(response))


def _mark(attempt: Attempt[LLM]) -> dict[str, Any]:
    """What a message keeps of the choice, for the next step of a tool loop and the next turn."""
    usage = attempt.usage
    return {
        "model": attempt.member.id,
        "provider": attempt.member.provider,
        "tokens": usage.input_tokens + usage.output_tokens if usage else 0,
    }


def _described(response: R, attempt: Attempt[LLM]) -> R:
    """The response with the decision."""
    response.additional_kwargs = {**response.additional_kwargs, KEY: attempt.summary()}
    if isinstance(response, ChatResponse):
        response.message.additional_kwargs[KEY] = _mark(attempt)
    return response


def _needs(kwargs: Mapping[str, Any]) -> dict[str, bool | int]:
    """Capabilities that arguments of a call ask for."""
    needs: dict[str, bool | int] = {}
    if kwargs.get("tools"):
        needs["tools"] = True
        if kwargs.get("tool_required") or kwargs.get("tool_choice") not in (None, "auto", "none"):
            needs["tool_choice"] = True
    if any(kwargs.get(name) for name in _REASONING):
        needs["reasoning"] = True
    return needs


def _without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that may be dumped: none that may hold a key, at any depth."""
    return {
        name: _without_secrets(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if not _SECRET.search(name)
    }
