"""Grade answers: with a grader's function, or with a judge, which is a model."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence

from ..dispatch.deadlines import Deadline
from ..errors import CollectError, QuestionError
from .asking import Requests
from .failures import Failures
from .graders import GRADERS, Grader, judge_prompt, make_grader, read_verdict
from .journal import Answer, Journal
from .questions import Question
from .sandbox import run_python
from .types import CollectionPlan, ModelUnderTest

__all__ = ["Grading", "check_questions", "grade_name", "make_graders"]

#: Graders whose references have a form that can be checked before anything is asked.
_CHECKED_REFERENCES = ("numeric", "regex", "json_schema")

_log = logging.getLogger("avengers")


def check_questions(questions: Sequence[Question], plan: CollectionPlan) -> None:
    """Check that each question has what its grader needs.

    Raises:
        QuestionError: If a question names an unknown grader, or its reference is missing or cannot be used.
    """
    for question in questions:
        name = question.grader or plan.grader
        where = f"question {question.index!r} of {question.dataset}"
        if name != plan.grader and name not in (*GRADERS, "judge"):  # a file of questions must not name code to run
            raise QuestionError(
                f"{where}: field 'grader': {name!r} is not one of {', '.join(GRADERS)}, judge; a function is given to "
                "the run, not in the questions"
            )
        if question.answer is None and name != "judge" and ":" not in name:
            raise QuestionError(f"{where}: no field 'answer' for {name}")
        if name in _CHECKED_REFERENCES:
            GRADERS[name]("", question)


def make_graders(questions: Sequence[Question], plan: CollectionPlan) -> dict[str, Grader | None]:
    """The graders that the questions need, by name; None for the judge.

    Raises:
        ValueError: If there is no grader of a name.
        CollectError: If a judge is needed and the plan has none.
        SandboxError: If a sandbox is needed and does not work here.
    """
    graders: dict[str, Grader | None] = {}
    for name in {question.grader or plan.grader for question in questions}:
        if name != "judge":
            graders[name] = make_grader(name, timeout=plan.code_timeout, sandboxed=plan.sandboxed)
        elif plan.judge is None:
            raise CollectError("grader judge: say which model judges")
        else:
            graders[name] = None
    if "code" in graders and plan.sandboxed:
        run_python("", sandboxed=True)
    return graders


def grade_name(question: Question, plan: CollectionPlan) -> str:
    """A grader's name with a digest of the reference. If the reference is corrected, answers are graded again."""
    name = question.grader or plan.grader
    if name == "judge" and plan.judge:
        name = f"judge {plan.judge.id}"
    reference = json.dumps(question.answer, sort_keys=True, default=str)
    return f"{name} {hashlib.sha256(reference.encode()).hexdigest()[:12]}"


class Grading:
    """Grades answers once.

    Args:
        graders: See `make_graders`.
        plan: Names the default grader and the judge.
        journal: Keeps the grades.
        requests: Asks the judge.
        failures: Counts answers that could not be graded.
    """

    def __init__(
        self,
        graders: Mapping[str, Grader | None],
        plan: CollectionPlan,
        journal: Journal,
        requests: Requests,
        failures: Failures,
    ) -> None:
        self._graders, self._plan = graders, plan
        self._journal, self._requests, self._failures = journal, requests, failures
        limit = plan.concurrency_of(plan.judge.profile.provider) if plan.judge else 1
        self._judge_slots = asyncio.Semaphore(limit)

    async def grade(self, question: Question, model: ModelUnderTest, answer: Answer) -> None:
        """Grade an answer and save the grade, if the journal does not have it. A failure is counted, not raised."""
        if self._journal.grade(question.key, model.id, grade_name(question, self._plan)) is not None:
            return
        grader = self._graders[question.grader or self._plan.grader]
        if grader is None:
            await self._judge(question, model, answer)
        else:
            await self._call(grader, question, model, answer)

    async def _call(self, grader: Grader, question: Question, model: ModelUnderTest, answer: Answer) -> None:
        deadline = Deadline(max(self._plan.grader_timeout, self._plan.code_timeout + 10))
        try:
            score = await asyncio.to_thread(deadline.run, grader, answer.text, question)
        except Exception as error:  # a user's function may raise anything; the answer is kept
            name = question.grader or self._plan.grader
            self._failures.note(model.id, f"grader {name}: {type(error).__name__}: {error}"[:200])
            return
        self._journal.save_grade(question.key, model.id, grade_name(question, self._plan), score)

    async def _judge(self, question: Question, model: ModelUnderTest, answer: Answer) -> None:
        judge = self._plan.judge
        assert judge is not None
        if judge.id in self._failures.given_up:
            return
        label, prompt = f"{judge.id} on {model.id}", judge_prompt(answer.text, question)
        async with self._judge_slots:
            try:
                answered = await self._requests.ask(judge, question.key, label, prompt)
            except CollectError:
                raise
            except Exception as error:  # whatever a client raises
                self._failures.fail(judge.id, error)
                return
        if answered is None:
            return
        score = read_verdict(answered.answer.text)
        if score is None:
            _log.warning("the judge gave no score for %s on question %s", model.id, question.index)
            self._journal.settle_request(answered.number, answered.answer.cost_pico)
            return
        self._journal.save_grade(
            question.key,
            model.id,
            grade_name(question, self._plan),
            score,
            cost_pico=answered.answer.cost_pico,
            request=answered.number,
        )
