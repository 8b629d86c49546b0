"""Ask models questions, grade the answers, and write records: what a router is trained on.

The models come from an adapter as `ModelUnderTest`. Everything that is paid for goes into the `Journal` first, so that
a run that was killed continues where it stopped.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .._utils.files import user_path
from .._utils.loops import run_async
from ..errors import CollectError, MissingExtraError
from ..ledger.budget import PICO, picodollars
from .asking import AnsweredRequest, Requests
from .failures import Failures
from .grading import Grading, check_questions, grade_name, make_graders
from .journal import Answer, Journal
from .questions import Question
from .reporting import write_result
from .spending import Spending
from .types import CollectionPlan, CollectionResult, ModelUnderTest

__all__ = ["Collector", "collect"]


def collect(
    questions: Sequence[Question],
    models_under_test: Sequence[ModelUnderTest],
    output: str | Path,
    plan: CollectionPlan,
    *,
    progress: Callable[..., None] | None = None,
) -> CollectionResult:
    """Ask each model each question once, grade the answers, and write records. What earlier runs did is not repeated.

    Args:
        questions: The questions.
        models_under_test: The models.
        output: JSON lines of records, written whole at the end of a run, whether it is complete or not. The journal is
            ``<output>.journal``; it holds the texts of the answers.
        plan: How to ask and grade.
        progress: Called with (step, done, total, note).

    Raises:
        QuestionError: If a question lacks what its grader needs.
        CollectError: If there is a cap and a model's price is unknown, or another process works on the journal, or its
            answers were given with other settings.
        SandboxError: If a sandbox is needed and does not work here.
        MissingExtraError: If the extra ``collect`` is not installed.
    """
    with Collector(questions, models_under_test, output, plan) as collector:
        try:
            collector.ask(list(itertools.product(questions, models_under_test)), progress)
        finally:
            result = collector.write(questions)
    return result


class Collector:
    """Asks models questions and grades the answers, in as many steps as its user likes.

    A context manager: its journal is open as long as the block.

    Args:
        questions: All questions that may be asked.
        models_under_test: The models.
        output: See `collect`.
        plan: How to ask and grade.

    Attributes:
        journal: The answers and grades.

    Raises:
        QuestionError: If a question lacks what its grader needs.
        CollectError: See `collect`.
        SandboxError: If a sandbox is needed and does not work here.
        MissingExtraError: If the extra ``collect`` is not installed.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        models_under_test: Sequence[ModelUnderTest],
        output: str | Path,
        plan: CollectionPlan,
    ) -> None:
        _check_extra()
        check_questions(questions, plan)
        graders = make_graders(questions, plan)
        cap_pico = picodollars(plan.max_cost)
        if cap_pico is not None:
            _check_prices(models_under_test, plan)
        settings = {**plan.settings, **{f"model {model.id}": model.profile.name for model in models_under_test}}
        self._target, self._plan, self._failures = _target(output), plan, Failures()
        self._ids = [model.id for model in models_under_test]
        self.journal = Journal(f"{self._target}.journal", settings)
        self._spending = Spending(self.journal.spent_pico, cap_pico)
        self._requests = Requests(self.journal, self._spending, plan)
        grading = Grading(graders, plan, self.journal, self._requests, self._failures)
        self._workers = _Workers(plan, self.journal, self._requests, grading, self._failures)

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    @property
    def spent_usd(self) -> float:
        """US dollars of all runs on the journal."""
        return self._spending.spent_pico / PICO

    @property
    def capped(self) -> bool:
        """Whether a request did not fit into ``max_cost``."""
        return self._spending.capped

    @property
    def given_up(self) -> set[str]:
        """Ids of the models that failed so often that they are asked no more."""
        return set(self._failures.given_up)

    @property
    def failed(self) -> dict[str, str]:
        """Why models failed last, by id."""
        return dict(self._failures.reasons)

    def ask(
        self,
        pairs: Sequence[tuple[Question, ModelUnderTest]],
        progress: Callable[..., None] | None = None,
        *,
        graded: bool = True,
    ) -> None:
        """Ask and grade what is not in the journal yet.

        Args:
            pairs: Questions, each with a model that is asked.
            progress: Called with (step, done, total, note).
            graded: Whether to grade the answers.
        """

        def show(done: int, total: int) -> None:
            if progress:
                progress("collect", done, total, f"${self.spent_usd:.4f}")

        run_async(self._workers.run(pairs, show, graded))

    async def request(self, model: ModelUnderTest, question: str, label: str, prompt: str) -> AnsweredRequest | None:
        """Send a prompt that is no question, such as a judge's; see `Requests.ask`. A failure is counted, not raised.

        Args:
            model: The model.
            question: Key of the question that it is about.
            label: What is asked, for the journal.
            prompt: The prompt.

        Returns:
            The request and its answer, None if it failed or does not fit into the cap.
        """
        try:
            answered = await self._requests.ask(model, question, label, prompt)
        except CollectError:
            raise
        except Exception as error:  # whatever a client raises
            self._failures.fail(model.id, error)
            return None
        self._failures.succeed(model.id)
        return answered

    def grade(self, question: Question, model: str) -> float | None:
        """The grade of a model's answer, None if there is none."""
        return self.journal.grade(question.key, model, grade_name(question, self._plan))

    def write(self, questions: Sequence[Question]) -> CollectionResult:
        """Write the records of all graded answers to some questions, and sum up.

        Args:
            questions: The questions.
        """
        result = write_result(self._target, self.journal, questions, self._ids, self._plan, self._failures)
        result.capped = self.capped
        return result


