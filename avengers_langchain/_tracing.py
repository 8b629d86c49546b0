"""What other tools' traces of a call are told: the model that answered, its provider, dollars, alpha and the reason.

LangChain names the model of a run when it starts, before it is known whether that model answers. Each tool keeps its
runs in a place of its own, so this module knows where LangSmith, OpenInference, Langfuse and MLflow have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from avengers_core.dispatch.call import Attempt
from avengers_core.dispatch.telemetry import AttemptFacts, ForeignSpan, OwnSpans, shares_provider, tolerant
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers import BaseTracer

__all__ = ["Listeners"]


class Listeners(NamedTuple):
    """Who listens to a run. LangChain gives a stream no run manager, so the plan of a request carries this.

    Attributes:
        handlers: The handlers of the run.
        run_id: Its id.
    """

    handlers: Sequence[BaseCallbackHandler] = ()
    run_id: UUID | None = None

    def own_spans(self) -> OwnSpans:
        """What our own spans say beside those of the tools that listen. The run has started by then."""
        sharing = {one.tool for one in self._spans() if shares_provider(getattr(_otel(one.span), "resource", None))}
        if "openinference" in sharing:  # it has a span of each attempt
            return OwnSpans.NONE
        return OwnSpans.WITHOUT_USAGE if sharing else OwnSpans.WHOLE

    def tell(self, attempt: Attempt[Any]) -> None:
        """Tell the tools that listen which model has answered, and what it cost.

        Args:
            attempt: The attempt that was answered.
        """
        if not self.handlers:
            return
        with tolerant():
            for one in self._spans():
                one.tell(attempt.facts, attempt.cost_usd)
            for handler in self.handlers:
                run = handler.run_map.get(str(self.run_id)) if isinstance(handler, BaseTracer) else None
                if run is not None:
                    cost = None if attempt.cost_usd is None else float(attempt.cost_usd)
                    run.extra["metadata"] = _Metadata(run.extra.get("metadata", {}), attempt.facts, cost)

    def _spans(self) -> list[ForeignSpan]:
        """The spans that other tools have of the run."""
        found: list[ForeignSpan] = []
        for handler in self.handlers:
            tool = type(handler).__module__.partition(".")[0]
            with tolerant():
                if tool in _FIND and (span := _FIND[tool](handler, self.run_id)) is not None:
                    found.append(ForeignSpan(tool, span))
        return found


#: How each tool's handler gives the span of a run.
_FIND: dict[str, Callable[[Any, UUID | None], Any]] = {
    "openinference": lambda handler, run_id: handler.get_span(run_id),
    "langfuse": lambda handler, run_id: getattr(handler._runs.get(run_id), "_otel_span", None),
    "mlflow": lambda handler, run_id: handler._get_span_by_run_id(run_id),
}


class _Metadata(dict[str, Any]):
    """Metadata of a run under LangSmith's names and our own.

    LangSmith takes dollars that it is told beside the tokens over those that it would compute. Its tracer writes the
    tokens when the run ends, so they are given the dollars then.
    """

    def __init__(self, known: Mapping[str, Any], facts: AttemptFacts, cost_usd: float | None) -> None:
        told = {"ls_provider": facts.provider, "ls_model_name": facts.name, **facts.attributes()}
        super().__init__({**known, **told, **({} if cost_usd is None else {"avengers.cost": cost_usd})})
        self._cost_usd = cost_usd

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "usage_metadata" and self._cost_usd is not None:
            value = {**value, "total_cost": self._cost_usd}
        super().__setitem__(name, value)


def _otel(span: Any) -> Any:
    """OpenTelemetry's span in a tool's object."""
    return getattr(span, "_span", span)
