"""Models of known ability that answer generated questions: right or wrong by chance, always the same to a question."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from avengers_core.bank import KINDS, Item
from avengers_core.calibrating.questions import QuestionBank
from avengers_core.calibrating.router_beliefs import LEVEL_SCORES

from tests.support.llm_server import text_of

#: Adds to the probability that an answer is right, by model and kind of questions.
Skills = Mapping[str, Callable[[str], float]]


def says(skills: Skills, seed: int, count: int = 48) -> Callable[[dict[str, Any]], str | list[tuple[str, Any]]]:
    """What simulated models say to a request; for `LLMServer.says`.

    Args:
        skills: By the model's name in requests.
        seed: Seed of the questions.
        count: Questions of each kind that are known.
    """
    known: dict[str, tuple[str, int, Item]] = {}

    def reply(body: dict[str, Any]) -> str | list[tuple[str, Any]]:
        if not known:
            known.update(_questions(seed, count))
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


def _questions(seed: int, count: int) -> dict[str, tuple[str, int, Item]]:
    from avengers_core.bank import generate

    bank = QuestionBank(list(KINDS), seed)
    found = {}
    for kind in KINDS:
        for place in range(count):
            level = bank.level(place)
            item = generate(kind, level, place, seed)
            found[item.prompt] = (kind, level, item)
    return found
