"""`Shadow`: while an app runs, a share of its requests is asked again of other models, and the answers are judged."""

from __future__ import annotations

import logging
import math
import queue
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from .._utils.files import user_path
from .._utils.tokens import count_tokens
from ..collecting.types import ModelReply, ModelUnderTest
from ..dispatch.call import Attempt
from ..dispatch.deadlines import Deadline
from ..dispatch.failures import MAY_BE_CHARGED, failure_kind
from ..ledger.budget import PICO, picodollars
from ..ledger.budget_store import BudgetStore
from ..ledger.entry import Entry, now
from ..ledger.writer import wait
from ..pricing.types import TokenUsage
from ..records.io import record_line
from ..records.schema import TOKEN_KINDS, Record, Usage
from .judging import COMPARE_PROMPT, Comparison, bias_of, read_choice
from .types import JudgeBias

__all__ = ["Shadow"]

_log = logging.getLogger("avengers")

#: Requests that wait to be asked again, at most; further ones are not.
MAX_WAITING = 64

#: Output tokens that an answer and a verdict are expected to have.
ANSWER_TOKENS, VERDICT_TOKENS = 500, 20

#: Comparisons that `Shadow.bias` remembers.
MAX_COMPARISONS = 10_000

#: Makes a model to ask from an id and ``provider:model`` or a framework's model object.
MakeModel = Callable[[str, Any], ModelUnderTest]


class _Seen(NamedTuple):
    """A request that was answered, and is asked again."""

    query: str
    text: str
    messages: Any
    answer: str
    model: str
    usage: Usage
    store: BudgetStore


class _Unaffordable(Exception):
    """The day's money does not allow a request."""


