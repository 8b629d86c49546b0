"""Short texts under constraints that a program can check."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from .types import WRONG_ANSWERS, Item
from .words import VOCABULARY

__all__ = ["check_text", "instructions"]

#: Constraints by level: lines, words a line, whether lines begin with the letters of a word, forbidden letters, and a
#: word with how often it occurs.
_LEVELS: dict[int, dict[str, Any]] = {
    1: {"lines": 2, "words": 3},
    2: {"lines": 3, "words": 4, "forbidden": 1},
    3: {"lines": 4, "words": 5, "acrostic": True, "forbidden": 1},
    4: {"lines": 5, "words": 6, "acrostic": True, "forbidden": 2, "repeated": 3},
    5: {"lines": 7, "words": 8, "acrostic": True, "forbidden": 3, "repeated": 5, "lengths": True},
}
#: Words whose letters lines may begin with, by length.
_ACROSTICS = {
    4: ("fish", "jump", "wind", "glow"),
    5: ("frost", "light", "young", "plums"),
    7: ("bishops", "journal", "flowing"),
}
#: What texts are about.
_TOPICS = (
    "nature", "a walk", "the sea", "an old house", "winter", "a long road", "the night sky", "a garden", "an island",
    "a storm", "the harbour", "a forest", "early morning", "a quiet valley", "the moon", "a river",
)  # fmt: skip


def instructions(rng: random.Random, level: int) -> Item:
    """Write lines of words: two lines (1), or seven with an acrostic, forbidden letters and word lengths (5)."""
    while True:
        rules = _rules(rng, level)
        reference = _text(rules, rng)
        if reference is None:
            continue
        wrong = list(dict.fromkeys(one for one in _slips(reference, rules, rng) if not check_text(one, rules)))
        if check_text(reference, rules) and len(wrong) >= WRONG_ANSWERS:
            break
    query = f"Write a text about {rng.choice(_TOPICS)} that keeps to these rules:\n" + "\n".join(
        f"- {rule}" for rule in _told(rules)
    )
    return Item(query, query + "\n\nReply with the text alone.", "constraints", rules, reference, wrong[:WRONG_ANSWERS])


def check_text(text: str, rules: dict[str, Any]) -> bool:
    """Whether a text keeps to rules.

    Args:
        text: The text.
        rules: As they stand in a question's answer.
    """
    lines = [line.split() for line in text.strip().splitlines() if line.strip()]
    words = [word for line in lines for word in line]
    letters = {letter for word in words for letter in word}
    keeps = len(lines) == rules["lines"] and all(len(line) == rules["words"] for line in lines)
    keeps = keeps and all(word.isascii() and word.isalpha() and word.islower() for word in words)
    keeps = keeps and not letters & set(rules.get("forbidden", ""))
    if "acrostic" in rules:
        keeps = keeps and "".join(line[0][0] for line in lines) == rules["acrostic"]
    if "repeated" in rules:
        word, times = rules["repeated"]
        keeps = keeps and words.count(word) == times
    if "last_length" in rules:
        keeps = keeps and all(len(line[-1]) == rules["last_length"] for line in lines)
    return keeps


def _rules(rng: random.Random, level: int) -> dict[str, Any]:
    shape = _LEVELS[level]
    rules: dict[str, Any] = {"lines": shape["lines"], "words": shape["words"] + rng.randrange(3)}
    if "acrostic" in shape:
        rules["acrostic"] = rng.choice(_ACROSTICS[shape["lines"]])
    if "forbidden" in shape:
        free = [letter for letter in "abcdeklmnprstuvw" if letter not in rules.get("acrostic", "")]
        rules["forbidden"] = "".join(sorted(rng.sample(free, shape["forbidden"])))
    allowed = _allowed(rules)
    if "repeated" in shape and allowed:
        rules["repeated"] = [rng.choice(allowed), shape["repeated"]]
    if "lengths" in shape:
        rules["last_length"] = rng.choice((4, 5))
    return rules


def _told(rules: dict[str, Any]) -> Iterator[str]:
    yield f"It has exactly {rules['lines']} lines, and each line has exactly {rules['words']} words."
    yield "It consists of the letters a to z in lower case, blanks and line breaks only: no punctuation and no capitals."
    if "acrostic" in rules:
        yield f"The first letters of the lines spell '{rules['acrostic']}'."
    if "forbidden" in rules:
        yield f"None of these letters occurs anywhere: {', '.join(rules['forbidden'])}."
    if "repeated" in rules:
        yield f"The word '{rules['repeated'][0]}' occurs exactly {rules['repeated'][1]} times."
    if "last_length" in rules:
        yield f"The last word of each line has exactly {rules['last_length']} letters."


def _allowed(rules: dict[str, Any]) -> list[str]:
    return [word for word in VOCABULARY if not set(word) & set(rules.get("forbidden", ""))]


def _text(rules: dict[str, Any], rng: random.Random) -> str | None:
    """A text that keeps to the rules, None if our vocabulary has none."""
    repeated, times = rules.get("repeated", ("", 0))
    allowed = [word for word in _allowed(rules) if word != repeated]
    lines = []
    for number in range(rules["lines"]):
        first = [word for word in allowed if word[0] == rules["acrostic"][number]] if "acrostic" in rules else allowed
        last = [word for word in allowed if len(word) == rules.get("last_length", len(word))]
        if not first or not last:
            return None
        inner = [rng.choice(allowed) for _ in range(rules["words"] - 2)]
        lines.append([rng.choice(first), *inner, rng.choice(last)])
    places = [(row, column) for row in range(rules["lines"]) for column in range(1, rules["words"] - 1)]
    for row, column in rng.sample(places, times):
        lines[row][column] = repeated
    return "\n".join(" ".join(line) for line in lines)


def _slips(text: str, rules: dict[str, Any], rng: random.Random) -> Iterator[str]:
    lines = text.splitlines()
    yield "\n".join(lines[:-1])
    yield text + " again"
    yield text.replace("\n", ".\n") + "."
    yield text.capitalize()
    yield "Here is the text:\n" + text
    yield "\n".join([*lines, lines[0]])
    if "forbidden" in rules:
        yield "\n".join([" ".join([*lines[0].split()[:-1], rules["forbidden"][0] + "ox"]), *lines[1:]])
    if "acrostic" in rules:
        yield "\n".join(["zigzag " + lines[0].partition(" ")[2], *lines[1:]])
    if "repeated" in rules:
        yield text.replace(rules["repeated"][0], rng.choice(["moo", "ohooh"]), 1)
