"""Generated questions: graded right with their own references, and wrong with what is plausible and wrong."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from avengers_core.bank import KINDS, LEVELS, WRONG_ANSWERS, generate
from avengers_core.bank.languages import LANGUAGES
from avengers_core.collecting.graders import GRADERS, make_grader
from avengers_core.collecting.questions import Question
from avengers_core.collecting.sandbox import bubblewrap_command

CELLS = [(kind, level) for kind in KINDS for level in LEVELS]
needs_sandbox = pytest.mark.skipif(bubblewrap_command() is None, reason="bubblewrap does not work here")
marked = [pytest.param(*cell, marks=[needs_sandbox] if cell[0] == "code" else []) for cell in CELLS]


def question(kind: str, level: int, number: int) -> tuple[Question, str, list[str]]:
    item = generate(kind, level, number)
    asked = Question(query=item.query, prompt=item.prompt, answer=item.answer, grader=item.grader, index=number)
    return asked, item.reference, list(item.wrong)


def check(kind: str, level: int, numbers: range) -> None:
    for number in numbers:
        asked, reference, wrong = question(kind, level, number)
        grader = make_grader(asked.grader)
        assert grader(reference, asked) == 1.0, (number, reference)
        assert len(set(wrong)) == WRONG_ANSWERS
        for answer in wrong:
            assert grader(answer, asked) == 0.0, (number, answer, reference)


@pytest.mark.parametrize(("kind", "level"), marked)
def test_references_are_right_and_wrong_answers_are_wrong(kind: str, level: int) -> None:
    check(kind, level, range(1 if kind == "code" else 6))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "level"), marked)
def test_two_hundred_of_each_kind_and_level(kind: str, level: int) -> None:
    check(kind, level, range(200))


@pytest.mark.parametrize(("kind", "level"), CELLS)
def test_questions_differ_and_are_the_same_again(kind: str, level: int) -> None:
    made = [generate(kind, level, number) for number in range(6)]
    assert len({item.prompt for item in made}) >= 4
    assert generate(kind, level, 3) == made[3]
    assert generate(kind, level, 3, seed=1).prompt != made[3].prompt
    json.dumps(made[0].answer)


def test_levels_grow() -> None:
    """What a level adds can be counted: steps, people, rules, sentences, settings."""
    for kind in ("logic", "code", "instructions", "retrieval", "languages", "editing", "extraction", "grounding"):
        lengths = [sum(len(generate(kind, level, n).prompt) for n in range(6)) for level in LEVELS]
        assert lengths == sorted(lengths), kind


def test_tools_are_sometimes_not_needed_and_texts_sometimes_do_not_answer() -> None:
    calls = Counter(len(generate("tools", 4, number).answer) for number in range(60))
    assert calls[0] > 10
    assert calls[1] > 3
    assert {len(generate("tools", 3, number).answer) for number in range(10)} == {4}
    stated = Counter(generate("grounding", 3, number).answer == "not stated" for number in range(60))
    assert min(stated.values()) > 15


def test_at_least_five_languages() -> None:
    prompts = [generate("languages", 2, number).prompt for number in range(80)]
    forms = {name: language.form for name, language in LANGUAGES.items()}
    assert {name for name, form in forms.items() if any(form in prompt for prompt in prompts)} == set(forms)
    assert len(forms) >= 5


class Person:
    """A simulated model, which gets each step of a task right with some probability."""

    def __init__(self, ability: float) -> None:
        self.ability = ability

    def solves(self, steps: int) -> float:
        return self.ability**steps


def steps_of(kind: str, level: int) -> float:
    """How many things one has to get right: clues, steps, notes, edits, rules; the mean of some questions."""
    counted = []
    for number in range(5):
        query = generate(kind, level, number).query
        counted.append(query.count("\n- ") + query.count("\n") * (kind in ("code", "editing")) + query.count(". "))
    return sum(counted) / len(counted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["logic", "code", "instructions", "languages", "editing"])
def test_levels_order_simulated_models(kind: str) -> None:
    weak, strong = Person(0.8), Person(0.97)
    for person in (weak, strong):
        scores = [person.solves(math.ceil(steps_of(kind, level))) for level in LEVELS]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] > scores[-1]
    for level in LEVELS:
        assert strong.solves(math.ceil(steps_of(kind, level))) > weak.solves(math.ceil(steps_of(kind, level)))


def test_unknown_kinds_and_levels() -> None:
    with pytest.raises(ValueError, match="kind must be one of arithmetic"):
        generate("poetry", 1, 0)
    with pytest.raises(ValueError, match="level must be one of 1, 2"):
        generate("sql", 9, 0)


def test_whole_numbers_are_compared_exactly() -> None:
    asked = Question(query="?", answer=6100833)
    assert GRADERS["numeric"]("6100833", asked) == 1
    assert GRADERS["numeric"]("6,100,834", asked) == 0
    assert GRADERS["numeric"]("0.3333333", Question(query="?", answer="1/3")) == 1