class Shadow:
    """Asks other models a share of an app's requests again, in the background, and writes judged records.

    Nothing that an app waits for is changed: a thread of its own asks one other model, has a judge compare both answers
    in both orders, and appends a record to a file that `update_artifact` and ``avengers update`` take. Requests with
    tools, media or a schema, and steps of tool loops, are left alone.

    Args:
        models: Ids of the other models, as ``provider:model``, or ``{id: model object or "provider:model"}``.
        judge: The model that compares, as ``provider:model``.
        share: Share of the requests, from 0 to 1.
        max_cost_per_day: US dollars a day (UTC) for answers and verdicts. If the app has a ledger, all processes that
            share it have this limit together, and each request has a row there with the tag ``shadow``.
        output: JSON lines of records, which are appended.
        timeout: Seconds for each request.

    Raises:
        ValueError: If a value is out of its range, or there is no model.

    Attributes:
        counts: How many requests were ``seen``, and ``sampled``; and of these ``written``, ``dropped`` because too many
            were waiting, ``unaffordable``, ``failed`` and ``undecided`` (the judge gave no verdict).
    """

    def __init__(
        self,
        models: Sequence[str] | Mapping[str, Any],
        judge: str,
        *,
        share: float = 0.02,
        max_cost_per_day: float = 1.0,
        output: str | Path = "shadow.jsonl",
        timeout: float = 120.0,
    ) -> None:
        if not models or isinstance(models, str):
            raise ValueError("models must be a list of ids, or a mapping from ids to models, and not empty")
        if not 0 <= share <= 1:
            raise ValueError(f"share must be a number from 0 to 1, not {share!r}")
        if not 0 < max_cost_per_day < math.inf:
            raise ValueError(f"max_cost_per_day must be a number of US dollars above 0, not {max_cost_per_day!r}")
        self.models = dict(models) if isinstance(models, Mapping) else {_name(spec): spec for spec in models}
        self.judge, self.share, self.max_cost_per_day = judge, share, max_cost_per_day
        self.output, self.timeout = user_path(output), timeout
        self.counts: Counter[str] = Counter()
        self._random = random.Random()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._queue: queue.SimpleQueue[tuple[_Seen, MakeModel]] = queue.SimpleQueue()
        self._waiting = 0
        self._idle = threading.Condition(self._lock)
        self._made: dict[str, ModelUnderTest] = {}
        self._comparisons: list[Comparison] = []

    def observe(
        self, attempt: Attempt[Any], make_model: MakeModel, messages: Any, describe: Callable[[], str], answer: str
    ) -> None:
        """Perhaps ask another model what was answered. Returns at once, and never raises.

        Args:
            attempt: The attempt that was answered.
            make_model: Makes a model to ask.
            messages: The request, as the made models take it.
            describe: Gives the request as text, for the judge.
            answer: The answer's text; empty if it is not one in words.
        """
        try:
            self._observe(attempt, make_model, messages, describe, answer)
        except Exception as error:  # the answer is paid for
            self.counts["failed"] += 1
            _log.warning("shadow: a request could not be noted (%s: %s)", type(error).__name__, error)

    def _observe(
        self, attempt: Attempt[Any], make_model: MakeModel, messages: Any, describe: Callable[[], str], answer: str
    ) -> None:
        prompt = attempt.call.prompt
        if prompt.needs or prompt.in_tool_loop or not answer.strip() or not prompt.text.strip():
            return
        self.counts["seen"] += 1
        if self._random.random() >= self.share:
            return
        self.counts["sampled"] += 1
        seen = _Seen(
            prompt.text,
            describe(),
            messages,
            answer,
            attempt.member.id,
            _usage(attempt.usage, attempt.cost_usd),
            attempt.call.context.budget_store,
        )
        with self._lock:
            if self._waiting >= MAX_WAITING:
                self.counts["dropped"] += 1
                return
            if self._thread is None or not self._thread.is_alive():  # a child process has no threads of its parent
                thread = threading.Thread(target=self._work, name="avengers-shadow", daemon=True)
                thread.start()
                self._thread = thread
            self._waiting += 1
            self._queue.put((seen, make_model))

    def wait(self, timeout: float = 60.0) -> bool:
        """Wait until nothing is left to be asked.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether nothing is left.
        """
        with self._idle:
            return self._idle.wait_for(lambda: not self._waiting, timeout)

    def bias(self) -> JudgeBias:
        """What else than quality may have made the judge prefer an answer, over the last comparisons."""
        judge = self._made.get(self.judge)
        provider = judge.profile.provider if judge else None
        own = [name for name, model in self._made.items() if model.profile.provider == provider]
        return bias_of(self._comparisons, own)

    def _work(self) -> None:
        """Ask what waits, one request after the other; sync, as the app's async clients belong to its event loop."""
        while True:
            seen, make_model = self._queue.get()
            try:
                self.counts[self._ask_again(seen, make_model)] += 1
            except _Unaffordable:
                self.counts["unaffordable"] += 1
            except Exception as error:  # whatever a client raises: the app goes on
                self.counts["failed"] += 1
                _log.warning("shadow: a request could not be asked again (%s: %s)", type(error).__name__, error)
            finally:
                with self._idle:
                    self._waiting -= 1
                    self._idle.notify_all()

    def _ask_again(self, seen: _Seen, make_model: MakeModel) -> str:
        """Ask another model, compare, and write a record. Returns what it counts as."""
        others = [name for name in self.models if name != seen.model]
        if not others:
            return "undecided"
        other = self._random.choice(others)
        model, judge = (
            self._model(other, self.models[other], make_model),
            self._model(self.judge, self.judge, make_model),
        )
        reply, usage = self._request(model, seen.messages, seen.text, ANSWER_TOKENS, seen.store)
        orders = ((seen.answer, reply.text), (reply.text, seen.answer))
        scores = []
        for first, second in orders:
            prompt = COMPARE_PROMPT.format(query=seen.text, first=first, second=second)
            verdict, _ = self._request(judge, prompt, prompt, VERDICT_TOKENS, seen.store)
            scores.append(read_choice(verdict.text))
        forward, backward = scores
        if forward is None or backward is None:
            return "undecided"
        compared = Comparison(seen.model, other, (len(seen.answer), len(reply.text)), forward, 1 - backward)
        self._comparisons = [*self._comparisons[1 - MAX_COMPARISONS :], compared]
        record = Record(
            uuid.uuid4().hex,
            "shadow",
            seen.query,
            {seen.model: compared.score, other: 1 - compared.score},
            {seen.model: seen.usage, other: usage},
            source=f"judged by {self.judge}",
        )
        self.output.parent.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as file:
            file.write(record_line(record) + b"\n")
        return "written"

    def _model(self, name: str, spec: Any, make_model: MakeModel) -> ModelUnderTest:
        if name not in self._made:
            self._made[name] = make_model(name, spec)
        return self._made[name]

    def _request(
        self, model: ModelUnderTest, messages: Any, text: str, output_tokens: int, store: BudgetStore
    ) -> tuple[ModelReply, Usage]:
        """Ask a model within the day's limit.

        Raises:
            _Unaffordable: If its price is unknown or the day's money does not allow it.
        """
        started, clock = now(), time.perf_counter()
        expected = picodollars(
            model.tariff.cost(
                TokenUsage(input_tokens=round(1.1 * count_tokens(text)) + 20, output_tokens=output_tokens)
            )
        )
        scope = f"shadow:{started:%Y-%m-%d}"
        limit = round(self.max_cost_per_day * PICO)
        if expected is None or not store.reserve(expected, {scope: limit}):
            raise _Unaffordable
        reply: ModelReply | None = None
        charged = True
        try:
            reply = Deadline(self.timeout).run(model.call, messages)
            return reply, _usage(reply.usage, model.tariff.cost(reply.usage), time.perf_counter() - clock)
        except Exception as error:
            charged = failure_kind(error) in MAY_BE_CHARGED
            raise
        finally:
            usage = None if reply is None else reply.usage
            entry = Entry(
                time=started,
                call=uuid.uuid4().hex,
                decision="",
                attempt=0,
                model=model.id,
                provider=model.profile.provider,
                status="ok" if reply is not None else "failed",
                alpha=0.0,
                tags=["shadow"],
                usage=usage,
                cost_pico=picodollars(model.tariff.cost(usage)) if charged else 0,
                expected_cost_pico=expected,
                seconds=time.perf_counter() - clock,
            )
            wait(store.begin_record(entry, (), {scope: expected}, waits=True))

    def __deepcopy__(self, memo: Any) -> Shadow:
        return self  # it has a thread and an open file's name: copies of a model share it

    def __repr__(self) -> str:
        return f"Shadow({list(self.models)}, judge={self.judge!r}, share={self.share:g}, {dict(self.counts)})"


def _usage(usage: TokenUsage | None, cost_usd: Decimal | None, seconds: float | None = None) -> Usage:
    """An answer's usage as records have it."""
    tokens = {} if usage is None else {kind: getattr(usage, kind) for kind in TOKEN_KINDS}
    return Usage(**tokens, cost_usd=None if cost_usd is None else float(cost_usd), seconds=seconds)


def _name(spec: str) -> str:
    """The id of a model that is given as ``provider:model``."""
    return spec.partition(":")[2] or spec
