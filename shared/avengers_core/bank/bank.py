"""The kinds of questions that can be made, by name."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .arithmetic import arithmetic
from .coding import coding
from .databases import databases
from .documents import grounding, retrieval
from .editing import editing
from .extraction import extraction
from .instructions import instructions
from .languages import languages
from .logic import logic
from .tool_use import tool_use
from .types import LEVELS, Generator, Item

__all__ = ["KINDS", "Kind", "generate"]


@dataclass(frozen=True)
class Kind:
    """A kind of questions.

    Attributes:
        task: What its questions are, in a few words.
        make: Makes one.
    """

    task: str
    make: Generator


#: All kinds by name.
KINDS: dict[str, Kind] = {
    "arithmetic": Kind("arithmetic and algebra", arithmetic),
    "logic": Kind("puzzles of logic", logic),
    "code": Kind("Python functions", coding),
    "sql": Kind("SQL queries", databases),
    "extraction": Kind("extraction of data as JSON", extraction),
    "tools": Kind("calls of tools", tool_use),
    "instructions": Kind("writing under constraints", instructions),
    "retrieval": Kind("facts from long texts", retrieval),
    "grounding": Kind("questions that a text may not answer", grounding),
    "languages": Kind("word problems in eight languages", languages),
    "editing": Kind("edits of a file", editing),
}


def generate(kind: str, level: int, number: int, seed: int = 0) -> Item:
    """Make a question. The same arguments give the same question.

    Args:
        kind: One of `KINDS`.
        level: One of `LEVELS`.
        number: Which of the questions of this kind and level.
        seed: Another seed gives other questions.

    Raises:
        ValueError: If there is no such kind or level.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(map(str, LEVELS))}, not {level!r}")
    return KINDS[kind].make(random.Random(f"{seed}/{kind}/{level}/{number}"), level)
