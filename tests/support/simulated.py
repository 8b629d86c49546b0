"""Models of known ability that answer generated questions: right or wrong by chance, always the same to a question."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avengers_core.bank import KINDS, Item, generate
from avengers_core.calibrating.questions import QuestionBank
from avengers_core.calibrating.router_beliefs import LEVEL_SCORES

from tests.support.llm_server import text_of

#: Adds to the probability that an answer is right, by model and kind of questions.
Skills = Mapping[str, Callable[[str], float]]


def says(
    skills: Skills, seed: int, kinds: Sequence[str] = tuple(KINDS), count: int = 40
) -> Callable[[dict[str, Any]], str | list[tuple[str, Any]]]:
    """What simulated models say to a request; for `LLMServer.says`.

    Args:
        skills: By the model's name in requests.
        seed: Seed of the questions.
        kinds: Kinds of questions that are known.
        count: How many of each.
    """
    known = _questions(seed, kinds, count)

    def reply(body: dict[str, Any]) -> str | list[tuple[str, Any]]:
        prompt = text_of(body["messages"][-1]["content"])
        kind, level, item = known[prompt]
        dice = random.Random(f"{body['model']} {prompt}")
        right = dice.random() < LEVEL_SCORES[level] + skills[body["model"]](kind)
        answer = item.reference if right else dice.choice(list(item.wrong))
        if not item.tools:
            return answer
        calls = json.loads(answer)["tool_calls"]
        return [(call["name"], call["args"]) for call in calls] or json.loads(answer)["text"]

    return reply


def _questions(seed: int, kinds: Sequence[str], count: int) -> dict[str, tuple[str, int, Item]]:
    bank = QuestionBank(list(kinds), seed)
    found = {}
    for kind in kinds:
        for place in range(count):
            level = bank.level(place)
            item = generate(kind, level, place, seed)
            found[item.prompt] = (kind, level, item)
    return found
