"""`ChatAvengers`: a chat model that sends each request to the model that the router chooses."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from avengers_core import AvengersError, Decision
from avengers_core._utils.tokens import encoding, estimate_tokens
from avengers_core.adapters import only_models, take
from avengers_core.dispatch.call import Attempt, Call
from avengers_core.dispatch.options import CallLabels
from avengers_core.routing.capabilities import shared
from avengers_core.routing.options import ROUTE_FIELDS, RouteOverrides
from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config
from langchain_core.runnables.utils import AnyConfigurableField, ConfigurableFieldSpec
from pydantic import ConfigDict, PrivateAttr, model_validator
from typing_extensions import Self

from .._answers import ChunkAccumulator, finish, message_of, request_usage, with_decision
from .._messages import count_tokens, portable, routing_text
from .._models import Client
from .._runs import InnerRequest, ainner_run, child_manager, inner_run
from .._structured import bind, plain_tools, tools_size
from .binding import AvengersBinding
from .fields import BUILD_FIELDS, CONFIGURABLE_FIELDS, ChatFields
from .plan import PLAN_KEY, RequestPlan, variant_key

__all__ = ["ChatAvengers"]

#: LangChain's names in a model's profile for our names of capabilities.
_PROFILE_NAMES = {
    "tools": "tool_calling",
    "images": "image_inputs",
    "audio": "audio_inputs",
    "pdf": "pdf_inputs",
    "video": "video_inputs",
    "reasoning": "reasoning_output",
}


class ChatAvengers(ChatFields, BaseChatModel):
    """A chat model that sends each request to the model with the best expected score for its expected cost.

    A drop-in for any `BaseChatModel`. A single call can change the options of the router and the fields that say which
    models are asked. What is nearest to the call wins: an argument (``invoke(..., alpha=0.9)``, ``bind(alpha=0.9)``),
    then ``config={"configurable": {"alpha": 0.9}}``, then the field.

    Example:
        >>> llm = ChatAvengers(alpha=0.4)  # doctest: +SKIP
        >>> llm.invoke("What is 17 * 23?").response_metadata["avengers"]["model"]  # doctest: +SKIP
        'gpt-4o-mini-2024-07-18'

    Raises:
        NoCandidateError: If no model can do what a request needs. The message says what rules out which model.
        BudgetError: If the budget leaves no model.
        ArtifactError: If the artifact is missing or damaged, or was trained with other embeddings.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    _config_names: dict[str, str] = PrivateAttr(default_factory=dict)

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
        return {"alpha": self.alpha, "models": models, "artifact": artifact, "scoring": self.scoring}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether it can be dumped: it can, without the models' keys and a ledger's password."""
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
        """What every candidate can do, as far as it is known without making a model."""
        pool = self.dispatcher.pool
        known = shared(pool.capabilities(name) for name in pool.ids if name not in self.exclude_models)
        return cast("ModelProfile", {_PROFILE_NAMES.get(name, name): value for name, value in known.items()})

    # --- fields that a call can change ---

    def _option_names(self) -> dict[str, str]:
        """Fields by their name in ``configurable``."""
        return {**{f"{self.config_prefix}{name}": name for name in CONFIGURABLE_FIELDS}, **self._config_names}

    def configurable_fields(self, **kwargs: AnyConfigurableField) -> Any:
        """Give fields other names in ``configurable``. The result is still a `ChatAvengers`, so tools can be bound.

        Args:
            kwargs: `ConfigurableField` by the name of a field.
        """
        if not set(kwargs) <= set(CONFIGURABLE_FIELDS):
            return super().configurable_fields(**kwargs)
        named = self.model_copy()
        named._config_names = {**self._config_names, **{field.id: name for name, field in kwargs.items()}}
        return named

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """Names that ``configurable`` takes."""
        fields = type(self).model_fields
        return [
            ConfigurableFieldSpec(
                id=key,
                annotation=Any if name in BUILD_FIELDS else fields[name].annotation,  # objects have no JSON schema
                name=name,
                default=None if name in BUILD_FIELDS else getattr(self, name),
                is_shared=True,
            )
            for key, name in self._option_names().items()
        ]

    # --- planning a call ---

    def _plan_request(self, overrides: Mapping[str, Any], labels: CallLabels, manager: Any) -> RequestPlan:
        """Say how to choose for a request.

        Args:
            overrides: Fields that the request gives. ``models`` may be ids of some of this model's own models: these,
                their cooldowns and their ledger are kept, and the other ones are excluded.
            labels: What the call is recorded under.
            manager: Callbacks for the runs of the chosen models.
        """
        build = {name: value for name, value in overrides.items() if name in BUILD_FIELDS}
        given: Any = {name: value for name, value in overrides.items() if name in ROUTE_FIELDS}
        options = self.route_options(cast("RouteOverrides", given))
        models, ids = build.get("models"), self.dispatcher.pool.ids
        if isinstance(models, (list, tuple)) and set(models) <= set(ids):
            options = only_models(options, build.pop("models"), ids)
        return RequestPlan(options, self._dispatcher_with(build), labels, manager, variant_key(build))

    def _start(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None,
        kwargs: dict[str, Any],
        managers: type[CallbackManager | AsyncCallbackManager],
    ) -> tuple[list[BaseMessage], RunnableConfig, dict[str, Any]]:
        """Messages, config and arguments for LangChain's own `invoke`, with the planned call among the arguments.

        An error of planning is raised inside the run, where the call is planned again.
        """
        messages = self._convert_input(input).to_messages()
        config = ensure_config(config)
        configurable = config.get("configurable") or {}
        overrides = {name: configurable[key] for key, name in self._option_names().items() if key in configurable}
        overrides |= _take_overrides(kwargs)
        manager = managers.configure(
            config.get("callbacks"),
            inheritable_tags=config.get("tags"),
            inheritable_metadata=config.get("metadata"),
        )
        run_id = config.get("run_id") or uuid.uuid4()
        session = str(configurable.get("session_id") or configurable.get("thread_id") or self._instance)
        tags = tuple(dict.fromkeys([*(config.get("tags") or ()), *(self.tags or ())]))
        labels = CallLabels(session, str(run_id), tags)
        plan = self._plan_request(overrides, labels, child_manager(manager, run_id))
        try:
            plan.call = plan.new_call(messages, kwargs)
        except AvengersError:
            plan.call = None
        started = cast("RunnableConfig", {**config, "callbacks": manager, "run_id": run_id})
        return messages, started, {**kwargs, PLAN_KEY: plan}

    def _take_plan(self, kwargs: dict[str, Any], run_manager: Any) -> RequestPlan:
        """The plan of a request. It is made now if LangChain came in by another way than `invoke` or `stream`."""
        plan: RequestPlan | None = kwargs.pop(PLAN_KEY, None)
        if plan is not None:
            return plan
        overrides = _take_overrides(kwargs)
        if run_manager is None:
            return self._plan_request(overrides, CallLabels(self._instance), None)
        labels = CallLabels(self._instance, str(run_manager.run_id), tuple(run_manager.tags))
        return self._plan_request(overrides, labels, child_manager(run_manager, run_manager.run_id))

    def plan(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Call[Client]:
        """Plan a call for an input without asking a model.

        Args:
            input: As for `invoke`.
            config: As for `invoke`.
            kwargs: As for `invoke`.

        Raises:
            NoCandidateError: If no model can do what the request needs.
            BudgetError: If the budget leaves no model.
        """
        messages, _, kwargs = self._start(input, config, kwargs, CallbackManager)
        return self._take_plan(kwargs, None).take_call(messages, kwargs)

    def route(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Decision:
        """Decide for an input without asking a model.

        Args:
            input: As for `invoke`.
            config: As for `invoke`.
            kwargs: As for `invoke`.

        Raises:
            NoCandidateError: If no model can do what the request needs.
            BudgetError: If the budget leaves no model.
        """
        return self.plan(input, config, **kwargs).decision

    def embed_inputs(self, inputs: Sequence[LanguageModelInput], **kwargs: Any) -> None:
        """Embed the queries of many inputs together, for the calls that follow.

        Args:
            inputs: As for `batch`.
            kwargs: Fields for these calls.
        """
        overrides = {name: value for name, value in kwargs.items() if name in CONFIGURABLE_FIELDS}
        plan = self._plan_request(overrides, CallLabels(), None)
        messages = (self._convert_input(input).to_messages() for input in inputs)
        plan.dispatcher.embed([routing_text(one, plan.options.route_on) for one in messages])

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
        messages, config, kwargs = self._start(input, config, kwargs, CallbackManager)
        return super().invoke(messages, config, stop=stop, **kwargs)

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """`invoke`, async."""
        messages, config, kwargs = self._start(input, config, kwargs, AsyncCallbackManager)
        return await super().ainvoke(messages, config, stop=stop, **kwargs)

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
        messages, config, kwargs = self._start(input, config, kwargs, CallbackManager)
        yield from super().stream(messages, config, stop=stop, **kwargs)

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
        messages, config, kwargs = self._start(input, config, kwargs, AsyncCallbackManager)
        async for chunk in super().astream(messages, config, stop=stop, **kwargs):
            yield chunk

    def stream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Events of a stream, see `BaseChatModel.stream_events`."""
        if kwargs.get("version") == "v3":
            input, config, kwargs = self._start(input, config, kwargs, CallbackManager)
        return super().stream_events(input, config, **kwargs)

    def astream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """`stream_events`, async."""
        if kwargs.get("version") == "v3":
            input, config, kwargs = self._start(input, config, kwargs, AsyncCallbackManager)
        return super().astream_events(input, config, **kwargs)

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
            self.embed_inputs(inputs, **kwargs)
        return await super().abatch(inputs, config, return_exceptions=return_exceptions, **kwargs)

    # --- the call itself ---

    def _request(
        self, attempt: Attempt[Client], messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> InnerRequest:
        """The request as the chosen model takes it."""
        arguments = {k: v for k, v in kwargs.items() if k not in ("stream", "avengers_structured")}
        model, arguments = bind(
            attempt.member.client, self._with_defaults(arguments), kwargs.get("avengers_structured")
        )
        return InnerRequest(model, portable(messages, attempt.member.provider), stop or self.stop or None, arguments)

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
                    result = request.model._generate_with_cache(
                        request.messages, stop=request.stop, **request.arguments
                    )
                    run.answer = message_of(result)
                finish(attempt, run.answer)
        return with_decision(result, attempt)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        plan = self._take_plan(kwargs, run_manager)
        for attempt in plan.take_call(messages, kwargs):
            with attempt:
                request = self._request(attempt, messages, stop, kwargs)
                async with ainner_run(plan.manager, request) as run:
                    result = await request.model._agenerate_with_cache(
                        request.messages, stop=request.stop, **request.arguments
                    )
                    run.answer = message_of(result)
                finish(attempt, run.answer)
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
                    chunks = ChunkAccumulator(attempt)
                    if model._should_stream(async_api=False, **{**arguments, "stream": True}):
                        if model.rate_limiter:
                            model.rate_limiter.acquire(blocking=True)
                        for chunk in model._stream(sent, stop=request.stop, **request_usage(model, arguments)):
                            yield chunks.add(chunk)
                    else:
                        result = model._generate_with_cache(sent, stop=request.stop, **arguments)
                        yield chunks.add_result(result)
                    chunks.finish()
                    run.answer = chunks.message()
                yield chunks.decision_chunk()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        plan = self._take_plan(kwargs, run_manager)
        for attempt in plan.take_call(messages, kwargs):
            with attempt:
                request = self._request(attempt, messages, stop, kwargs)
                model, sent, arguments = request.model, request.messages, request.arguments
                async with ainner_run(plan.manager, request) as run:
                    chunks = ChunkAccumulator(attempt)
                    if model._should_stream(async_api=True, **{**arguments, "stream": True}):
                        if model.rate_limiter:
                            await model.rate_limiter.aacquire(blocking=True)
                        async for chunk in model._astream(sent, stop=request.stop, **request_usage(model, arguments)):
                            yield chunks.add(chunk)
                    else:
                        result = await model._agenerate_with_cache(sent, stop=request.stop, **arguments)
                        yield chunks.add_result(result)
                    chunks.finish()
                    run.answer = chunks.message()
                yield chunks.decision_chunk()

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
        return params

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        plan: RequestPlan | None = kwargs.pop(PLAN_KEY, None)
        params = super()._get_invocation_params(stop=stop, **plain_tools(kwargs))
        if plan is not None:
            params["alpha"] = plan.options.alpha
            if (first := plan.first) is not None:
                params["model"] = first.name
        return params

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


def _take_overrides(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Remove the fields from a call's arguments and return them; ``model="id"`` is short for ``models=["id"]``."""
    overrides = take(kwargs, CONFIGURABLE_FIELDS)
    if "model" in kwargs:
        overrides["models"] = [kwargs.pop("model")]
    return overrides
