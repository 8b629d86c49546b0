"""`ChatAvengers` with bound arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableBinding

from .._structured import METHODS, PendingTool, structured_chain

__all__ = ["AvengersBinding"]


class AvengersBinding(RunnableBinding[LanguageModelInput, AIMessage]):
    """`ChatAvengers` with bound arguments or config; tools and structured output add to what is bound."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """The id of LangChain's own binding, as which it is dumped."""
        return [*cls.get_lc_namespace(), "RunnableBinding"]

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> AvengersBinding:
        """Bind tools. Other bound arguments and the config stay.

        Args:
            tools: Tools in any form that LangChain takes.
            tool_choice: ``auto``, ``none``, ``any`` or the name of a tool.
            kwargs: More arguments to bind.
        """
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        return cast("AvengersBinding", self.bind(tools=[PendingTool.of(tool) for tool in tools], **choice, **kwargs))

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Runnable[Any, Any]:
        """Return answers that fit a schema, see `ChatAvengers.with_structured_output`. Bound tools stay bound.

        Args:
            schema: A pydantic class, TypedDict, JSON schema or OpenAI tool.
            include_raw: Return ``{"raw", "parsed", "parsing_error"}``.
            kwargs: ``method``, ``strict``, ``tools``, and other arguments of the chosen model's own method.

        Raises:
            ValueError: If ``method`` is unknown.
        """
        tools = kwargs.pop("tools", None)
        if kwargs.get("method") not in METHODS:
            raise ValueError(f"method must be function_calling, json_schema or json_mode, not {kwargs['method']!r}")
        structured = {"schema": schema, "kwargs": kwargs}
        method = {"method": kwargs.get("method") or "function_calling"}
        bound = self.bind(
            avengers_structured=structured,
            ls_structured_output_format={"kwargs": method, "schema": schema},
            **({"tools": [PendingTool.of(tool) for tool in tools]} if tools else {}),
        )
        return structured_chain(bound, schema, include_raw)
