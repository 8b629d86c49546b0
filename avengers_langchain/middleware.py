"""`AvengersMiddleware`: chooses the model of a `create_agent` agent, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.callbacks import CallbackManager
from langchain_core.messages import AIMessage

from ._messages import portable
from .chat_models import ChatAvengers


class AvengersMiddleware(AgentMiddleware[Any, Any, Any]):
    """Puts the model that the router chooses in place of the agent's, before each call of it.

    The model stays the same within a tool loop. The agent calls the model itself, so fallbacks, ledger and budget
    are not at work: for those give the agent a `ChatAvengers` as its model.

    Args:
        fields: those of `ChatAvengers`.
    """

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self.model = ChatAvengers(**fields)

    def _choose(self, request: ModelRequest[Any]) -> tuple[ModelRequest[Any], str]:
        history: list[Any] = [*([request.system_message] if request.system_message else []), *request.messages]
        arguments: dict[str, Any] = {"tools": request.tools} if request.tools else {}
        messages, _, arguments = self.model._start(history, None, arguments, CallbackManager)
        call, _ = self.model._planned(messages, arguments, None)
        member = call.first
        client: Any = member.client
        sent: Any = portable(list(request.messages), member.provider)
        return request.override(model=client, messages=sent), member.id

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Choose, then call.

        Raises:
            NoCandidateError: no model can do what the request needs.
        """
        chosen, name = self._choose(request)
        return _signed(handler(chosen), name)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """`wrap_model_call`, async."""
        chosen, name = self._choose(request)
        return _signed(await handler(chosen), name)


def _signed(response: ModelResponse[Any], name: str) -> ModelResponse[Any]:
    """Write the choice on the answer, which is how the next step of a tool loop knows it."""
    for message in response.result:
        if isinstance(message, AIMessage):
            message.response_metadata = {**message.response_metadata, "avengers": {"model": name}}
    return response
