"""`AvengersMiddleware`: chooses the model of a `create_agent` agent, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from avengers_core._utils.threads import off_loop
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.messages import AIMessage

from ._messages import portable
from ._models import unwrap
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
        schema = request.response_format
        arguments: dict[str, Any] = {
            "tools": request.tools,
            "tool_choice": request.tool_choice,
            "response_format": schema.to_model_kwargs() if isinstance(schema, ProviderStrategy) else None,
        }
        member = self.model.plan(history, **{name: value for name, value in arguments.items() if value}).first
        model, bound = unwrap(member.client)  # tools are bound to the model alone
        sent: Any = portable(list(request.messages), member.provider)
        settings = {**bound, **request.model_settings}
        return request.override(model=model, messages=sent, model_settings=settings), member.id

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
