"""What the user asked, known below query engines, chat engines and synthesizers, where prompts are stuffed with text.

LlamaIndex opens a span for each of them. A handler of spans keeps the question of those that are open, so that an LLM
call can look up the nearest one; where none is open any more, the template that an LLM is given may still name it. An
agent's step is told what the user said last, before its own observations.
`routing` says it by hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

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

from ._messages import routing_text

_ASKING = (BaseQueryEngine, BaseChatEngine, BaseSynthesizer, BaseRetriever)
_ARGUMENTS = ("str_or_query_bundle", "query_bundle", "query", "query_str", "message")

#: Settings of `routing` for the calls inside it.
_said: ContextVar[Mapping[str, Any]] = ContextVar("avengers_routing", default={})  # noqa: B039

OPTIONS = ("alpha", "scoring", "exclude_models", "fallbacks", "exploration", "route_on", "sticky", "budget")


@contextmanager
def routing(question: str | None = None, **options: Any) -> Iterator[None]:
    """Say for all calls inside, in query engines and agents too, what is asked and how to choose.

    Args:
        question: what is embedded, in place of what `AvengersLLM` would find.
        options: ``alpha``, ``scoring``, ``exclude_models``, ``fallbacks``, ``exploration``, ``route_on``, ``sticky``,
            ``budget`` as the fields of `AvengersLLM`; ``session`` (adds up ``budget``'s ``per_session``) and ``tags``,
            for the ledger.

    Raises:
        TypeError: there is no such option.

    Example:
        >>> with routing(alpha=0.9, tags=["audit"]):  # doctest: +SKIP
        ...     query_engine.query("Which clauses bind us after the contract ends?")
    """
    unknown = sorted(set(options) - {*OPTIONS, "session", "tags"})
    if unknown:
        raise TypeError(f"routing has no option {unknown[0]!r}: it has {', '.join(OPTIONS)}, session and tags")
    told = options if question is None else {**options, "question": question}
    token = _said.set({**_said.get(), **told})
    try:
        yield
    finally:
        _said.reset(token)


def said() -> Mapping[str, Any]:
    """What the enclosing `routing` blocks say; the inner ones win."""
    return _said.get()


def open_question() -> str | None:
    """The question of the nearest engine or synthesizer that is at work around this call."""
    return _spans.questions.get(active_span_id.get() or "")


class _Questions(BaseSpanHandler[BaseSpan]):
    """Questions by the id of an open span; a span that asks none has its parent's."""

    _open: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def questions(self) -> Mapping[str, str]:
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
        if isinstance(instance, _ASKING):
            question = _asked(bound_args.arguments) or question
        elif isinstance(setup := bound_args.arguments.get("ev"), AgentSetup):
            question = routing_text(setup.input, "last_human") or question
        elif question is None and isinstance(instance, LLM):
            question = _templated(bound_args.arguments)
        if question:
            self._open[id_] = question

    def span_exit(self, id_: str, *args: Any, **kwargs: Any) -> None:
        self._open.pop(id_, None)

    def span_drop(self, id_: str, *args: Any, **kwargs: Any) -> None:
        self._open.pop(id_, None)

    def new_span(self, *args: Any, **kwargs: Any) -> None: ...

    def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None: ...

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None: ...


def _asked(arguments: Mapping[str, Any]) -> str | None:
    value = next((arguments[name] for name in _ARGUMENTS if name in arguments), None)
    text = getattr(value, "query_str", value)
    return text if isinstance(text, str) else None


def _templated(arguments: Mapping[str, Any]) -> str | None:
    """The question that fills a prompt's template: streams of synthesizers are made when their spans are closed."""
    filled = getattr(arguments.get("prompt"), "kwargs", None) or {}
    value = {**filled, **arguments.get("prompt_args", {})}.get("query_str")
    return value if isinstance(value, str) else None


_spans = _Questions()


def watch() -> None:
    """Start to follow questions; once is enough."""
    root = get_dispatcher()
    handlers: Sequence[Any] = root.span_handlers
    if not any(handler is _spans for handler in handlers):
        root.add_span_handler(_spans)
