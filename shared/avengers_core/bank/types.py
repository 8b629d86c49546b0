"""What a generator makes: a question with its grader, a right answer and plausible wrong ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LEVELS", "WRONG_ANSWERS", "Generator", "Item", "different"]

#: Levels of difficulty, from trivial to beyond today's best models.
LEVELS = (1, 2, 3, 4, 5)

#: Plausible wrong answers of each question.
WRONG_ANSWERS = 5


@dataclass(frozen=True)
class Item:
    """A generated question.

    Attributes:
        query: What a user would ask, and what the router sees.
        prompt: What is sent: the query with its material and the form of the answer.
        grader: Name of the grader.
        answer: What the grader needs.
        reference: An answer that the grader accepts.
        wrong: Answers that are plausible and wrong.
        tools: Tools that the model may call, in OpenAI's form.
    """

    query: str
    prompt: str
    grader: str
    answer: Any
    reference: str
    wrong: Sequence[str]
    tools: Sequence[dict[str, Any]] = field(default=())


#: Makes a question of a level of difficulty.
Generator = Callable[[random.Random, int], Item]


def different(reference: Any, candidates: Iterable[Any], count: int = WRONG_ANSWERS) -> list[Any]:
    """The first ``count`` of the candidates that differ from the reference and from each other.

    Args:
        reference: What they must differ from.
        candidates: Perhaps without end.
        count: How many are wanted.
    """
    found: list[Any] = []
    for candidate in candidates:
        if candidate != reference and candidate not in found:
            found.append(candidate)
            if len(found) == count:
                break
    return found