def _target(output: str | Path) -> Path:
    """The file that is written, which a link may have another name for: one file, one journal."""
    path = user_path(output)
    return path.resolve() if path.is_symlink() else path


def _check_extra() -> None:
    if not all(importlib.util.find_spec(package) for package in ("filelock", "regex", "tenacity")):
        raise MissingExtraError("collecting", "collect")


def _check_prices(models_under_test: Sequence[ModelUnderTest], plan: CollectionPlan) -> None:
    judges = [plan.judge] if plan.judge else []
    unpriced = sorted({model.id for model in (*models_under_test, *judges) if not model.tariff.known})
    if unpriced:
        raise CollectError(f"the price of {', '.join(unpriced)} is unknown, so no cap can be held: give --prices")


class _Workers:
    """Workers that ask and grade, a number of them for each provider, so that each provider has its own pace."""

    def __init__(
        self, plan: CollectionPlan, journal: Journal, requests: Requests, grading: Grading, failures: Failures
    ) -> None:
        self._plan, self._journal, self._requests = plan, journal, requests
        self._grading, self._failures = grading, failures

    async def run(
        self, pairs: Sequence[tuple[Question, ModelUnderTest]], progress: Callable[[int, int], None], graded: bool
    ) -> None:
        """Ask and grade everything that is not in the journal yet; ``progress`` is called with (done, total)."""
        total = len(pairs)
        progress(0, total)
        count = itertools.count(1)
        by_provider: dict[str, list[tuple[Question, ModelUnderTest]]] = {}
        for question, model in pairs:
            by_provider.setdefault(model.profile.provider, []).append((question, model))
        tasks = []
        for provider, group in by_provider.items():
            jobs = iter(group)  # shared by the provider's workers
            for _ in range(self._plan.concurrency_of(provider)):
                tasks.append(asyncio.ensure_future(self._work(jobs, lambda: progress(next(count), total), graded)))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(
        self, jobs: Iterator[tuple[Question, ModelUnderTest]], done: Callable[[], None], graded: bool
    ) -> None:
        for question, model in jobs:
            answer = self._journal.answer(question.key, model.id) or await self._ask(question, model)
            if answer is not None and graded:
                await self._grading.grade(question, model, answer)
            done()

    async def _ask(self, question: Question, model: ModelUnderTest) -> Answer | None:
        """The model's answer, saved in the journal; None if it fails, is given up, or does not fit into the cap."""
        if model.id in self._failures.given_up:
            return None
        try:
            answered = await self._requests.ask(
                model, question.key, model.id, question.prompt or question.query, question.tools
            )
        except CollectError:
            raise
        except Exception as error:  # whatever a client raises
            self._failures.fail(model.id, error)
            return None
        if answered is None:
            return None
        self._journal.save_answer(answered.number, question.key, model.id, answered.answer)
        self._failures.succeed(model.id)
        return answered.answer
