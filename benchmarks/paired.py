"""Two versions of this project in turns, in one run: calls, a hundred calls at once, start, training.

    python benchmarks/paired.py --base REVISION [--rounds 30]

Needs: pip install -e '.[all]' --group dev. Both versions run with the packages that are installed. Each has a process
of its own, and they are asked by turns; look at the ratios, not at the times themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "mmlupro.train.jsonl.gz"
MINI, BIG = "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"
VERSIONS = ("base", "new")

#: Calls of a turn, of which the median counts, by what is measured, and with what it is compared. Of two hundreds
#: at once the faster one counts, as the other one may have to open connections.
CALLS = {
    "model alone": (30, ""),
    "with_fallbacks": (30, "model alone"),
    "ChatAvengers": (30, "model alone"),
    "ChatAvengers, ledger": (30, "model alone"),
    "server: model alone": (15, ""),
    "server: ChatAvengers": (15, "server: model alone"),
    "server: ChatAvengers, ledger": (15, "server: model alone"),
    "server: first token alone": (15, ""),
    "server: first token, ChatAvengers": (15, "server: first token alone"),
    "server: LlamaIndex model alone": (15, ""),
    "server: AvengersLLM": (15, "server: LlamaIndex model alone"),
    "server: AvengersLLM, ledger": (15, "server: LlamaIndex model alone"),
    "100 at once, model alone": (2, ""),
    "100 at once, ChatAvengers": (2, "100 at once, model alone"),
    "100 at once, ChatAvengers, ledger": (2, "100 at once, model alone"),
    "100 at once, LlamaIndex model alone": (2, ""),
    "100 at once, AvengersLLM": (2, "100 at once, LlamaIndex model alone"),
    "100 at once, AvengersLLM, ledger": (2, "100 at once, LlamaIndex model alone"),
}

#: Commands that are timed as a whole.
COMMANDS = {
    "import avengers_langchain": ["-c", "import avengers_langchain"],
    "import avengers_llamaindex": ["-c", "import avengers_llamaindex"],
    "avengers --help": ["-m", "avengers_core.cli", "--help"],
    "import to first answer": ["benchmarks/paired.py", "--first-call"],
    "train on 9,028 records": ["-m", "avengers_core.cli", "train", str(DATA), "--quiet", "-o", "{folder}/router.zip"],
}


def fake_model() -> Any:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class Fake(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "fake"

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
            usage: Any = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
            return ChatResult(generations=[ChatGeneration(message=AIMessage("ok", usage_metadata=usage))])

    return Fake()


def ask(number: int) -> str:
    return f"What is {number} plus {number}? Think about it."


def contenders(url: str) -> dict[str, Callable[[int], Any]]:
    from langchain_openai import ChatOpenAI
    from llama_index.llms.openai import OpenAI

    from avengers_langchain import ChatAvengers
    from avengers_llamaindex import AvengersLLM

    folder, loop = tempfile.mkdtemp(), asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    def chat(name: str) -> Any:
        return ChatOpenAI(model=name, base_url=f"{url}/v1", api_key="sk-none", max_retries=0, stream_usage=True)

    def llm(name: str) -> Any:
        return OpenAI(model=name, api_base=f"{url}/v1", api_key="sk-none", max_retries=0)

    def routed(kind: Any, make: Callable[[str], Any], name: str) -> tuple[Any, Any]:
        models = {one: make(one) for one in (MINI, BIG)}
        return kind(models=models, alpha=0), kind(models=models, alpha=0, ledger=f"{folder}/{name}.sqlite")

    def at_once(method: Callable[[str], Any]) -> Callable[[int], None]:
        async def many(number: int) -> None:
            await asyncio.gather(*(method(ask(number * 100 + place)) for place in range(100)))

        return lambda number: loop.run_until_complete(many(number))

    def invoke(model: Any) -> Callable[[int], Any]:
        return lambda number: model.invoke(ask(number))

    def complete(model: Any) -> Callable[[int], Any]:
        return lambda number: model.complete(ask(number))

    def first(model: Any) -> Callable[[int], Any]:
        def call(number: int) -> None:
            stream = model.stream(ask(number))
            next(chunk for chunk in stream if chunk.text)
            stream.close()

        return call

    fake, alone, index = fake_model(), chat(MINI), llm(MINI)
    routed_fake, ledger_fake = routed(ChatAvengers, lambda _: fake_model(), "fake")
    routed_chat, ledger_chat = routed(ChatAvengers, chat, "chat")
    routed_index, ledger_index = routed(AvengersLLM, llm, "index")
    measured = (
        *map(invoke, (fake, fake.with_fallbacks([fake_model()]), routed_fake, ledger_fake)),
        *map(invoke, (alone, routed_chat, ledger_chat)),
        *map(first, (alone, routed_chat)),
        *map(complete, (index, routed_index, ledger_index)),
        *(at_once(model.ainvoke) for model in (alone, routed_chat, ledger_chat)),
        *(at_once(model.acomplete) for model in (index, routed_index, ledger_index)),
    )
    return dict(zip(CALLS, measured, strict=True))


def work(url: str) -> None:
    """Measure what is asked for on the standard input, a line each, and answer with the median seconds."""
    made = contenders(url)
    number = 0
    for name, call in made.items():
        for _ in range(CALLS[name][0]):
            number += 1
            call(number)
    print("ready", flush=True)
    for line in sys.stdin:
        name, times = line.strip(), []
        for _ in range(CALLS[name][0]):
            number += 1
            start = time.perf_counter()
            made[name](number)
            times.append(time.perf_counter() - start)
        print(json.dumps(statistics.median_low(times)), flush=True)


def first_call() -> None:
    from avengers_langchain import ChatAvengers

    ChatAvengers(models={MINI: fake_model(), BIG: fake_model()}).invoke("Hello")


def environment(root: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{root / 'shared'}:{root}"}


@contextmanager
def base_version(revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "base"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", root, revision], cwd=ROOT, check=True)
        try:
            yield root
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", root], cwd=ROOT, check=True)


@contextmanager
def answering_server() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.support.llm_server"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment(ROOT), stdout=subprocess.PIPE, text=True)
    assert server.stdout
    try:
        yield server.stdout.readline().strip()
    finally:
        server.kill()


def time_calls(roots: dict[str, Path], names: list[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by what is measured and by version, a value for each round."""
    times: dict[str, dict[str, list[float]]] = {name: {version: [] for version in VERSIONS} for name in names}
    with answering_server() as url:
        workers = {
            version: subprocess.Popen(
                [sys.executable, __file__, "--work", url],
                cwd=root,
                env=environment(root),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for version, root in roots.items()
        }
        for worker in workers.values():
            while next(iter(worker.stdout or ()), "ready\n") != "ready\n":
                pass
        for _ in range(rounds):
            for version in random.sample(VERSIONS, 2):
                worker = workers[version]
                assert worker.stdin
                assert worker.stdout
                for name in names:
                    worker.stdin.write(name + "\n")
                    worker.stdin.flush()
                    times[name][version].append(json.loads(worker.stdout.readline()))
        for worker in workers.values():
            worker.kill()
    return times


def time_commands(roots: dict[str, Path], names: list[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by command and by version, a value for each round."""
    times: dict[str, dict[str, list[float]]] = {name: {version: [] for version in VERSIONS} for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            given = [word.format(folder=folder) for word in COMMANDS[name]]
            given = [str(ROOT / word) if word.startswith("benchmarks/") else word for word in given]
            for _ in range(max(3, rounds // 6) if "train" in name else rounds):
                for version in random.sample(VERSIONS, 2):
                    start = time.perf_counter()
                    subprocess.run(
                        [sys.executable, *given],
                        cwd=roots[version],
                        env=environment(roots[version]),
                        stdout=subprocess.DEVNULL,
                        check=True,
                    )
                    times[name][version].append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="HEAD")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", default="", help="measure only what has this in its name")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--first-call", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments.work)
    if arguments.first_call:
        return first_call()
    with base_version(arguments.base) as base:
        roots = {"base": base, "new": ROOT}
        calls = [name for name in CALLS if arguments.only in name]
        commands = [name for name in COMMANDS if arguments.only in name]
        times = time_calls(roots, calls, arguments.rounds) | time_commands(roots, commands, arguments.rounds)
    table = Table(title=f"{arguments.base} and the working tree, medians of {arguments.rounds} rounds: milliseconds")
    for column in ("", "base", "new", "new / base", "base, times alone", "new, times alone"):
        table.add_column(column, justify="right" if column else "left")
    for name, by_version in times.items():
        medians = {version: statistics.median(by_version[version]) for version in VERSIONS}
        ratio = statistics.median(new / old for old, new in zip(by_version["base"], by_version["new"], strict=True))
        _, alone = CALLS.get(name, (0, ""))
        times_alone = [
            f"{statistics.median(one / other for one, other in zip(by_version[v], times[alone][v], strict=True)):.2f}"
            if alone in times
            else ""
            for v in VERSIONS
        ]
        table.add_row(name, *(f"{medians[v] * 1e3:.2f}" for v in VERSIONS), f"{ratio:.2f}", *times_alone)
    Console(width=140).print(table)
    return None


if __name__ == "__main__":
    main()
