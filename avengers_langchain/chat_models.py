"""`ChatAvengers`: a chat model that asks, for each request, the model that the router chooses."""

from __future__ import annotations

import copy
import functools
import operator
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from avengers_core import AvengersError, Decision, Router
from avengers_core.dispatch.call import Attempt, Call
from avengers_core.dispatch.dispatcher import Dispatcher
from avengers_core.dispatch.factory import open_dispatcher
from avengers_core.dispatch.options import CallLabels
from avengers_core.dispatch.pool import ModelPool
from avengers_core.ledger.budget import plain_budget
from avengers_core.ledger.store import Ledger
from avengers_core.pricing.types import plain_prices
from avengers_core.routing.capabilities import shared
from avengers_core.routing.options import RouteOptions, check_route_on
from avengers_core.routing.scoring import check_alpha, check_exploration, check_scoring
from langchain_core.callbacks import (
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig, ensure_config
from langchain_core.runnables.utils import AnyConfigurableField, ConfigurableFieldSpec
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from ._answers import Heard, answer_of, described, finish, streaming
from ._messages import as_prompt, portable, routing_text
from ._models import describe, is_client, make_model
from ._runs import ainner_run, child_manager, inner_run
from ._structured import METHODS, bind, needs_of, plain_tools, structured_chain, tools_size
from .embeddings import as_embedder

Client = Runnable[Any, Any]

#: Fields that only steer the choice, and those that make the router, its pool and its ledger.
ROUTE_FIELDS = ("alpha", "scoring", "exclude_models", "fallbacks", "exploration", "route_on", "sticky", "budget")
BUILD_FIELDS = ("models", "artifact", "embeddings", "ledger", "capabilities", "prices", "cooldown", "init_kwargs")
CONFIGURABLE = (*ROUTE_FIELDS, *BUILD_FIELDS)


@dataclass(frozen=True)
class _Engine:
    """What a `ChatAvengers` stands on, and the field values that it was made from."""

    made_from: tuple[Any, ...]
    dispatcher: Dispatcher[Client]

    @property
    def router(self) -> Router:
        return self.dispatcher.router

    @property
    def pool(self) -> ModelPool[Client]:
        return self.dispatcher.pool


@dataclass
class _Plan:
    """A request on its way from `invoke` to `_generate`: the model's settings for it, and its call if it has one."""

    model: ChatAvengers
    session: str
    tags: list[str]
    manager: Any = None
    run: str = ""
    call: Call[Client] | None = None

    def __repr__(self) -> str:
        return f"<plan for {self.call.order[0]}>" if self.call else "<plan>"


_KEY = "avengers_plan"


class ChatAvengers(BaseChatModel):
    """A chat model that sends each request to the model with the best expected score for its expected cost.

    A drop-in wherever a `BaseChatModel` goes. Each field of the first group can be set for one call; what is nearest
    to the call wins: an argument (``invoke(..., alpha=0.9)``, ``bind(alpha=0.9)``), then
    ``config={"configurable": {"alpha": 0.9}}``, then the field.

    Example:
        >>> llm = ChatAvengers(alpha=0.4)  # doctest: +SKIP
        >>> llm.invoke("What is 17 * 23?").response_metadata["avengers"]["model"]  # doctest: +SKIP
        'gpt-4o-mini-2024-07-18'

    Raises:
        NoCandidateError: no model can do what a request needs; it says what rules out which.
        BudgetError: the budget leaves none.
        ArtifactError: the artifact is missing or damaged, or was trained with other embeddings.
    """

    alpha: float | None = None
    """From 0 (cost only) to 1 (quality only); default: the artifact's."""
    models: Any = None
    """Ids of the artifact, or ``{id: chat model or "provider:model"}``; default: all of the artifact's.

    Ids are made with `init_chat_model` when first chosen; those whose integration or key is missing are left out."""
    artifact: Any = None
    """Path or pretrained name of the trained router, or a `Router`; default: the packaged one."""
    scoring: str | None = None
    """``utility``, ``reference`` or ``simple``; default: the artifact's."""
    exclude_models: Sequence[str] = ()
    """Ids that must not be asked."""
    embeddings: Embeddings | None = Field(default=None, exclude=True)
    """The embeddings that the artifact was trained with; default: made from the artifact's id."""
    fallbacks: bool | int | Sequence[str] = True
    """How many of the next-ranked models may be asked when one fails (True: all), or their ids in order."""
    exploration: float = 0.0
    """Share of calls whose model is drawn at random, so that the ledger can tell how the others answer."""
    route_on: Any = "last_human"
    """The text that is embedded: ``last_human``, ``with_system``, ``conversation``, or a function of the messages."""
    sticky: bool = True
    """Keep the model within a tool loop; between turns, weigh the prompt cache that a change would lose."""
    ledger: Any = Field(default=None, repr=False)
    """Where calls are recorded: a path, an SQLAlchemy URL, a `Ledger`, or True for the default file. Default:
    ``$AVENGERS_LEDGER`` if set, else nowhere."""
    budget: Any = None
    """`Budget`, or a mapping of ``per_call``, ``per_session`` and ``per_day`` in US dollars."""
    capabilities: Mapping[str, Mapping[str, Any]] | None = None
    """What models can do where profiles and artifact do not say, as ``{id: {"tools": True}}``."""
    prices: Any = None
    """Contract prices, ``{id: Price or its fields}``, in place of list prices."""
    cooldown: float = 30.0
    """Seconds that a model is left alone after it failed."""
    init_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Arguments for models that are made from ids, such as ``{"timeout": 60}``."""
    config_prefix: str = ""
    """Prefix of the names in ``configurable``, where two routers share a config."""

    temperature: float | None = None
    """Sent with each call where given, as are ``max_tokens`` and ``stop``."""
    max_tokens: int | None = None
    stop: list[str] | None = None
    streaming: bool = False
    """Stream inside ``invoke``, too."""
    timeout: float | None = None
    """Seconds; for models made from ids, as are ``max_retries`` and ``api_key``."""
    max_retries: int | None = None
    api_key: SecretStr | None = None

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    _engine_made: _Engine | None = PrivateAttr(default=None)
    _variants: list[ChatAvengers] = PrivateAttr(default_factory=list)
    _config_names: dict[str, str] = PrivateAttr(default_factory=dict)
    _instance: str = PrivateAttr(default_factory=lambda: uuid.uuid4().hex)

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

    # Both are kept as plain values, which can be dumped and loaded.

    @field_validator("budget")
    @classmethod
    def _valid_budget(cls, value: Any) -> dict[str, float] | None:
        return plain_budget(value)

    @field_validator("prices")
    @classmethod
    def _valid_prices(cls, value: Any) -> dict[str, dict[str, Any]] | None:
        return plain_prices(value)

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
        """It can be dumped; keys of the models and a ledger's password are left out."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where it is loaded from."""
        return ["avengers_langchain", "chat_models"]

    @property
    def lc_secrets(self) -> dict[str, str]:
        """A ledger's URL with a password is read from the environment when loaded."""
        secret = isinstance(self.ledger, str) and "://" in self.ledger and "@" in self.ledger
        return {"api_key": "AVENGERS_API_KEY", **({"ledger": "AVENGERS_LEDGER"} if secret else {})}

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        private = dict(state.get("__pydantic_private__") or {})
        private |= {"_engine_made": None, "_variants": []}
        return {**state, "__pydantic_private__": private}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> ChatAvengers:
        bare = copy.copy(self)
        bare._engine_made, bare._variants = None, []
        return super(ChatAvengers, bare).__deepcopy__(memo)

    # --- what it stands on ---

    @property
    def _making(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in BUILD_FIELDS)

    @property
    def _engine(self) -> _Engine:
        values = (*self._making, self.timeout, self.max_retries, self.api_key)
        made = self._engine_made
        if made is None or not all(map(operator.is_, values, made.made_from)):
            made = self._engine_made = _Engine(values, self._make_dispatcher())
        return made

    def _make_dispatcher(self) -> Dispatcher[Client]:
        extra = {"timeout": self.timeout, "max_retries": self.max_retries, "api_key": self.api_key}
        init_kwargs = {**{k: v for k, v in extra.items() if v is not None}, **self.init_kwargs}
        return open_dispatcher(
            self.artifact,
            self.models,
            make=functools.partial(make_model, init_kwargs=init_kwargs),
            is_client=is_client,
            describe=describe,
            kind="a chat model (give the model itself, and with_retry or with_fallbacks to ChatAvengers)",
            embedder=None if self.embeddings is None else as_embedder(self.embeddings),
            prices=self.prices,
            capabilities=self.capabilities,
            ledger=self.ledger,
            cooldown=self.cooldown,
        )

    @property
    def router(self) -> Router:
        """The router, for `Router.route`, prices and the artifact."""
        return self._engine.router

    @property
    def spending(self) -> Ledger | None:
        """The ledger, if calls are recorded."""
        return self._engine.dispatcher.ledger

    def _resolve_model_profile(self) -> ModelProfile | None:
        """What every candidate can do, as far as it is known without making a model."""
        pool = self._engine.pool
        known = shared(pool.capabilities(name) for name in pool.ids if name not in self.exclude_models)
        names = {"tools": "tool_calling", "images": "image_inputs", "audio": "audio_inputs", "pdf": "pdf_inputs"}
        names |= {"video": "video_inputs", "reasoning": "reasoning_output"}
        return cast("ModelProfile", {names.get(name, name): value for name, value in known.items()})

    @model_validator(mode="after")
    def _make_engine(self) -> ChatAvengers:
        """Wrong models, artifacts and ledgers are errors now, not at the first call; no model is made."""
        _ = self._engine
        return self

    # --- one call's settings ---

    def _option_names(self) -> dict[str, str]:
        return {**{f"{self.config_prefix}{name}": name for name in CONFIGURABLE}, **self._config_names}

    def configurable_fields(self, **kwargs: AnyConfigurableField) -> Any:
        """Give fields other names in ``configurable``. The result is a `ChatAvengers` still, so tools can be bound."""
        if not set(kwargs) <= set(CONFIGURABLE):
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

    @staticmethod
    def _overrides(kwargs: dict[str, Any]) -> dict[str, Any]:
        """Fields among a call's arguments, taken out of them; ``model="id"`` is short for ``models=["id"]``."""
        overrides = {name: kwargs.pop(name) for name in CONFIGURABLE if name in kwargs}
        if "model" in kwargs:
            overrides["models"] = [kwargs.pop("model")]
        return overrides

    def _with(self, overrides: dict[str, Any]) -> ChatAvengers:
        """This model with other fields, for one call."""
        if not overrides:
            return self
        ids, models = self._engine.pool.ids, overrides.get("models")
        if isinstance(models, (list, tuple)) and set(models) <= set(ids):
            # Some of the same models: they, their cooldowns and their ledger stay.
            del overrides["models"]
            left_out = [name for name in ids if name not in models]
            overrides["exclude_models"] = [*overrides.get("exclude_models", self.exclude_models), *left_out]
        making = {name: value for name, value in overrides.items() if name in BUILD_FIELDS}
        base = self
        if making:
            wanted = [making.get(name, getattr(self, name)) for name in BUILD_FIELDS]
            same = (one for one in self._variants if all(map(operator.is_, one._making, wanted)))
            base = next(same, None) or self._checked(self, making)
            self._variants = [base, *(one for one in self._variants if one is not base)][:8]
        steering = {name: value for name, value in overrides.items() if name in ROUTE_FIELDS}
        if not steering:
            return base
        engine = base._engine
        changed = self._checked(base, steering)
        changed._engine_made = engine
        return changed

    @staticmethod
    def _checked(base: ChatAvengers, update: dict[str, Any]) -> ChatAvengers:
        validated: dict[str, Any] = {
            "alpha": ChatAvengers._valid_alpha,
            "scoring": ChatAvengers._valid_scoring,
            "exploration": ChatAvengers._valid_exploration,
            "route_on": ChatAvengers._valid_route_on,
            "budget": ChatAvengers._valid_budget,
            "prices": ChatAvengers._valid_prices,
        }
        checked = {name: validated[name](value) if name in validated else value for name, value in update.items()}
        changed = base.model_copy(update=checked)
        changed._variants = []
        return changed

    def _start(
        self, input: LanguageModelInput, config: RunnableConfig | None, kwargs: dict[str, Any], managers: Any
    ) -> tuple[list[BaseMessage], RunnableConfig, dict[str, Any]]:
        """Messages, config and arguments for LangChain's own `invoke`, with the call planned.

        It is planned before the outer run starts, so that the run is named after the real model. An error is raised
        inside the run: the plan is made again there.
        """
        messages = self._convert_input(input).to_messages()
        config = ensure_config(config)
        configurable = config.get("configurable") or {}
        overrides = {name: configurable[key] for key, name in self._option_names().items() if key in configurable}
        overrides |= self._overrides(kwargs)
        manager = managers.configure(
            config.get("callbacks"),
            inheritable_tags=config.get("tags"),
            inheritable_metadata=config.get("metadata"),
        )
        run_id = config.get("run_id") or uuid.uuid4()
        plan = _Plan(
            self._with(overrides),
            str(configurable.get("session_id") or configurable.get("thread_id") or self._instance),
            list(dict.fromkeys([*(config.get("tags") or ()), *(self.tags or ())])),
            child_manager(manager, run_id),
            str(run_id),
        )
        try:
            plan.call = self._call(plan, messages, kwargs)
        except AvengersError:
            plan.call = None
        started = cast("RunnableConfig", {**config, "callbacks": manager, "run_id": run_id})
        return messages, started, {**kwargs, _KEY: plan}

    def _call(self, plan: _Plan, messages: list[BaseMessage], kwargs: Mapping[str, Any]) -> Call[Client]:
        model = plan.model
        tools = kwargs.get("tools") or ()
        prompt = as_prompt(
            messages, model.route_on, needs_of(kwargs), tool_tokens=tools_size(tools) / 4 if tools else 0.0
        )
        options = RouteOptions().override({name: getattr(model, name) for name in ROUTE_FIELDS})  # type: ignore[arg-type]
        labels = CallLabels(plan.session, plan.run, tuple(plan.tags))
        return model._engine.dispatcher.plan(prompt, options, labels)

    def _planned(
        self, messages: list[BaseMessage], kwargs: dict[str, Any], run_manager: Any
    ) -> tuple[Call[Client], _Plan]:
        """The call of a request, planned now where LangChain came in by another way than `invoke` or `stream`."""
        plan: _Plan | None = kwargs.pop(_KEY, None)
        if plan is None:
            overrides = self._overrides(kwargs)
            run = str(run_manager.run_id) if run_manager else ""
            manager = child_manager(run_manager, run_manager.run_id) if run_manager else None
            tags = list(run_manager.tags) if run_manager else []
            plan = _Plan(self._with(overrides), self._instance, tags, manager, run)
        call, plan.call = plan.call, None
        return call or self._call(plan, messages, kwargs), plan

    # --- LangChain's entries: plan, then go on as any chat model ---

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Ask the model that the router chooses; fields may be given for this call."""
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
        """`invoke`, chunk by chunk."""
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
        """Events of a stream; see `BaseChatModel.stream_events`."""
        if kwargs.get("version") == "v3":
            input, config, kwargs = self._start(input, config, kwargs, CallbackManager)
        return super().stream_events(input, config, **kwargs)

    def astream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """`stream_events`, async."""
        if kwargs.get("version") == "v3":
            input, config, kwargs = self._start(input, config, kwargs, AsyncCallbackManager)
        return super().astream_events(input, config, **kwargs)

    def _embed_together(self, inputs: Sequence[Any], config: Any, kwargs: Mapping[str, Any]) -> None:
        steering = {name: kwargs[name] for name in CONFIGURABLE if name in kwargs}
        model = self._with(steering)
        texts = [routing_text(self._convert_input(one).to_messages(), model.route_on) for one in inputs]
        model._engine.dispatcher.embed(texts)

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """`invoke` for many inputs in threads; their queries are embedded together."""
        if inputs:
            self._embed_together(inputs, config, kwargs)
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
            self._embed_together(inputs, config, kwargs)
        return await super().abatch(inputs, config, return_exceptions=return_exceptions, **kwargs)

    # --- the call itself ---

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, plan = self._planned(messages, kwargs, run_manager)
        for attempt in call:
            with attempt:
                model, sent, stop_at, arguments = self._prepare(attempt, messages, stop, kwargs)
                with inner_run(plan.manager, model, sent, stop_at, arguments) as run:
                    result = model._generate_with_cache(sent, stop=stop_at, **arguments)
                    run.answer = answer_of(result)
                finish(attempt, run.answer)
        return described(result, attempt)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call, plan = self._planned(messages, kwargs, run_manager)
        for attempt in call:
            with attempt:
                model, sent, stop_at, arguments = self._prepare(attempt, messages, stop, kwargs)
                async with ainner_run(plan.manager, model, sent, stop_at, arguments) as run:
                    result = await model._agenerate_with_cache(sent, stop=stop_at, **arguments)
                    run.answer = answer_of(result)
                finish(attempt, run.answer)
        return described(result, attempt)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call, plan = self._planned(messages, kwargs, run_manager)
        for attempt in call:
            with attempt:
                model, sent, stop_at, arguments = self._prepare(attempt, messages, stop, kwargs)
                with inner_run(plan.manager, model, sent, stop_at, arguments) as run:
                    heard = Heard()
                    if model._should_stream(async_api=False, **{**arguments, "stream": True}):
                        if model.rate_limiter:
                            model.rate_limiter.acquire(blocking=True)
                        for chunk in model._stream(sent, stop=stop_at, **streaming(model, arguments)):
                            heard.add(attempt, chunk)
                            yield chunk
                    else:
                        result = model._generate_with_cache(sent, stop=stop_at, **arguments)
                        yield heard.whole(attempt, result)
                    run.answer = heard.finish(attempt)
                yield heard.last(attempt)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call, plan = self._planned(messages, kwargs, run_manager)
        for attempt in call:
            with attempt:
                model, sent, stop_at, arguments = self._prepare(attempt, messages, stop, kwargs)
                async with ainner_run(plan.manager, model, sent, stop_at, arguments) as run:
                    heard = Heard()
                    if model._should_stream(async_api=True, **{**arguments, "stream": True}):
                        if model.rate_limiter:
                            await model.rate_limiter.aacquire(blocking=True)
                        async for chunk in model._astream(sent, stop=stop_at, **streaming(model, arguments)):
                            heard.add(attempt, chunk)
                            yield chunk
                    else:
                        result = await model._agenerate_with_cache(sent, stop=stop_at, **arguments)
                        yield heard.whole(attempt, result)
                    run.answer = heard.finish(attempt)
                yield heard.last(attempt)

    def _prepare(
        self, attempt: Attempt[Client], messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> tuple[BaseChatModel, list[BaseMessage], list[str] | None, dict[str, Any]]:
        """The chosen model, and messages, stop words and arguments as it takes them."""
        arguments = {k: v for k, v in kwargs.items() if k not in ("stream", "avengers_structured")}
        for name in ("temperature", "max_tokens"):
            if (value := getattr(self, name)) is not None:
                arguments.setdefault(name, value)
        model, arguments = bind(attempt.member.client, arguments, kwargs.get("avengers_structured"))
        return model, portable(messages, attempt.member.provider), stop or self.stop or None, arguments

    # --- tools and structured output, before the model is known ---

    def bind(self, **kwargs: Any) -> AvengersBinding:  # type: ignore[override]
        """Bind arguments or fields, keeping the chat model's methods."""
        return AvengersBinding(bound=self, kwargs=kwargs, config={})

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> AvengersBinding:
        """Bind a config, keeping the chat model's methods."""
        return AvengersBinding(bound=self, config=cast("RunnableConfig", {**(config or {}), **kwargs}), kwargs={})

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> AvengersBinding:
        """Keep tools for the model that will be chosen, which can call tools."""
        return self.bind().bind_tools(tools, tool_choice=tool_choice, **kwargs)

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Runnable[Any, Any]:
        """Answers that fit a schema, by whatever method the chosen model has.

        Args:
            schema: pydantic class, TypedDict, JSON schema or OpenAI tool.
            include_raw: give ``{"raw", "parsed", "parsing_error"}``.
            kwargs: ``method`` (``json_schema``, ``function_calling``, ``json_mode``), ``strict``, and others of the
                chosen model's own method.
        """
        return self.bind().with_structured_output(schema, include_raw=include_raw, **kwargs)

    # --- what LangChain asks of a chat model ---

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop or self.stop, **{k: v for k, v in kwargs.items() if k != _KEY})
        plan: _Plan | None = kwargs.get(_KEY)
        params["ls_model_name"] = kwargs.get("model") or "avengers"
        if plan is not None and plan.call is not None:
            member = plan.call.first
            params["ls_provider"], params["ls_model_name"] = member.provider, member.name
        return params

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        plan: _Plan | None = kwargs.pop(_KEY, None)
        params = super()._get_invocation_params(stop=stop, **plain_tools(kwargs))
        if plan is not None:
            params["alpha"] = plan.model.alpha
            if plan.call is not None:
                params["model"] = plan.call.first.name
        return params

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        plan: _Plan | None = kwargs.pop(_KEY, None)
        key = super()._get_llm_string(stop=stop, **plain_tools(kwargs))
        steering = {name: getattr(plan.model if plan else self, name) for name in ROUTE_FIELDS}
        return f"{key}---{steering}"

    def get_num_tokens(self, text: str) -> int:
        """Tokens of a text by tiktoken, else an estimate: which model will answer is not known yet."""
        from avengers_core._utils.tokens import encoding, estimate_tokens

        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        codec = encoding()
        return len(codec.encode(text, disallowed_special=())) if codec else round(estimate_tokens(text))

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Input tokens of messages, and of tools where given."""
        from ._messages import count_tokens

        return round(count_tokens(messages) + tools_size(tools or ()) / 4)

    def route(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Decision:
        """The decision for an input, without asking a model.

        Raises:
            NoCandidateError, BudgetError: as for `invoke`.
        """
        messages, _, kwargs = self._start(input, config, kwargs, CallbackManager)
        call, _ = self._planned(messages, kwargs, None)
        return call.decision


class AvengersBinding(RunnableBinding[LanguageModelInput, AIMessage]):
    """`ChatAvengers` with bound arguments or config; tools and structured output add to what is bound."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """Dumped as LangChain's own binding."""
        return [*cls.get_lc_namespace(), "RunnableBinding"]

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> AvengersBinding:
        """Bind tools; other bound arguments and the config stay."""
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        return cast("AvengersBinding", self.bind(tools=list(tools), **choice, **kwargs))

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Runnable[Any, Any]:
        """See `ChatAvengers.with_structured_output`; bound tools stay bound."""
        tools = kwargs.pop("tools", None)
        if kwargs.get("method") not in METHODS:
            raise ValueError(f"method must be function_calling, json_schema or json_mode, not {kwargs['method']!r}")
        structured = {"schema": schema, "kwargs": kwargs}
        method = {"method": kwargs.get("method") or "function_calling"}
        bound = self.bind(
            avengers_structured=structured,
            ls_structured_output_format={"kwargs": method, "schema": schema},
            **({"tools": list(tools)} if tools else {}),
        )
        return structured_chain(bound, schema, include_raw)
