"""`AvengersLLM`: a LlamaIndex LLM that sends each request to the model that the router chooses."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from avengers_core import Decision
from avengers_core._utils.threads import off_loop, turn
from avengers_core.adapters import needs_from_arguments, only_models, take
from avengers_core.dispatch.call import Attempt, Call
from avengers_core.dispatch.options import CallLabels
from avengers_core.routing.options import ROUTE_FIELDS, RouteOptions, RouteOverrides, merge_overrides
from llama_index.core.base.llms.generic_utils import messages_to_history_str
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
)
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW, DEFAULT_NUM_OUTPUTS
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import BaseTool
from llama_index.core.types import Model, PydanticProgramMode
from pydantic import ConfigDict

from .._events import without_events
from .._messages import KEY, as_prompt, portable, routing_text
from .._models import streams_usage_on_request
from .._spans import ModelSpan
from .._tracing import own_spans
from ..query_context import QueryContext, follow_questions, open_question, query_context
from .fields import LLMFields
from .streams import ResponseAccumulator, finish, with_decision
from .structured import StructuredReader, structured_request
from .tools import (
    PendingTool,
    Response,
    ResponseCheck,
    answering_by_schema,
    read_tool_calls,
    with_model_tools,
)

__all__ = ["AvengersLLM"]

#: What an LLM puts around a prompt, and reads its answer with.
_PROMPT_FIELDS = ("system_prompt", "query_wrapper_prompt", "output_parser")

#: The method of an LLM that returns a kind of response.
_METHODS: dict[type[Any], str] = {ChatResponse: "chat", CompletionResponse: "complete"}


class AvengersLLM(LLMFields, FunctionCallingLLM):
    """An LLM that sends each request to the model with the best expected score for its expected cost.

    A drop-in for any `LLM`: ``Settings.llm``, query engines, chat engines, agents. What is nearest to a call wins: an
    argument (``llm.chat(messages, alpha=0.9)``), then an enclosing `routing` block, then the field.

    Examples:
        >>> llm = AvengersLLM(alpha=0.4)  # doctest: +SKIP
        >>> llm.complete("What is 17 * 23?").additional_kwargs["avengers"]["model"]  # doctest: +SKIP
        'openai/gpt-5-mini'

    Raises:
        NoCandidateError: If no model can do what a request needs. The message says what rules out which model.
        BudgetError: If the budget leaves no model.
        ArtifactError: If the artifact is missing or damaged, or was trained with other embeddings.
        ValueError: If a field has a value that it cannot have (pydantic's ``ValidationError``), or ``models`` holds an
            id that neither the artifact nor the catalogue knows.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        follow_questions()
        pool = self.dispatcher.pool  # wrong models, artifacts and ledgers are errors now; no model is made
        for name, client in pool.given.items():
            if unused := [field for field in _PROMPT_FIELDS if getattr(client, field, None)]:
                warnings.warn(
                    f"models: the {' and the '.join(unused)} of {name} {'is' if len(unused) == 1 else 'are'} not used, "
                    "since any of the models may answer: give it to AvengersLLM",
                    stacklevel=2,
                )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> AvengersLLM:
        shared = (self.models, self.artifact, self.ledger, self.shadow)  # clients and connections have locks
        return super().__deepcopy__({**(memo or {}), **{id(part): part for part in shared}})

    @classmethod
    def class_name(cls) -> str:
        """The name of the class in a dump."""
        return "AvengersLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The largest context window of the candidates, and function calling if one of them can call tools.

        A request goes to a model that can take it.
        """
        pool, excluded = self.dispatcher.pool, self.route_options(query_context().overrides).exclude_models
        names = [name for name in pool.ids if name not in excluded]
        known = [pool.capabilities(name) for name in names]
        windows = [capabilities["max_input_tokens"] for capabilities in known if "max_input_tokens" in capabilities]
        answer = self.max_tokens or self._longest_answer(names)
        return LLMMetadata(
            model_name="avengers",
            is_chat_model=True,
            is_function_calling_model=any(capabilities.get("tools") for capabilities in known),
            context_window=max(windows, default=DEFAULT_CONTEXT_WINDOW),
            num_output=answer,
        )

    def _longest_answer(self, names: Iterable[str]) -> int:
        """Tokens that those of these models which are given as objects keep for an answer."""
        given = self.dispatcher.pool.given
        clients = [client for name in names if isinstance(client := given[name], LLM)]
        longest = max((client.metadata.num_output for client in clients), default=0)
        return longest if longest > 0 else DEFAULT_NUM_OUTPUTS

    # --- one call ---

    def _request_options(self, kwargs: dict[str, Any], context: QueryContext) -> RouteOptions:
        """The options of a call, which are taken out of its arguments.

        Raises:
            ValueError: If ``model`` is not one of the candidates, or an option has a wrong value.
        """
        overrides = merge_overrides(context.overrides, take(kwargs, ROUTE_FIELDS))
        options = self.route_options(cast("RouteOverrides", overrides))
        if "model" in kwargs:
            model, ids = kwargs.pop("model"), self.dispatcher.pool.ids
            if model not in ids:
                raise ValueError(f"model: {model!r} is none of the candidates: {', '.join(ids)}")
            options = only_models(options, [model], ids)
        return options

    def _plan(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> Call[LLM]:
        """Plan a call. Its options are taken out of ``kwargs``."""
        context = query_context()
        options = self._request_options(kwargs, context)
        question = context.question or (open_question() if options.route_on == "question" else None)
        if question is None:
            question = routing_text(messages, options.route_on)
        size = len(json.dumps(kwargs["tools"], default=str)) if kwargs.get("tools") else 0
        answer = kwargs.get("max_tokens") or self.max_tokens or 0
        prompt = as_prompt(messages, question, needs_from_arguments(kwargs), tool_tokens=size / 4, answer_tokens=answer)
        labels = CallLabels(context.session or self._instance, active_span_id.get() or "", context.tags)
        call = self.dispatcher.plan(prompt, options, labels)
        call.own_spans = own_spans()
        return call

    async def _aplan(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> Call[LLM]:
        """`_plan` that does not hold up the event loop."""
        size, tools = sum(len(one.content or "") for one in messages), len(kwargs.get("tools") or ())
        given = {*kwargs, *query_context().overrides}
        blocks = "budget" in given or self.dispatcher.may_block(size, self.route_options(), tools=tools)
        await turn()
        return await off_loop(lambda: self._plan(messages, kwargs), blocks=blocks)

    def _request(
        self, attempt: Attempt[LLM], given: str | Sequence[ChatMessage], kwargs: Mapping[str, Any], *, stream: bool
    ) -> tuple[LLM, dict[str, Any], ResponseCheck | None]:
        """The chosen model, the arguments of its method, and what it checks its response with."""
        client = attempt.member.client
        arguments = self._with_defaults(kwargs)
        if attempt.member.capabilities.get("temperature") is False:
            arguments.pop("temperature", None)
        if stream and streams_usage_on_request(client):
            arguments.setdefault("stream_options", {"include_usage": True})
        if isinstance(given, str):
            return client, {"prompt": given, **arguments}, None
        return client, *with_model_tools(client, portable(given, attempt.member.provider), arguments)

    def _show(self, attempt: Attempt[LLM], given: str | Sequence[ChatMessage], response: Any) -> None:
        """Show an answer to the shadow, if there is one."""
        if self.shadow is None or response is None:
            return
        from ..collecting import model_under_test

        sent = list(_as_messages(given))
        text = response.message.content if isinstance(response, ChatResponse) else response.text
        self.shadow.observe(attempt, model_under_test, sent, lambda: messages_to_history_str(sent), text or "")

    def _ask(self, kind: type[Response], given: str | Sequence[ChatMessage], kwargs: dict[str, Any]) -> Response:
        parent = active_span_id.get()
        for attempt in self._plan(_as_messages(given), kwargs):
            with attempt:
                client, arguments, check = self._request(attempt, given, kwargs, stream=False)
                method = _METHODS[kind]
                with ModelSpan(attempt, client, method, arguments, parent) as span, span.active():
                    response: Response = attempt.deadline.run(getattr(client, method), **arguments)
                    finish(attempt, response)
                    self._show(attempt, given, response)
                    response = check(response) if check else response
        response = with_decision(response, attempt)
        span.end(response)
        return response

    async def _aask(self, kind: type[Response], given: str | Sequence[ChatMessage], kwargs: dict[str, Any]) -> Response:
        parent = active_span_id.get()
        span: ModelSpan | None = None
        try:
            async for attempt in await self._aplan(_as_messages(given), kwargs):
                async with attempt:
                    client, arguments, check = self._request(attempt, given, kwargs, stream=False)
                    method = f"a{_METHODS[kind]}"
                    with ModelSpan(attempt, client, method, arguments, parent) as span, span.active():
                        async with attempt.deadline.wait():
                            response: Response = await getattr(client, method)(**arguments)
                        finish(attempt, response)
                        self._show(attempt, given, response)
                        response = check(response) if check else response
        except asyncio.CancelledError as stop:
            if span is not None:  # it is open if only the ledger was still waited for
                span.fail(stop)
            raise
        assert span is not None
        response = with_decision(response, attempt)
        span.end(response)
        return response

    # Streams are planned before they are read: by then the engine that knows the question may be through.

    def _ask_stream(
        self, kind: type[Response], given: str | Sequence[ChatMessage], kwargs: dict[str, Any]
    ) -> Generator[Response, None, None]:
        parent = active_span_id.get()
        call = self._plan(_as_messages(given), kwargs)

        def parts() -> Generator[Response, None, None]:
            for attempt in call:
                with attempt:
                    client, arguments, _ = self._request(attempt, given, kwargs, stream=True)
                    chunks: ResponseAccumulator[Response] = ResponseAccumulator(attempt)
                    method = f"stream_{_METHODS[kind]}"
                    with ModelSpan(attempt, client, method, arguments, parent) as span:
                        stream = span.iterate(attempt.deadline.iterate(partial(getattr(client, method), **arguments)))
                        for part in stream:
                            yield from span.passing(chunks.add(part))
                        yield from span.passing(chunks.finish())
                        self._show(attempt, given, chunks.last_chunk)
            last = chunks.decision_chunk()
            span.progress(last)
            try:
                yield last
            finally:
                span.end(last)

        return parts()

    async def _aask_stream(
        self, kind: type[Response], given: str | Sequence[ChatMessage], kwargs: dict[str, Any]
    ) -> AsyncGenerator[Response, None]:
        parent = active_span_id.get()
        call = await self._aplan(_as_messages(given), kwargs)

        async def parts() -> AsyncGenerator[Response, None]:
            async for attempt in call:
                async with attempt:
                    client, arguments, _ = self._request(attempt, given, kwargs, stream=True)
                    chunks: ResponseAccumulator[Response] = ResponseAccumulator(attempt)
                    method = f"astream_{_METHODS[kind]}"
                    with ModelSpan(attempt, client, method, arguments, parent) as span:
                        with span.active():
                            async with attempt.deadline.wait():
                                opened = await getattr(client, method)(**arguments)
                        stream = span.aiterate(attempt.deadline.aiterate(opened))
                        async for part in stream:
                            for chunk in span.passing(chunks.add(part)):
                                yield chunk
                        for chunk in span.passing(chunks.finish()):
                            yield chunk
                        self._show(attempt, given, chunks.last_chunk)
            last = chunks.decision_chunk()
            span.progress(last)
            try:
                yield last
            finally:
                span.end(last)

        return parts()

    # --- LlamaIndex's entries ---

    @without_events(llm_chat_callback())
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Ask the model that the router chooses. Options may be given for this call.

        Args:
            messages: The conversation, oldest message first.
            kwargs: Options, ``model="id"`` to pin a model, and arguments for the chosen model.
        """
        return self._ask(ChatResponse, messages, kwargs)

    @without_events(llm_chat_callback())
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """`chat`, part by part. A last part without text carries the decision and the cost."""
        return self._ask_stream(ChatResponse, messages, kwargs)

    @without_events(llm_chat_callback())
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """`chat`, async."""
        return await self._aask(ChatResponse, messages, kwargs)

    @without_events(llm_chat_callback())
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """`stream_chat`, async."""
        return await self._aask_stream(ChatResponse, messages, kwargs)

    @without_events(llm_completion_callback())
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Ask the model that the router chooses. Options may be given for this call.

        Args:
            prompt: The prompt.
            formatted: Whether the prompt is in the model's own format already.
            kwargs: Options, ``model="id"`` to pin a model, and arguments for the chosen model.
        """
        return self._ask(CompletionResponse, prompt, {**kwargs, "formatted": formatted})

    @without_events(llm_completion_callback())
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """`complete`, part by part. A last part without text carries the decision and the cost."""
        return self._ask_stream(CompletionResponse, prompt, {**kwargs, "formatted": formatted})

    @without_events(llm_completion_callback())
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """`complete`, async."""
        return await self._aask(CompletionResponse, prompt, {**kwargs, "formatted": formatted})

    @without_events(llm_completion_callback())
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """`stream_complete`, async."""
        return await self._aask_stream(CompletionResponse, prompt, {**kwargs, "formatted": formatted})

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
        """Keep tools for the chosen model. Only models that can call tools are chosen."""
        messages = list(chat_history or [])
        if user_msg:
            messages += _as_messages(user_msg) if isinstance(user_msg, str) else [user_msg]
        if not tools:
            return {"messages": messages, **kwargs}
        choice = {"allow_parallel_tool_calls": allow_parallel_tool_calls, "tool_required": tool_required}
        return {"messages": messages, "tools": [PendingTool(tool) for tool in tools], **choice, **kwargs}

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Ask for an answer that fits a schema: by the chosen model's own mode for JSON if it has one, else by a call.

        Args:
            output_cls: The schema.
            prompt: The prompt's template.
            llm_kwargs: Further arguments of the call.
            prompt_args: What fills the template.

        Raises:
            ValueError: If the answer does not fit.
        """
        with answering_by_schema(output_cls):
            return cast("Model", super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args))

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """`structured_predict`, async."""
        with answering_by_schema(output_cls):
            return cast("Model", await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args))

    def _structured_stream_call(
        self, output_cls: type[Any], prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> Generator[Any, None, None]:
        if not self._calls_schema():
            return super()._structured_stream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        request = structured_request(self, output_cls, prompt, llm_kwargs, prompt_args)
        reader = StructuredReader(self, output_cls)

        def parts() -> Generator[Any, None, None]:
            for part in self.stream_chat_with_tools(**request):
                yield from reader.read(part)
            yield from reader.finish()

        return parts()

    async def _structured_astream_call(
        self, output_cls: type[Any], prompt: Any, llm_kwargs: dict[str, Any] | None = None, **prompt_args: Any
    ) -> AsyncGenerator[Any, None]:
        if not self._calls_schema():
            return await super()._structured_astream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        request = structured_request(self, output_cls, prompt, llm_kwargs, prompt_args)
        reader = StructuredReader(self, output_cls)

        async def parts() -> AsyncGenerator[Any, None]:
            async for part in await self.astream_chat_with_tools(**request):
                for value in reader.read(part):
                    yield value
            for value in reader.finish():
                yield value

        return parts()

    def _calls_schema(self) -> bool:
        """Whether a structured answer is asked for as a tool call."""
        modes = (PydanticProgramMode.DEFAULT, PydanticProgramMode.FUNCTION)
        return self.pydantic_program_mode in modes and self.metadata.is_function_calling_model

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Read the tool calls of a response with the model that gave it.

        Args:
            response: The response.
            error_on_no_tool_call: Raise an error if there is no tool call.
            kwargs: Arguments for the model's own method.

        Raises:
            ValueError: If there is no tool call.
        """
        mark = response.message.additional_kwargs.get(KEY)
        client = self.dispatcher.pool.get(mark["model"]).client if mark else None
        if isinstance(client, FunctionCallingLLM):
            return client.get_tool_calls_from_response(response, error_on_no_tool_call=error_on_no_tool_call, **kwargs)
        return read_tool_calls(response, error_on_no_tool_call)

    def route(self, messages: str | Sequence[ChatMessage], **kwargs: Any) -> Decision:
        """Decide for a prompt or messages without asking a model.

        Args:
            messages: A prompt, or messages as for `chat`.
            kwargs: As for `chat`.

        Raises:
            NoCandidateError: If no model can do what the request needs.
            BudgetError: If the budget leaves no model.
        """
        return self._plan(_as_messages(messages), kwargs).decision


def _as_messages(given: str | Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=given)] if isinstance(given, str) else given
