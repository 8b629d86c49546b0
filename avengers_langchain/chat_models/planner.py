"""How `ChatAvengers` plans its calls: from its fields, the config and the arguments of a call."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from avengers_core import AvengersError, Decision
from avengers_core._utils.threads import off_loop, turn
from avengers_core.adapters import only_models, take
from avengers_core.dispatch.call import Call
from avengers_core.dispatch.dispatcher import QUICK_CHARACTERS
from avengers_core.dispatch.options import CallLabels
from avengers_core.routing.options import ROUTE_FIELDS, RouteOverrides, merge_overrides
from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.prompt_values import PromptValue, StringPromptValue
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.utils import AnyConfigurableField, ConfigurableFieldSpec
from langchain_core.tracers.context import tracing_v2_callback_var
from langsmith.utils import tracing_is_enabled
from pydantic import PrivateAttr

from .._messages import routing_text
from .._models import Client
from .fields import BUILD_FIELDS, CONFIGURABLE_FIELDS, STEERING_FIELDS, ChatFields
from .plan import PLAN_KEY, RequestPlan, variant_key

__all__ = ["PlanningChatModel"]


_log = logging.getLogger("avengers")

#: Fields of a call with which planning it may load an artifact, make models or ask a database.
_SLOW_FIELDS = frozenset({*BUILD_FIELDS, "budget", "model"})


class PlanningChatModel(ChatFields, BaseChatModel):
    """A chat model whose calls are planned before they are made.

    What is nearest to a call wins: its arguments, then ``configurable`` in its config, then the fields.
    """

    _config_names: dict[str, str] = PrivateAttr(default_factory=dict)

    def _option_names(self) -> dict[str, str]:
        """Fields by their name in ``configurable``."""
        return {**{f"{self.config_prefix}{name}": name for name in self.configurable}, **self._config_names}

    def _from_config(self, configurable: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that a config may change.

        Raises:
            ValueError: If it gives other models than this model's own, although ``models`` was not made configurable.
        """
        if not configurable:
            return {}
        names = self._option_names()
        overrides = {name: configurable[key] for key, name in names.items() if key in configurable}
        known = {name for name in CONFIGURABLE_FIELDS if f"{self.config_prefix}{name}" in configurable}
        if ignored := sorted(known - set(names.values())):
            _log.warning("%s in a config is ignored: it is not in `configurable`", ", ".join(ignored))
        if (
            "models" in overrides
            and self.configurable == STEERING_FIELDS
            and "models" not in self._config_names.values()
        ):
            overrides["models"] = self._own_models(overrides["models"])
        return overrides

    def _own_models(self, given: Any) -> list[str]:
        own = self.dispatcher.pool.ids
        names = [given] if isinstance(given, str) else list(given)
        if isinstance(given, Mapping) or not set(names) <= set(own):
            raise ValueError(f"models in a config may only be some of {', '.join(own)}; see the field `configurable`")
        return names

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

    def _plan_request(self, overrides: Mapping[str, Any], labels: CallLabels) -> RequestPlan:
        """Say how to choose for a request.

        Args:
            overrides: Fields that the request gives. ``models`` may be ids of some of this model's own models: these,
                their cooldowns and their ledger are kept, and the other ones are excluded.
            labels: What the call is recorded under.
        """
        build = {name: value for name, value in overrides.items() if name in BUILD_FIELDS}
        given: Any = {name: value for name, value in overrides.items() if name in ROUTE_FIELDS}
        options = self.route_options(cast("RouteOverrides", given))
        models = build.get("models")
        if isinstance(models, (list, tuple)) and set(models) <= set(ids := self.dispatcher.pool.ids):
            options = only_models(options, build.pop("models"), ids)
        return RequestPlan(options, self._dispatcher_with(build), labels, variant_key(build))

    def _start(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None,
        kwargs: dict[str, Any],
        managers: type[CallbackManager | AsyncCallbackManager],
        *,
        streams: bool = True,
    ) -> tuple[PromptValue, RunnableConfig, dict[str, Any]]:
        """Input, config and arguments for LangChain's own `invoke`, with the planned call among the arguments.

        An error of planning is raised inside the run, where the call is planned again.

        Args:
            input: As for `invoke`.
            config: As for `invoke`.
            kwargs: As for `invoke`.
            managers: The kind of callback manager.
            streams: Whether LangChain will not tell which callbacks the run has. Otherwise they are only found out
                before the run if a tracer may be among them: that of the run adds metadata of its own to all below it.
        """
        prompt = self._convert_input(input)
        messages = prompt.to_messages()
        config = ensure_config(config)
        configurable = config.get("configurable") or {}
        overrides = merge_overrides(self._from_config(configurable), _take_overrides(kwargs))
        run_id = config.get("run_id") or uuid.uuid4()
        session = str(configurable.get("session_id") or configurable.get("thread_id") or self._instance)
        tags = tuple(dict.fromkeys([*(config.get("tags") or ()), *(self.tags or ())]))
        labels = CallLabels(session, str(run_id), tags)
        plan = self._plan_request(overrides, labels)
        started = cast("RunnableConfig", {**config, "run_id": run_id})
        if streams or config.get("callbacks") or _is_traced():
            manager = managers.configure(
                config.get("callbacks"),
                inheritable_tags=config.get("tags"),
                inheritable_metadata=config.get("metadata"),
            )
            plan.listen(manager, run_id)
            started["callbacks"] = manager
        try:
            plan.call = plan.new_call(messages, kwargs)
        except AvengersError:
            plan.call = None
        return prompt, started, {**kwargs, PLAN_KEY: plan}

    async def _astart(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None,
        kwargs: dict[str, Any],
        *,
        streams: bool = True,
    ) -> tuple[PromptValue, RunnableConfig, dict[str, Any]]:
        """`_start` that does not hold up the event loop."""
        prompt, config = self._convert_input(input), ensure_config(config)
        tools = len(kwargs.get("tools") or ())
        blocks = self._may_wait(config, kwargs) or self.dispatcher.may_block(
            _size(prompt), self.route_options(), tools=tools
        )
        await turn()
        start = partial(self._start, prompt, config, kwargs, AsyncCallbackManager, streams=streams)
        return await off_loop(start, blocks=blocks)

    def _may_wait(self, config: RunnableConfig, kwargs: Mapping[str, Any]) -> bool:
        """Whether a call gives fields that take long to follow: an artifact to load, a database to ask."""
        given = set(kwargs)
        if configurable := config.get("configurable"):
            given |= {name for key, name in self._option_names().items() if key in configurable}
        return not _SLOW_FIELDS.isdisjoint(given)

    def _take_plan(self, kwargs: dict[str, Any], run_manager: Any) -> RequestPlan:
        """The plan of a request. It is made now if LangChain came in by another way than `invoke` or `stream`."""
        plan: RequestPlan | None = kwargs.pop(PLAN_KEY, None)
        if plan is None:
            labels = CallLabels(self._instance)
            if run_manager is not None:
                labels = CallLabels(self._instance, str(run_manager.run_id), tuple(run_manager.tags))
            plan = self._plan_request(_take_overrides(kwargs), labels)
        plan.listen_to_run(run_manager)
        return plan

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
        prompt, _, kwargs = self._start(input, config, kwargs, CallbackManager, streams=False)
        return self._take_plan(kwargs, None).take_call(prompt.to_messages(), kwargs)

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
        plan = self._plan_request(overrides, CallLabels())
        texts = []
        for input in inputs:
            with contextlib.suppress(Exception):  # its own call raises it, or returns it
                texts.append(routing_text(self._convert_input(input).to_messages(), plan.options.route_on))
        plan.dispatcher.embed(texts)


def _is_traced() -> bool:
    """Whether LangSmith traces all runs, which no config says."""
    return tracing_v2_callback_var.get() is not None or bool(tracing_is_enabled())


def _size(prompt: PromptValue) -> int:
    """Characters of an input; of parts that are no text, so many that they take their time."""
    if isinstance(prompt, StringPromptValue):
        return len(prompt.text)
    contents = [message.content for message in prompt.to_messages()]
    return sum(len(one) if isinstance(one, str) else QUICK_CHARACTERS for one in contents)


def _take_overrides(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Remove the fields from a call's arguments and return them; ``model="id"`` is short for ``models=["id"]``."""
    overrides = take(kwargs, CONFIGURABLE_FIELDS)
    if "model" in kwargs:
        overrides["models"] = [kwargs.pop("model")]
    return overrides
