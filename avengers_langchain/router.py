"""`AvengersRouter`: the decision alone, as a Runnable."""

from __future__ import annotations

from typing import Any

from avengers_core import Decision
from langchain_core.language_models import LanguageModelInput
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config

from .chat_models import ChatAvengers


class AvengersRouter(Runnable[LanguageModelInput, Decision]):
    """Text or messages in, `Decision` out; no model is asked.

    Args:
        fields: those of `ChatAvengers`. They can be set for one call in the same ways.
    """

    def __init__(self, **fields: Any) -> None:
        self.model = ChatAvengers(**fields)

    def invoke(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Decision:
        """Choose a model.

        Raises:
            NoCandidateError, BudgetError: no model can be chosen.
        """

        config = ensure_config(config)
        settings: RunnableConfig = {"configurable": config.get("configurable", {}), "callbacks": []}

        def decide(one: LanguageModelInput) -> Decision:
            return self.model.route(one, settings, **kwargs)

        return self._call_with_config(decide, input, config, run_type="chain")

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Decision]:
        """Choose for many inputs, whose queries are embedded together."""
        if inputs:
            self.model._embed_together(inputs, config, kwargs)
        return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
