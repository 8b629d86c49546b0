"""Ask models questions, grade the answers, and make records of them: what a router is trained on.

The models come from an adapter as `ModelUnderTest`s. All that is paid for goes through the `Journal` first, so that
a run that is killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import itertools
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .._utils.loops import run_async
from .._utils.tokens import encoding, estimate_tokens
from ..dispatch.failures import TRANSIENT, failure_kind, retry_after
from ..errors import CollectError, MissingExtraError, QuestionError
from ..ledger.budget import PICO, picodollars
from ..pricing.types import TokenUsage
from ..records.io import write_records
from ..records.schema import TOKEN_KINDS, Record, Usage
from .graders import GRADERS, Grader, judge_prompt, make_grader, read_verdict
from .journal import Answer, Journal
from .questions import Question
from .sandbox import run_python
from .types import MAX_CONSECUTIVE_FAILURES, UNBILLED_FAILURES, ModelOutcome, ModelUnderTest, Outcome, Plan, log


def collect(
    questions: Sequence[Question],
    models_under_test: Sequence[ModelUnderTest],
    output: str | Path,
    plan: Plan,
    *,
    progress: Callable[..., None] | None = None,
) -> Outcome:
    """Ask each model each question once, grade, and write records; what earlier runs did is not done again.

    Args:
        output: JSON lines of records, written whole at the end of a run, be it complete or not. The journal is
            ``<output>.journal``; it holds the answers' texts.
        progress: called with (step, done, total, note).

    Raises:
        CollectError: a model's price is unknown and there is a cap, or the journal is another run's.
        QuestionError: a question lacks what its grader needs.
    """
    run = _Run(questions, models_under_test, Path(output), plan, progress)
    try:
        run_async(run.ask_all())
    finally:
        try:
            outcome = run.write()
        finally:
            run.journal.close()
    return outcome


class _Run:
    def __init__(
        self,
        questions: Sequence[Question],
        models_under_test: Sequence[ModelUnderTest],
        output: Path,
        plan: Plan,
        progress: Callable[..., None] | None,
    ) -> None:
        if importlib.util.find_spec("tenacity") is None:
            raise MissingExtraError("collecting", "collect")
        self.questions, self.models_under_test, self.output, self.plan = questions, models_under_test, output, plan
        self.progress = progress
        for question in questions:
            name = question.grader or plan.grader
            if name != plan.grader and name not in (*GRADERS, "judge"):
                raise QuestionError(  # a file of questions must not name code to run
                    f"question {question.index!r} of {question.dataset}: field 'grader': {name!r} is none of "
                    f"{', '.join(GRADERS)}, judge; a function is given to the run, not in the questions"
                )
            if question.answer is None and name != "judge" and ":" not in name:
                raise QuestionError(f"question {question.index!r} of {question.dataset}: no field 'answer' for {name}")
            if name in ("numeric", "regex", "json_schema"):  # a reference that cannot be used is told before asking
                GRADERS[name]("", question)
        self.graders = {name: self._grader(name) for name in {q.grader or plan.grader for q in questions}}
        if "code" in self.graders and plan.sandboxed:
            run_python("", sandboxed=True)
        self.cap = picodollars(plan.max_cost)
        judges = [plan.judge] if plan.judge else []
        unpriced = sorted({one.id for one in (*models_under_test, *judges) if not one.tariff.known})
        if self.cap is not None and unpriced:
            raise CollectError(f"the price of {', '.join(unpriced)} is unknown, so no cap can be held: give --prices")
        settings = {**plan.settings, **{f"model {one.id}": one.traits.name for one in models_under_test}}
        self.journal = Journal(f"{output}.journal", settings)
        self.spent = self.journal.spent
        self.capped = False
        self.outcomes = {one.id: ModelOutcome(wanted=len(questions)) for one in models_under_test}
        self.given_up: set[str] = set()
        self._in_a_row: Counter[str] = Counter()
        self._written: dict[str, deque[int]] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._on_their_way = 0
        self._settled = asyncio.Event()
        self._done = 0

    def _grader(self, name: str) -> Grader | None:
        if name != "judge":
            return make_grader(name, timeout=self.plan.code_timeout, sandboxed=self.plan.sandboxed)
        if self.plan.judge is None:
            raise CollectError("grader judge: say which model judges")
        return None

    # --- asking ---

    async def ask_all(self) -> None:
        """Answer and grade all that is open, each provider at its own pace."""
        self._show()
        by_provider: dict[str, list[ModelUnderTest]] = {}
        for one in self.models_under_test:
            by_provider.setdefault(one.traits.provider, []).append(one)
        workers = []
        for provider, group in by_provider.items():
            work: Iterator[tuple[Question, ModelUnderTest]] = iter(itertools.product(self.questions, group))
            workers += [self._work(work) for _ in range(self._limit(provider))]
        tasks = [asyncio.ensure_future(worker) for worker in workers]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _limit(self, provider: str) -> int:
        limit = self.plan.concurrency
        return limit if isinstance(limit, int) else limit.get(provider, 8)

    async def _work(self, work: Iterator[tuple[Question, ModelUnderTest]]) -> None:
        for question, model in work:
            answer = self.journal.answer(question.key, model.id)
            if answer is None and not self.capped and model.id not in self.given_up:
                answer = await self._answer(question, model)
            if answer is not None:
                await self._grade(question, model, answer)
            self._done += 1
            self._show()

    async def _answer(self, question: Question, model: ModelUnderTest) -> Answer | None:
        prompt = question.prompt or question.query
        try:
            sent = await self._send(model, question.key, model.id, prompt)
        except Exception as error:  # whatever a client raises
            self._fail(model, error)
            return None
        if sent is None:
            return None
        self._in_a_row[model.id] = 0
        request, answer = sent
        self.journal.save_answer(request, question.key, model.id, answer)
        if answer.usage is not None:
            self._written.setdefault(model.id, deque(maxlen=200)).append(answer.usage.output_tokens)
        return answer

    async def _send(self, model: ModelUnderTest, question: str, label: str, prompt: str) -> tuple[int, Answer] | None:
        """The request's number and its answer; None where the cap is reached."""
        import tenacity

        expected = picodollars(model.tariff.cost(self._expected(model, prompt))) or 0
        clock = asyncio.get_running_loop().time

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = min(retry_after(error), 120.0) if error else 0.0
            return max(asked, tenacity.wait_random_exponential(multiplier=0.5, max=30)(state))

        tries = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: failure_kind(error) in TRANSIENT),
            stop=tenacity.stop_after_attempt(self.plan.retries + 1),
            wait=pause,
            reraise=True,
        )
        async for attempt in tries:
            with attempt:
                if not await self._reserve(expected):
                    return None
                request = self.journal.asking(question, label, expected)
                started = clock()
                try:
                    reply = await asyncio.wait_for(model.ask(prompt), self.plan.timeout)
                except BaseException as error:
                    # A refusal costs nothing. What was cut off may: it stays spent, as what was expected of it.
                    refused = isinstance(error, Exception) and failure_kind(error) in UNBILLED_FAILURES
                    (self.journal.refused if refused else self.journal.unanswered)(request)
                    self._settle(-expected if refused else 0)
                    raise
                cost = picodollars(model.tariff.cost(reply.usage))
                self._settle(0 if cost is None else cost - expected)
                return request, Answer(reply.text, reply.usage, cost, expected, clock() - started)
        raise AssertionError("unreachable")

    async def _reserve(self, expected: int) -> bool:
        """Set money aside, once requests on their way leave enough; False where the cap does not have it."""
        while self.cap is not None and self.spent + expected > self.cap and not self.capped:
            if not self._on_their_way:
                self.capped = True
                break
            await self._settled.wait()
        if self.capped:
            return False
        self.spent += expected
        self._on_their_way += 1
        return True

    def _settle(self, change: int) -> None:
        self.spent += change
        self._on_their_way -= 1
        self._settled.set()
        self._settled = asyncio.Event()

    def _expected(self, model: ModelUnderTest, prompt: str) -> TokenUsage:
        """Tokens of a request, rather too many than too few: providers wrap prompts and count in their own ways."""
        settings, written = self.plan.settings, self._written.get(model.id, ())
        tokens = 1.1 * _count(prompt, str(settings.get("system") or "")) + 20
        output = settings.get("max_tokens") or (max(written) if len(written) >= 5 else self.plan.output_tokens)
        return TokenUsage(input_tokens=round(tokens), output_tokens=output)

    def _fail(self, model: ModelUnderTest, error: Exception) -> None:
        kind = failure_kind(error)
        outcome = self.outcomes[model.id]
        outcome.failed += 1
        outcome.reason = f"{kind}: {type(error).__name__}"
        self._in_a_row[model.id] += kind not in TRANSIENT
        if kind == "auth" or self._in_a_row[model.id] >= MAX_CONSECUTIVE_FAILURES:
            if model.id not in self.given_up:
                log.error("%s is given up: %s", model.id, outcome.reason)
            self.given_up.add(model.id)

    # --- grading ---

    async def _grade(self, question: Question, model: ModelUnderTest, answer: Answer) -> None:
        name = self._grade_name(question)
        if self.journal.grade(question.key, model.id, name) is not None:
            return
        grader = self.graders[question.grader or self.plan.grader]
        if grader is not None:
            try:
                score = await asyncio.to_thread(grader, answer.text, question)
            except Exception as error:  # a user's function may raise what it likes; the answer is kept
                outcome = self.outcomes[model.id]
                outcome.failed += 1
                outcome.reason = f"grader {question.grader or self.plan.grader}: {type(error).__name__}: {error}"[:200]
                return
            self.journal.save_grade(question.key, model.id, name, score)
            return
        judge = self.plan.judge
        assert judge is not None
        if judge.id in self.given_up:
            return
        async with self._slots.setdefault("judge", asyncio.Semaphore(self._limit(judge.traits.provider))):
            try:
                sent = await self._send(
                    judge, question.key, f"{judge.id} on {model.id}", judge_prompt(answer.text, question)
                )
            except Exception as error:  # whatever a client raises
                self.outcomes.setdefault(judge.id, ModelOutcome())
                self._fail(judge, error)
                return
        if sent is None:
            return
        request, judged = sent
        verdict = read_verdict(judged.text)
        if verdict is None:
            log.warning("the judge gave no score for %s on question %s", model.id, question.index)
            self.journal.settled(request, judged.cost_pico)
            return
        self.journal.save_grade(question.key, model.id, name, verdict, judged.cost_pico, request)

    def _grade_name(self, question: Question) -> str:
        """The grader with a digest of the reference, so that a corrected reference is graded anew, unpaid."""
        name = question.grader or self.plan.grader
        if name == "judge" and self.plan.judge:
            name = f"judge {self.plan.judge.id}"
        reference = json.dumps(question.answer, sort_keys=True, default=str)
        return f"{name} {hashlib.sha256(reference.encode()).hexdigest()[:12]}"

    # --- telling ---

    def _show(self) -> None:
        if self.progress:
            total = len(self.questions) * len(self.models_under_test)
            self.progress("collect", self._done, total, f"${self.spent / PICO:.4f}")

    def write(self) -> Outcome:
        """Write the records of all graded answers."""
        scores: dict[str, list[float]] = {}
        records = []
        for question in self.questions:
            name = self._grade_name(question)
            graded: dict[str, float | bool | None] = {}
            usages: dict[str, Usage | None] = {}
            for one in self.models_under_test:
                answer = self.journal.answer(question.key, one.id)
                score = self.journal.grade(question.key, one.id, name)
                if answer is None:
                    continue
                outcome = self.outcomes[one.id]
                outcome.answers += 1
                outcome.unknown += answer.cost_pico is None
                outcome.cost_usd += (answer.cost_pico or 0) / PICO
                if score is not None:
                    outcome.graded += 1
                    graded[one.id] = score
                    usages[one.id] = _usage(answer)
                    scores.setdefault(one.id, []).append(score)
            if graded:
                records.append(Record(question.index, question.dataset, question.query, graded, usages))
        for model, values in scores.items():
            self.outcomes[model].mean_score = sum(values) / len(values)
        if records:
            write_records(self.output, records)
        lost, lost_cost = self.journal.lost
        return Outcome(
            len(records), self.outcomes, self.journal.spent / PICO, lost, lost_cost / PICO, capped=self.capped
        )


def _usage(answer: Answer) -> Usage:
    tokens = {} if answer.usage is None else {kind: getattr(answer.usage, kind) for kind in TOKEN_KINDS}
    always = ("input_tokens", "output_tokens")
    shown = {name: count for name, count in tokens.items() if count or name in always}
    return Usage(**shown, cost_usd=None if answer.cost_pico is None else answer.cost_pico / PICO)


def _count(*texts: str) -> int:
    codec = encoding()
    if codec is None:
        return round(sum(estimate_tokens(text) for text in texts if text))
    return sum(len(codec.encode(text, disallowed_special=())) for text in texts)
