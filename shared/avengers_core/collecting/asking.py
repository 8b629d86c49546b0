"""One request to a model: noted in the journal, paid from what may be spent, repeated if a failure may pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..dispatch.failures import MAY_BE_CHARGED, TRANSIENT, failure_kind, retry_after
from ..ledger.budget import picodollars
from .journal import Answer, Journal
from .spending import Spending, UsageForecast
from .types import CollectionPlan, ModelUnderTest

__all__ = ["MAX_RETRY_AFTER", "AnsweredRequest", "Requests"]

#: Seconds that a provider's ``Retry-After`` may ask for, at most.
MAX_RETRY_AFTER = 120.0


class AnsweredRequest(NamedTuple):
    """A request that was answered, but whose answer is not saved in the journal yet.

    Attributes:
        number: Its number in the journal.
        answer: The answer.
    """

    number: int
    answer: Answer


class Requests:
    """Sends requests.

    Args:
        journal: Notes each request before it is sent.
        spending: Pays for the requests.
        plan: Says how often and how long to try.
    """

    def __init__(self, journal: Journal, spending: Spending, plan: CollectionPlan) -> None:
        self._journal, self._spending = journal, spending
        self._timeout, self._retries = plan.timeout, plan.retries
        self._forecast = UsageForecast(plan.settings, plan.output_tokens)

    async def ask(
        self, model: ModelUnderTest, question: str, label: str, prompt: str, tools: Sequence[dict[str, Any]] = ()
    ) -> AnsweredRequest | None:
        """Send a prompt to a model until it answers.

        Args:
            model: The model.
            question: Key of the question, for the journal.
            label: What is asked, for the journal: the model's id, or what a judge is asked about.
            prompt: The prompt.
            tools: Tools that the model may call. Its answer is kept as JSON, ``{"text", "tool_calls"}``, then.

        Returns:
            The request and its answer, or None if the request does not fit into the cap.

        Raises:
            Exception: Whatever the model's client raised last.
        """
        import tenacity

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: failure_kind(error) in TRANSIENT),
            stop=tenacity.stop_after_attempt(self._retries + 1),
            wait=_pause,
            reraise=True,
        )
        sent = prompt + json.dumps(tools) if tools else prompt
        expected = picodollars(model.tariff.cost(self._forecast.expect(model.id, sent))) or 0
        answered: AnsweredRequest | None = await retrying(self._send, model, question, label, prompt, tools, expected)
        if answered is not None:
            self._forecast.observe(model.id, answered.answer.usage)
        return answered

    async def _send(
        self,
        model: ModelUnderTest,
        question: str,
        label: str,
        prompt: str,
        tools: Sequence[dict[str, Any]],
        expected: int,
    ) -> AnsweredRequest | None:
        if not await self._spending.reserve(expected):
            return None
        request = self._journal.begin_request(question, label, expected)
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            reply = await asyncio.wait_for(model.ask(prompt, tools) if tools else model.ask(prompt), self._timeout)
        except BaseException as error:
            self._end_failed(request, expected, error)
            raise
        cost = picodollars(model.tariff.cost(reply.usage))
        self._spending.settle(expected, expected if cost is None else cost)
        text = json.dumps({"text": reply.text, "tool_calls": reply.tool_calls}) if tools else reply.text
        return AnsweredRequest(request, Answer(text, reply.usage, cost, expected, clock() - started))

    def _end_failed(self, request: int, expected: int, error: BaseException) -> None:
        """A refusal costs nothing. A request that was cut off may be billed, so its expected cost counts as spent."""
        if isinstance(error, Exception) and failure_kind(error) not in MAY_BE_CHARGED:
            self._journal.refuse_request(request)
            self._spending.settle(expected, 0)
        else:
            self._journal.lose_request(request)
            self._spending.settle(expected, expected)


def _pause(state: Any) -> float:
    """Seconds before the next try."""
    import tenacity

    error = state.outcome.exception() if state.outcome else None
    requested = min(retry_after(error), MAX_RETRY_AFTER) if error else 0.0
    return max(requested, tenacity.wait_random_exponential(multiplier=0.5, max=30)(state))
