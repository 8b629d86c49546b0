"""`AvengersMiddleware`: chooses the model of a `create_agent` agent, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from avengers_core._utils.threads import off_loop
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage

from ._messages import portable
from .chat_models import ChatAvengers

__all__ = ["AvengersMiddleware"]


class AvengersMiddleware(AgentMiddleware[Any, Any, Any]):
    """Replaces the agent's model before each call with the model that the router chooses.

    The model stays the same within a tool loop. The agent calls the model itself, so there are no fallbacks, and the
    call is not in the ledger or the budget. For those, give the agent a `ChatAvengers` as its model.

    Args:
        fields: The fields of `ChatAvengers`.
    """

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self.model = ChatAvengers(**fields)

    def _choose(self, request: ModelRequest[Any]) -> tuple[ModelRequest[Any], str]:
        history: list[Any] = [*([request.system_message] if request.system_message else []), *request.messages]
        arguments: dict[str, Any] = {"tools": request.tools} if request.tools else {}
        member = self.model.plan(history, **arguments).first
        client: Any = member.client
        sent: Any = portable(list(request.messages), member.provider)
        return request.override(model=client, messages=sent), member.id

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Choose a model, then call it.

        Args:
            request: The agent's request.
            handler: Calls the request's model.

        Raises:
            NoCandidateError: If no model can do what the request needs.
        """
        chosen, name = self._choose(request)
        return _with_choice(handler(chosen), name)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """`wrap_model_call`, async: the choice is made in a thread."""
        chosen, name = await off_loop(lambda: self._choose(request))
        return _with_choice(await handler(chosen), name)


def _with_choice(response: ModelResponse[Any], name: str) -> ModelResponse[Any]:
    """The response with the choice in its metadata, where the next step of a tool loop finds it."""
    for message in response.result:
        if isinstance(message, AIMessage):
            message.response_metadata = {**message.response_metadata, "avengers": {"model": name}}
    return response
