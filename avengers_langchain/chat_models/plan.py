"""A request on its way from `ChatAvengers.invoke` to `ChatAvengers._generate`.

LangChain starts the run of a chat model between the two. The call is planned before that, so that the run is named
after the chosen model, and travels through LangChain as one of the call's arguments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from avengers_core._utils.threads import off_loop
from avengers_core.dispatch.call import Call
from avengers_core.dispatch.dispatcher import Dispatcher
from avengers_core.dispatch.options import CallLabels
from avengers_core.dispatch.pool import PoolModel
from avengers_core.routing.options import RouteOptions
from langchain_core.callbacks import AsyncCallbackManager, BaseRunManager, CallbackManager
from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from .._messages import as_prompt
from .._models import Client
from .._runs import child_manager
from .._structured import needs_of, tools_size
from .._tracing import Listeners

__all__ = ["PLAN_KEY", "RequestPlan", "variant_key"]

#: The argument that carries the plan.
PLAN_KEY = "avengers_plan"


@dataclass
class RequestPlan:
    """How to choose the model of a request, and the call if it is planned already.

    Attributes:
        options: How to choose.
        dispatcher: Plans the call.
        labels: What the call is recorded under.
        variant: Digest of the build fields that the request gives, for the key of LangChain's cache.
        manager: Callbacks for the runs of the chosen models, None if nobody listens.
        listeners: Who listens to the outer run.
        call: The planned call, until it is used. LangChain's retries plan another one.
    """

    options: RouteOptions
    dispatcher: Dispatcher[Client]
    labels: CallLabels
    variant: str = ""
    manager: CallbackManager | AsyncCallbackManager | None = None
    listeners: Listeners = field(default_factory=Listeners)
    call: Call[Client] | None = None

    def __repr__(self) -> str:
        return f"<plan for {self.call.model}>" if self.call else "<plan>"

    @property
    def first(self) -> PoolModel[Client] | None:
        """The chosen model, None if the call is not planned."""
        return self.call.first if self.call else None

    def listen(self, callbacks: BaseCallbackManager | BaseRunManager, run_id: UUID) -> None:
        """Tell those who listen to the outer run.

        Args:
            callbacks: The callbacks of the outer run.
            run_id: Its id.
        """
        self.manager = child_manager(callbacks, run_id)
        self.listeners = Listeners(callbacks.handlers, run_id)

    def listen_to_run(self, run_manager: BaseRunManager | None) -> None:
        """`listen` to those of the outer run, if they are not known from before it.

        Args:
            run_manager: That of the outer run, or None.
        """
        if run_manager is not None and self.listeners.run_id is None:
            self.listen(run_manager, run_manager.run_id)

    def new_call(self, messages: Sequence[BaseMessage], arguments: Mapping[str, Any]) -> Call[Client]:
        """Plan a call.

        Args:
            messages: The messages of the request.
            arguments: The request's other arguments, such as tools.

        Raises:
            NoCandidateError: If no model can do what the request needs.
            BudgetError: If the budget leaves no model.
        """
        tools = arguments.get("tools") or ()
        tool_tokens = tools_size(tools) / 4 if tools else 0.0
        prompt = as_prompt(messages, self.options.route_on, needs_of(arguments), tool_tokens=tool_tokens)
        return self.dispatcher.plan(prompt, self.options, self.labels)

    def take_call(self, messages: Sequence[BaseMessage], arguments: Mapping[str, Any]) -> Call[Client]:
        """The planned call the first time, and a new one each further time; see `new_call`."""
        planned, self.call = self.call, None
        call = planned or self.new_call(messages, arguments)
        call.own_spans = self.listeners.own_spans()
        return call

    async def atake_call(self, messages: Sequence[BaseMessage], arguments: Mapping[str, Any]) -> Call[Client]:
        """`take_call` that does not hold up the event loop."""
        blocks = self.call is None
        return await off_loop(lambda: self.take_call(messages, arguments), blocks=blocks)

    def cache_key(self) -> str:
        """What a cached answer depends on beside the messages and the arguments: how is chosen, and from what."""
        return f"{self.options}{self.variant}{pool_key(self.dispatcher)}"


def pool_key(dispatcher: Dispatcher[Client]) -> str:
    """A digest of the models that a dispatcher has: two clients under one id are not the same model.

    Args:
        dispatcher: The dispatcher.
    """
    parts = [f"{name}={_client_key(given)}" for name, given in sorted(dispatcher.pool.given.items())]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def _client_key(given: Any) -> str:
    if not isinstance(given, Runnable):
        return ""
    return f"{type(given).__module__}.{type(given).__qualname__} {dumps(given)} {given!r}"


def variant_key(build: Mapping[str, Any]) -> str:
    """A digest of the build fields that a request gives, empty if it gives none. They may hold keys."""
    if not build:
        return ""
    return hashlib.sha256(json.dumps(build, default=repr, sort_keys=True).encode()).hexdigest()
