"""The bank's questions in the order in which every model is asked them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from .._utils.tokens import count_tokens
from ..bank import KINDS, generate
from ..collecting.journal import read_setting
from ..collecting.questions import Question

__all__ = ["LEVEL_ORDER", "QuestionBank", "earlier_seed", "new_seed"]

#: Levels of the questions of a kind, one after the other, again and again. Models that were asked more questions of a
#: kind than others were asked the same ones before them, so that their mean scores can be compared.
LEVEL_ORDER = (3, 4, 2, 5, 4, 3, 5, 1)


class QuestionBank:
    """Questions of some kinds, made when they are needed.

    Args:
        kinds: Names of kinds.
        seed: Another seed gives other questions.
    """

    def __init__(self, kinds: list[str], seed: int) -> None:
        self.kinds, self.seed = kinds, seed
        self._made: dict[tuple[int, int], Question] = {}

    def level(self, place: int) -> int:
        """The level of a question.

        Args:
            place: Its place in the order of its kind, from 0.
        """
        return LEVEL_ORDER[place % len(LEVEL_ORDER)]

    def question(self, kind: int, place: int) -> Question:
        """A question.

        Args:
            kind: Position of its kind.
            place: Its place in the order of its kind, from 0.
        """
        if (kind, place) not in self._made:
            name, level = self.kinds[kind], self.level(place)
            item = generate(name, level, place, self.seed)
            self._made[kind, place] = Question(
                query=item.query,
                answer=item.answer,
                index=f"{self.seed}/{place}/level {level}",
                dataset=f"generated {name}",
                prompt=item.prompt,
                grader=item.grader,
                source=f"{KINDS[name].task} (generated)",
                tools=list(item.tools),
            )
        return self._made[kind, place]

    def made(self, kind: int) -> list[Question]:
        """The questions of a kind that were made so far.

        Args:
            kind: Position of the kind.
        """
        return [question for (one, _), question in self._made.items() if one == kind]

    def all(self, count: int) -> list[Question]:
        """The first questions of each kind.

        Args:
            count: How many of each.
        """
        return [self.question(kind, place) for kind in range(len(self.kinds)) for place in range(count)]

    def input_tokens(self, kind: int) -> float:
        """Mean input tokens of a question of a kind."""
        counts = [self._tokens(self.question(kind, place)) for place in range(len(LEVEL_ORDER))]
        return sum(counts) / len(counts)

    @staticmethod
    def _tokens(question: Question) -> int:
        return count_tokens(question.prompt + (json.dumps(question.tools) if question.tools else ""))


def earlier_seed(journal: Path) -> int | None:
    """The seed of a run that a journal holds, None if there is none.

    Args:
        journal: Path of the journal.
    """
    seed = read_setting(journal, "seed")
    return None if seed is None else int(seed)


def new_seed() -> int:
    """A seed that nobody can know in advance."""
    return int.from_bytes(os.urandom(4), "big")
