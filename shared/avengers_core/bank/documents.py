"""Made documents: what they say, found by one step or several, and what they do not say."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .arithmetic import wrong_numbers
from .types import Item, different
from .words import CITIES, made_up_name

__all__ = ["grounding", "retrieval"]

_FORM = "{query}\n\nAnswer from this text alone.\n\n<text>\n{text}\n</text>\n\n{query} {last}"
_LAST = "End with a line of the form 'Answer: <answer>', with nothing but the answer in it."
_LAST_OR_NONE = _LAST + " If the text does not say it, write 'Answer: not stated'."
#: Sentences, by level.
_LENGTH = {1: 8, 2: 40, 3: 160, 4: 300, 5: 420}

_TRADES = ("baker", "carpenter", "dentist", "engineer", "florist", "glazier", "lawyer", "nurse", "pilot", "surveyor")
_HOBBIES = ("archery", "ballet", "chess", "diving", "fencing", "golf", "pottery", "rowing", "skiing", "weaving")


class _Person:
    """A made person, and what a document may say of them."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name = name
        self.facts = {
            "trade": rng.choice(_TRADES),
            "city": rng.choice(CITIES),
            "hobby": rng.choice(_HOBBIES),
            "born": str(rng.randrange(1950, 2005)),
        }
        self.friend = ""

    def sentence(self, fact: str) -> str:
        value = self.facts[fact]
        return {
            "trade": f"{self.name} works as a {value}.".replace("a engineer", "an engineer"),
            "city": f"{self.name} lives in {value}.",
            "hobby": f"{self.name} spends weekends on {value}.",
            "born": f"{self.name} was born in {value}.",
        }[fact]


_QUESTIONS = {
    "trade": "What is the trade of {name}?",
    "city": "In which city does {name} live?",
    "hobby": "What does {name} spend weekends on?",
    "born": "In which year was {name} born?",
}
_VALUES: dict[str, Sequence[str]] = {
    "trade": _TRADES,
    "city": CITIES,
    "hobby": _HOBBIES,
    "born": [str(year) for year in range(1950, 2005)],
}


def retrieval(rng: random.Random, level: int) -> Item:
    """Find what a document says: from one of eight sentences (1) to a count over four hundred (5)."""
    people = _people(rng, _LENGTH[level] // 4 + 2, similar=level >= 3)
    sentences = [person.sentence(fact) for person in people for fact in person.facts]
    one = rng.choice(people)
    fact = rng.choice(list(_QUESTIONS))
    if level < 4:
        query, answer = _QUESTIONS[fact].format(name=one.name), one.facts[fact]
        wrong = different(answer, rng.sample(list(_VALUES[fact]), 8))
    elif level == 4:
        for person in people:
            person.friend = rng.choice([other.name for other in people if other is not person])
            sentences.append(f"The best friend of {person.name} is {person.friend}.")
        friend = next(person for person in people if person.name == one.friend)
        last = next(person for person in people if person.name == friend.friend)
        query = _QUESTIONS[fact].format(name=f"the best friend of the best friend of {one.name}")
        answer = last.facts[fact]
        wrong = different(answer, [friend.facts[fact], one.facts[fact], *rng.sample(list(_VALUES[fact]), 8)])
    else:
        trade, year = one.facts["trade"], rng.randrange(1965, 1990)
        count = sum(person.facts["trade"] == trade and int(person.facts["born"]) < year for person in people)
        query = f"How many of the people who work as {trade}s were born before {year}?"
        answer = str(count)
        wrong = [str(number) for number in different(count, (abs(n) for n in wrong_numbers(count, rng)))]
    return _item(query, sentences, answer, wrong, rng, _LAST)


def grounding(rng: random.Random, level: int) -> Item:
    """A question that the text may not answer: half of the time it does, and similar names are around."""
    people = _people(rng, _LENGTH[level] // 4 + 3, similar=level >= 2)
    one, fact = rng.choice(people), rng.choice(list(_QUESTIONS))
    stated = rng.random() < 0.5
    sentences = []
    for person in people:
        for name in person.facts:
            asked = person is one and name == fact
            if stated if asked else rng.random() < 0.8:
                sentences.append(person.sentence(name))
    other = rng.choice([person for person in people if person is not one])
    if not stated and level >= 3:
        sentences.append(f"Nobody knows what {one.name} thinks of {other.name}.")
        sentences.append(f"{other.name} once said that {one.name} ought to move to {rng.choice(CITIES)}.")
        sentences.append(f"As a child {one.name} wanted to be a {rng.choice(_TRADES)}.".replace("a eng", "an eng"))
    answer = one.facts[fact] if stated else "not stated"
    values = rng.sample(list(_VALUES[fact]), 8)
    wrong = different(answer, ["not stated", *values] if stated else [other.facts[fact], *values])
    return _item(_QUESTIONS[fact].format(name=one.name), sentences, answer, wrong, rng, _LAST_OR_NONE)


def _people(rng: random.Random, count: int, *, similar: bool) -> list[_Person]:
    """People of different names; similar ones share their first or their last name with others."""
    firsts = [made_up_name(rng) for _ in range(max(count // 4, 3) if similar else count)]
    lasts = [made_up_name(rng) for _ in range(max(count // 4, 3) if similar else count)]
    names: dict[str, None] = {}
    while len(names) < count:
        names.setdefault(f"{rng.choice(firsts)} {rng.choice(lasts)}")
        if len(names) >= len(firsts) * len(lasts) // 2:
            firsts.append(made_up_name(rng))
    return [_Person(name, rng) for name in names]


def _item(query: str, sentences: list[str], answer: str, wrong: Sequence[str], rng: random.Random, last: str) -> Item:
    rng.shuffle(sentences)
    prompt = _FORM.format(query=query, text=" ".join(sentences), last=last)
    return Item(query, prompt, "final", answer, f"Answer: {answer}", [f"Answer: {one}" for one in wrong])
