"""The journal as a state machine: asked, then answered, refused, settled or lost; reopened at any moment."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from avengers_core.collecting.journal import Answer, Journal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

COSTS = st.integers(0, 10**9)


class JournalStates(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.journal = Journal(self.folder / "j", {"temperature": 0})
        self.open: dict[int, tuple[str, int]] = {}
        self.lost: dict[int, int] = {}
        self.answers: dict[str, Answer] = {}
        self.settled = 0
        self.asked = 0

    def teardown(self) -> None:
        self.journal.close()
        shutil.rmtree(self.folder)

    def take(self, data: st.DataObject) -> tuple[int, str, int]:
        request = data.draw(st.sampled_from(sorted(self.open)))
        question, expected = self.open.pop(request)
        return request, question, expected

    @rule(expected=COSTS)
    def ask(self, expected: int) -> None:
        self.asked += 1
        question = f"q{self.asked}"
        self.open[self.journal.begin_request(question, "m", expected)] = (question, expected)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), cost=st.none() | COSTS)
    def answer(self, data: st.DataObject, cost: int | None) -> None:
        request, question, expected = self.take(data)
        self.answers[question] = Answer(f"answer to {question}", None, cost, expected, 0.5)
        self.journal.save_answer(request, question, "m", self.answers[question])

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        self.journal.refuse_request(self.take(data)[0])

    @precondition(lambda self: self.open)
    @rule(data=st.data(), cost=st.none() | COSTS)
    def settle(self, data: st.DataObject, cost: int | None) -> None:
        request, _, expected = self.take(data)
        self.journal.settle_request(request, cost)
        self.settled += expected if cost is None else cost

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        request, _, expected = self.take(data)
        self.journal.lose_request(request)
        self.lost[request] = expected

    @rule()
    def reopen(self) -> None:
        """What was in flight when a run ended may have been paid."""
        self.journal.close()
        self.journal = Journal(self.folder / "j", {"temperature": 0})
        self.lost |= {request: expected for request, (_, expected) in self.open.items()}
        self.open.clear()

    @invariant()
    def answers_are_kept(self) -> None:
        for question, answer in self.answers.items():
            assert self.journal.answer(question, "m") == answer

    @invariant()
    def spent_is_what_was_paid_or_may_be(self) -> None:
        paid = sum(a.expected_pico if a.cost_pico is None else a.cost_pico for a in self.answers.values())
        in_flight = sum(expected for _, expected in self.open.values())
        assert self.journal.spent_pico == paid + in_flight + sum(self.lost.values()) + self.settled
        assert tuple(self.journal.lost) == (len(self.lost), sum(self.lost.values()))


TestJournalStates = JournalStates.TestCase
TestJournalStates.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
