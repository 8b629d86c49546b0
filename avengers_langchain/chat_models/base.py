"""`ChatAvengers`: a chat model that sends each request to the model that the router chooses."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from avengers_core._utils.threads import off_loop
from avengers_core._utils.tokens import encoding, estimate_tokens
from avengers_core.dispatch.call import Attempt
from avengers_core.routing.capabilities import PROVIDER_TOOLS, united
from langchain_core._api import suppress_langchain_beta_warning
from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, get_buffer_string
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import ConfigDict, PrivateAttr, model_validator
from typing_extensions import Self

from .._answers import ChunkAccumulator, finish, message_of, request_usage, with_decision
from .._messages import count_tokens, portable
from .._models import Client, unwrap
from .._runs import InnerRequest, ainner_run, inner_run
from .._structured import bind, plain_tools, tools_size
from .binding import AvengersBinding
from .plan import PLAN_KEY, RequestPlan
from .planner import PlanningChatModel

__all__ = ["ChatAvengers"]

F = TypeVar("F", bound=Callable[..., Any])

#: LangChain's names in a model's profile for our names of capabilities.
_PROFILE_NAMES = {
    "tools": "tool_calling",
    "images": "image_inputs",
    "audio": "audio_inputs",
    "pdf": "pdf_inputs",
    "video": "video_inputs",
    "reasoning": "reasoning_output",
}


def _with_signature(method: F) -> F:
    """A method that has its signature at hand, as LangChain looks at its parameters in each call."""
    method.__dict__["__signature__"] = inspect.signature(method)
    return method


class ChatAvengers(PlanningChatModel):
    """A chat model that sends each request to the model with the best expected score for its expected cost.

    A drop-in for any `BaseChatModel`. A single call can change the options of the router and the fields that say which
    models are asked. What is nearest to the call wins: an argument (``invoke(..., alpha=0.9)``, ``bind(alpha=0.9)``),
    then ``config={"configurable": {"alpha": 0.9}}``, then the field.

    Examples:
        >>> llm = ChatAvengers(alpha=0.4)  # doctest: +SKIP
        >>> llm.invoke("What is 17 * 23?").response_metadata["avengers"]["model"]  # doctest: +SKIP
        'openai/gpt-5-mini'

    Raises:
        NoCandidateError: If no model can do what a request needs. The message says what rules out which model.
        BudgetError: If the budget leaves no model.
        ArtifactError: If the artifact is missing or damaged, or was trained with other embeddings.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    _last_asked: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _build(self) -> Self:
        """Raise errors of wrong models, artifacts and ledgers now, and not at the first call. No model is made."""
        _ = self.dispatcher
        return self

    # --- identity and dumping ---

    @property
    def _llm_type(self) -> str:
        return "avengers"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        artifact = str(self.artifact) if isinstance(self.artifact, (str, Path)) else "default"
        models = self.models if self.models is None else list(self.models)
        chosen_by = {"alpha": self.alpha, "scoring": self.scoring, "exchange": self.exchange}
        return {**chosen_by, "models": models, "artifact": artifact}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether it can be dumped. The models' keys and a ledger's password are left out."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """The module that it is loaded from."""
        return ["avengers_langchain", "chat_models"]

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Environment variables that are read in place of secrets when it is loaded."""
        secret = isinstance(self.ledger, str) and "://" in self.ledger and "@" in self.ledger
        return {"api_key": "AVENGERS_API_KEY", **({"ledger": "AVENGERS_LEDGER"} if secret else {})}

    def _resolve_model_profile(self) -> ModelProfile | None:
        """What the candidates can do between them, as far as it is known without making a model.

        A request goes to a model that can take it.
        """
        pool = self.dispatcher.pool
        known = united(pool.capabilities(name) for name in pool.ids if name not in self.exclude_models)
        return cast(
            "ModelProfile",
            {_PROFILE_NAMES.get(name, name): value for name, value in known.items() if name not in PROVIDER_TOOLS},
        )

    # --- LangChain's entries: plan, then go on as any chat model ---

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Ask the model that the router chooses. Fields may be given for this call.

        Args:
            input: A text, messages or a prompt value.
            config: LangChain's config. ``configurable`` may hold fields.
            stop: Stop words.
            kwargs: Fields, and arguments for the chosen model. ``model="id"`` is short for ``models=["id"]``.
        """
        prompt, config, kwargs = self._start(input, config, kwargs, CallbackManager, streams=False)
        return super().invoke(prompt, config, stop=stop, **kwargs)

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """`invoke`, async."""
        prompt, config, kwargs = await self._astart(input, config, kwargs, streams=False)
        return await super().ainvoke(prompt, config, stop=stop, **kwargs)

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """`invoke`, chunk by chunk. A last chunk without text carries the decision and the cost."""
        if not self._should_stream(async_api=False, **{**kwargs, "stream": True}):
            yield cast("AIMessageChunk", self.invoke(input, config, stop=stop, **kwargs))
            return
        prompt, config, kwargs = self._start(input, config, kwargs, CallbackManager)
        yield from super().stream(prompt, config, stop=stop, **kwargs)

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """`stream`, async."""
        if not self._should_stream(async_api=True, **{**kwargs, "stream": True}):
            yield cast("AIMessageChunk", await self.ainvoke(input, config, stop=stop, **kwargs))
            return
        prompt, config, kwargs = await self._astart(input, config, kwargs)
        async for chunk in super().astream(prompt, config, stop=stop, **kwargs):
            yield chunk

    def stream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Events of a stream, see `BaseChatModel.stream_events`."""
        if kwargs.get("version") == "v3":
            input, config, kwargs = self._start(input, config, kwargs, CallbackManager)
        return super().stream_events(input, config, **kwargs)

    def astream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """`stream_events`, async."""
        if kwargs.get("version") == "v3":
            return self._aevents(input, config, kwargs)
        return super().astream_events(input, config, **kwargs)

    async def _aevents(self, input: Any, config: RunnableConfig | None, kwargs: dict[str, Any]) -> Any:
        input, config, kwargs = await self._astart(input, config, kwargs)
        with suppress_langchain_beta_warning():  # as whoever asks for version v3 knows
            return await super().astream_events(input, config, **kwargs)

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """`invoke` for many inputs, in threads. Their queries are embedded together."""
        if inputs:
            self.embed_inputs(inputs, **kwargs)
        return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """`batch`, async."""
        if inputs:
            await off_loop(lambda: self.embed_inputs(inputs, **kwargs))
        return await super().abatch(inputs, config, return_exceptions=return_exceptions, **kwargs)

    # --- the call itself ---

    def _should_stream(self, *, async_api: bool, run_manager: Any = None, **kwargs: Any) -> bool:
        plan: RequestPlan | None = kwargs.pop(PLAN_KEY, None)
        if plan is not None:  # LangChain gives a stream no run manager
            plan.listen_to_run(run_manager)
        if not super()._should_stream(async_api=async_api, run_manager=run_manager, **kwargs):
            return False
        first = plan.first if plan is not None else None
        if first is None:
            return True
        model, bound = unwrap(first.client)
        return model._should_stream(async_api=async_api, **{**bound, "stream": True})

    def _request(
        self, attempt: Attempt[Client], messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> InnerRequest:
        """The request as the chosen model takes it."""
        self._last_asked = attempt.member.id
        arguments = {k: v for k, v in kwargs.items() if k not in ("stream", "avengers_structured")}
        arguments = self._with_defaults(arguments)
        if attempt.member.capabilities.get("temperature") is False:
            arguments.pop("temperature", None)
        model, arguments = bind(attempt.member.client, arguments, kwargs.get("avengers_structured"))
        bound_stop = arguments.pop("stop", None)
        stop = stop or self.stop or bound_stop or None
        return InnerRequest(model, portable(messages, attempt.member.provider), stop, arguments)

    @_with_signature
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        plan = self._take_plan(kwargs, run_manager)
        for attempt in plan.take_call(messages, kwargs):
            with attempt:
                request = self._request(attempt, messages, stop, kwargs)
                with inner_run(plan.manager, request) as run:
                    result = attempt.deadline.run(
                        request.model._generate_with_cache, request.messages, stop=request.stop, **request.arguments
                    )
                    run.answer = message_of(result)
                    finish(attempt, run.answer)
                    self._show(attempt, messages, run.answer)
        plan.listeners.tell(attempt)
        return with_decision(result, attempt)

    @_with_signature
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        plan = self._take_plan(kwargs, run_manager)
        async for attempt in await plan.atake_call(messages, kwargs):
            async with attempt:
                request = self._request(attempt, messages, stop, kwargs)
                async with ainner_run(plan.manager, request) as run:
                    async with attempt.deadline.wait():
                        result = await request.model._agenerate_with_cache(
                            request.messages, stop=request.stop, **request.arguments
                        )
                    run.answer = message_of(result)
                    finish(attempt, run.answer)
                    self._show(attempt, messages, run.answer)
        plan.listeners.tell(attempt)
        return with_decision(result, attempt)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        plan = self._take_plan(kwargs, run_manager)
        for attempt in plan.take_call(messages, kwargs):
            with attempt:
                request = self._request(attempt, messages, stop, kwargs)
                model, sent, arguments = request.model, request.messages, request.arguments
                with inner_run(plan.manager, request) as run:
                    chunks = ChunkAccumulator(attempt, model.output_version)
                    if model._should_stream(async_api=False, **{**arguments, "stream": True}):
                        if model.rate_limiter:
                            model.rate_limiter.acquire(blocking=True)
                        asked = request_usage(model, arguments)
                        open_stream = partial(model._stream, sent, stop=request.stop, **asked)
                        for chunk in attempt.deadline.iterate(open_stream):
                            yield from chunks.add(chunk)
                    else:
                        generate = model._generate_with_cache
                        result = attempt.deadline.run(generate, sent, stop=request.stop, **arguments)
                        yield from chunks.add_result(result)
                    yield from chunks.finish()
                    run.answer = chunks.message()
                    self._show(attempt, messages, run.answer)
                plan.listeners.tell(attempt)
                yield chunks.decision_chunk()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        plan = self._take_plan(kwargs, run_manager)
        async for attempt in await plan.atake_call(messages, kwargs):
            async with attempt:
                request = self._request(attempt, messages, stop, kwargs)
                model, sent, arguments = request.model, request.messages, request.arguments
                async with ainner_run(plan.manager, request) as run:
                    chunks = ChunkAccumulator(attempt, model.output_version)
                    if model._should_stream(async_api=True, **{**arguments, "stream": True}):
                        if model.rate_limiter:
                            await model.rate_limiter.aacquire(blocking=True)
                        asked = request_usage(model, arguments)
                        stream = model._astream(sent, stop=request.stop, **asked)
                        async for chunk in attempt.deadline.aiterate(stream):
                            for part in chunks.add(chunk):
                                yield part
                    else:
                        async with attempt.deadline.wait():
                            result = await model._agenerate_with_cache(sent, stop=request.stop, **arguments)
                        for part in chunks.add_result(result):
                            yield part
                    for part in chunks.finish():
                        yield part
                    run.answer = chunks.message()
                    self._show(attempt, messages, run.answer)
                plan.listeners.tell(attempt)
                yield chunks.decision_chunk()

    def _show(self, attempt: Attempt[Client], messages: list[BaseMessage], answer: AIMessage) -> None:
        """Show an answer to the shadow, if there is one."""
        if self.shadow is not None and not answer.tool_calls:
            from ..collecting import model_under_test

            text = str(answer.text)
            self.shadow.observe(attempt, model_under_test, messages, lambda: get_buffer_string(messages), text)

    # --- tools and structured output, before the model is known ---

    def bind(self, **kwargs: Any) -> AvengersBinding:  # type: ignore[override]
        """Bind arguments or fields, and keep the methods of a chat model.

        Args:
            kwargs: Fields, and arguments for the chosen model.
        """
        return AvengersBinding(bound=self, kwargs=kwargs, config={})

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> AvengersBinding:
        """Bind a config, and keep the methods of a chat model.

        Args:
            config: LangChain's config.
            kwargs: Entries of a config.
        """
        return AvengersBinding(bound=self, config=cast("RunnableConfig", {**(config or {}), **kwargs}), kwargs={})

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> AvengersBinding:
        """Keep tools for the chosen model. Only models that can call tools are chosen.

        Args:
            tools: Tools in any form that LangChain takes.
            tool_choice: ``auto``, ``none``, ``any`` or the name of a tool.
            kwargs: More arguments to bind.
        """
        return self.bind().bind_tools(tools, tool_choice=tool_choice, **kwargs)

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Runnable[Any, Any]:
        """Return answers that fit a schema, by the method that the chosen model has.

        Args:
            schema: A pydantic class, TypedDict, JSON schema or OpenAI tool.
            include_raw: Return ``{"raw", "parsed", "parsing_error"}``.
            kwargs: ``method`` (``json_schema``, ``function_calling``, ``json_mode``), ``strict``, and other arguments
                of the chosen model's own method.

        Raises:
            ValueError: If ``method`` is unknown.
        """
        return self.bind().with_structured_output(schema, include_raw=include_raw, **kwargs)

    # --- what LangChain asks of a chat model ---

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        plan: RequestPlan | None = kwargs.pop(PLAN_KEY, None)
        params = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        params["ls_model_name"] = kwargs.get("model") or "avengers"
        if plan is not None and (first := plan.first) is not None:
            params["ls_provider"], params["ls_model_name"] = first.provider, first.name
        elif plan is None and (provider := self._likely_provider()):
            params["ls_provider"] = provider
        return params

    def _likely_provider(self) -> str | None:
        """The provider of the model that was asked last, or else the one that all models have.

        LangChain's middleware asks a model for its provider, before there is a plan, to know whose a message is.
        """
        pool = self.dispatcher.pool
        given = [pool.get(self._last_asked).client] if self._last_asked in pool.ids else pool.given.values()
        models = (unwrap(client)[0] for client in given if isinstance(client, Runnable))
        providers = {model._get_ls_params().get("ls_provider") for model in models}
        return providers.pop() if len(providers) == 1 else None

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        plan: RequestPlan | None = kwargs.pop(PLAN_KEY, None)
        params = super()._get_invocation_params(stop=stop, **plain_tools(kwargs))
        if plan is not None:
            params["alpha"] = plan.options.alpha
            if (first := plan.first) is not None:
                params["model"] = first.name
        return params

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        """What the models said beside their messages; tokens are added up."""
        said = [output for output in llm_outputs if output]
        usages = [usage for output in said if isinstance(usage := output.get("token_usage"), dict)]
        names = dict.fromkeys(name for usage in usages for name, count in usage.items() if isinstance(count, int))
        together = {name: sum(usage.get(name) or 0 for usage in usages) for name in names}
        merged = {name: value for output in said for name, value in output.items()}
        return {**merged, "token_usage": together} if usages else merged

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        plan: RequestPlan | None = kwargs.pop(PLAN_KEY, None)
        key = super()._get_llm_string(stop=stop, **plain_tools(kwargs))
        return f"{key}---{plan.cache_key() if plan else self.route_options()}"

    def get_num_tokens(self, text: str) -> int:
        """Count the tokens of a text by tiktoken, or estimate them: which model will answer is not known yet.

        Args:
            text: The text.
        """
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        codec = encoding()
        return len(codec.encode(text, disallowed_special=())) if codec else round(estimate_tokens(text))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Count the input tokens of messages, and of tools if there are any.

        Args:
            messages: The messages.
            tools: Tools in any form that LangChain takes.
        """
        return round(count_tokens(messages) + tools_size(tools or ()) / 4)
