"""`AvengersRouter`: the decision alone, as a Runnable."""

from __future__ import annotations

from typing import Any

from avengers_core import Decision
from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config

from .chat_models import ChatAvengers

__all__ = ["AvengersRouter"]


class AvengersRouter(Runnable[LanguageModelInput, Decision]):
    """Text or messages in, `Decision` out. No model is asked.

    Args:
        fields: The fields of `ChatAvengers`. They can be set for one call in the same ways.
    """

    def __init__(self, **fields: Any) -> None:
        self.model = ChatAvengers(**fields)

    def invoke(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Decision:
        """Choose a model.

        Args:
            input: A text, messages or a prompt value.
            config: LangChain's config. ``configurable`` may hold fields.
            kwargs: Fields for this call.

        Raises:
            NoCandidateError: If no model can do what the request needs.
            BudgetError: If the budget leaves no model.
        """
        config = ensure_config(config)
        settings: RunnableConfig = {"configurable": config.get("configurable", {}), "callbacks": []}

        def decide(request: LanguageModelInput) -> Decision:
            return self.model.route(request, settings, **kwargs)

        return self._call_with_config(decide, input, config, run_type="chain")

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Decision]:
        """`invoke` for many inputs. Their queries are embedded together."""
        if inputs:
            self.model.embed_inputs(inputs, **kwargs)
        return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
