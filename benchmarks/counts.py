"""How many calls our own code makes for a route, a call of a model, a training: the same on every machine.

    python benchmarks/counts.py [--write]

A clock in CI says little, as machines are noisy. Counted here are the calls of functions, Python's and C's, that
are made from files of this project. `--write` keeps the counts in benchmarks/counts.json, and
tests/integration/test_counts.py fails if one has grown by more than a tenth since then.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KEPT = Path(__file__).with_suffix(".json")
#: Files whose calls are counted.
OURS = tuple(str(ROOT / folder) for folder in ("shared/avengers_core", "avengers_langchain", "avengers_llamaindex"))
MODELS = ("gpt-5-mini", "gpt-5.1")
#: Times that each thing is done while it is counted; counts are per time.
TIMES = 20


def count(task: Callable[[int], Any], times: int = TIMES) -> int:
    """Calls made from our own files, for each time that a task is done.

    Args:
        task: Is given the number of the time.
        times: How often it is done, after a few times that warm it up.
    """
    for number in range(5):
        task(-number - 1)
    profile = cProfile.Profile()
    profile.enable()
    for number in range(times):
        task(number)
    profile.disable()
    calls = 0
    for *_, callers in pstats.Stats(profile).stats.values():  # type: ignore[attr-defined]
        calls += sum(made[0] for (file, _, _), made in callers.items() if file.startswith(OURS))
    return round(calls / times)


def question(number: int) -> str:
    return f"What is {number} plus {number}? Think about it."


def measure() -> dict[str, int]:
    """Counts by what is done."""
    from avengers_core import Router, RouterEstimator, load_records
    from avengers_core.dispatch.factory import extended_router

    sys.path.insert(0, str(ROOT))
    from tests.support.records import make_records

    router = Router.load()
    two = extended_router(router, {name: name for name in MODELS})
    table = load_records(make_records(240))
    return {
        "route among 2 models": count(lambda n: two.route(question(n))),
        "route among all models": count(lambda n: router.route(question(n))),
        "explain": count(lambda n: two.route(question(n)).explain()),
        "route 100 queries": count(lambda n: two.route_many([question(100 * n + i) for i in range(100)])),
        **of_langchain(),
        **of_llamaindex(),
        "read 240 records": count(lambda _: load_records(make_records(240)), 3),
        "train on 240 records": count(lambda _: RouterEstimator(6).fit(table), 3),
    }


def of_langchain() -> dict[str, int]:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    from avengers_langchain import ChatAvengers

    class Fake(BaseChatModel):
        """Answers at once."""

        @property
        def _llm_type(self) -> str:
            return "fake"

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
            usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
            return ChatResult(generations=[ChatGeneration(message=AIMessage("Hello", usage_metadata=usage))])

    pool = {name: Fake() for name in MODELS}
    llm = ChatAvengers(models=pool, alpha=0.5)
    with tempfile.TemporaryDirectory() as folder:
        recorded = ChatAvengers(models=pool, alpha=0.5, ledger=f"{folder}/ledger.sqlite")
        return {
            "ChatAvengers.invoke": count(lambda n: llm.invoke(question(n))),
            "ChatAvengers.invoke, ledger": count(lambda n: recorded.invoke(question(n))),
            "ChatAvengers.stream": count(lambda n: list(llm.stream(question(n)))),
            "ChatAvengers.ainvoke": count(lambda n: asyncio.run(llm.ainvoke(question(n)))),
        }


def of_llamaindex() -> dict[str, int]:
    from llama_index.core.llms.mock import MockLLM

    from avengers_llamaindex import AvengersLLM

    llm = AvengersLLM(models={name: MockLLM() for name in MODELS}, alpha=0.5)
    return {
        "AvengersLLM.complete": count(lambda n: llm.complete(question(n))),
        "AvengersLLM.stream_complete": count(lambda n: list(llm.stream_complete(question(n)))),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found = measure()
    for name, calls in found.items():
        before = kept.get(name)
        print(f"{name:<32}{calls:>8,}" + (f"   {calls / before - 1:+.1%}" if before else ""))
    if write:
        KEPT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
