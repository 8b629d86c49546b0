"""What the user asked, for LLM calls below query engines, chat engines and synthesizers, whose prompts hold other text.

LlamaIndex opens a span for each of these. A handler of spans keeps the question of those that are open, and an LLM call
is routed on the nearest one. If none is open any more, the template that an LLM gets may still name the question. An
agent's step is routed on what the user said last, not on the agent's own observations. `routing` gives the question by
hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, cast

from avengers_core.routing.options import RouteOptions, RouteOverrides, merge_overrides
from llama_index.core.agent.workflow import AgentSetup
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.instrumentation.span import BaseSpan, active_span_id
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.llms import LLM
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index_instrumentation import get_dispatcher
from pydantic import PrivateAttr
from typing_extensions import Unpack

from ._messages import routing_text

__all__ = ["QueryContext", "follow_questions", "open_question", "query_context", "routing"]

#: Classes whose methods take a question, and the names of the arguments that hold it.
_QUESTION_TAKERS = (BaseQueryEngine, BaseChatEngine, BaseSynthesizer, BaseRetriever)
_QUESTION_ARGUMENTS = ("str_or_query_bundle", "query_bundle", "query", "query_str", "message")


@dataclass(frozen=True)
class QueryContext:
    """What the enclosing `routing` blocks give for an LLM call.

    Attributes:
        question: The text that is embedded, None if no block gives it.
        session: Adds up the budget's ``per_session``, empty if no block gives it.
        tags: For the ledger.
        overrides: Options of the router.
    """

    question: str | None = None
    session: str = ""
    tags: tuple[str, ...] = ()
    overrides: RouteOverrides = field(default_factory=lambda: RouteOverrides())


_context: ContextVar[QueryContext] = ContextVar("avengers_routing", default=QueryContext())  # noqa: B039


@contextmanager
def routing(
    question: str | None = None,
    *,
    session: str | None = None,
    tags: Sequence[str] | None = None,
    **overrides: Unpack[RouteOverrides],
) -> Iterator[None]:
    """Give the question and the options for all calls inside, in query engines and agents, too. The inner block wins.

    Args:
        question: The text that is embedded, in place of what `AvengersLLM` would find.
        session: Adds up the budget's ``per_session``.
        tags: For the ledger.
        overrides: Options of `RouteOptions`, such as ``alpha`` or ``exclude_models``.

    Raises:
        TypeError: If there is no such option.
        ValueError: If an option's value is out of its range or of another type.

    Examples:
        >>> with routing(alpha=0.9, tags=["audit"]):  # doctest: +SKIP
        ...     query_engine.query("Which clauses bind us after the contract ends?")
    """
    RouteOptions().override(overrides)
    outer = _context.get()
    inner = replace(outer, overrides=cast("RouteOverrides", merge_overrides(outer.overrides, overrides)))
    if question is not None:
        inner = replace(inner, question=question)
    if session is not None:
        inner = replace(inner, session=str(session))
    if tags is not None:
        inner = replace(inner, tags=tuple(tags))
    token = _context.set(inner)
    try:
        yield
    finally:
        _context.reset(token)


def query_context() -> QueryContext:
    """What the enclosing `routing` blocks give."""
    return _context.get()


def open_question() -> str | None:
    """The question of the nearest engine or synthesizer that makes this call, None if there is none."""
    return _questions.open.get(active_span_id.get() or "")


class _QuestionHandler(BaseSpanHandler[BaseSpan]):
    """Questions by the id of an open span. A span without a question of its own has its parent's."""

    _open: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def open(self) -> Mapping[str, str]:
        return self._open

    def span_enter(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        question = self._open.get(parent_id or "")
        if isinstance(instance, _QUESTION_TAKERS):
            question = _question_argument(bound_args.arguments) or question
        elif isinstance(setup := bound_args.arguments.get("ev"), AgentSetup):
            question = routing_text(setup.input, "last_human") or question
        elif question is None and isinstance(instance, LLM):
            question = _question_in_template(bound_args.arguments)
        if question:
            self._open[id_] = question

    def span_exit(self, id_: str, *args: Any, **kwargs: Any) -> None:
        self._open.pop(id_, None)

    def span_drop(self, id_: str, *args: Any, **kwargs: Any) -> None:
        self._open.pop(id_, None)

    def new_span(self, *args: Any, **kwargs: Any) -> None: ...

    def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None: ...

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None: ...


def _question_argument(arguments: Mapping[str, Any]) -> str | None:
    value = next((arguments[name] for name in _QUESTION_ARGUMENTS if name in arguments), None)
    text = getattr(value, "query_str", value)
    return text if isinstance(text, str) else None


def _question_in_template(arguments: Mapping[str, Any]) -> str | None:
    """The question that fills a prompt's template: streams of synthesizers are made when their spans are closed."""
    filled = getattr(arguments.get("prompt"), "kwargs", None) or {}
    value = {**filled, **arguments.get("prompt_args", {})}.get("query_str")
    return value if isinstance(value, str) else None


_questions = _QuestionHandler()


def follow_questions() -> None:
    """Start to follow questions. More calls change nothing."""
    root = get_dispatcher()
    handlers: Sequence[Any] = root.span_handlers
    if not any(handler is _questions for handler in handlers):
        root.add_span_handler(_questions)
