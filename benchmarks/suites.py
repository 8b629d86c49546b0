"""LangChain's tests of agents and langgraph's prebuilt tests, with every chat model behind a ChatAvengers.

    python benchmarks/suites.py [--middleware] [--ledger] [--show 20]

Needs: pip install -e '.[all]' --group dev pytest-mock pytest-benchmark syrupy langgraph-checkpoint-sqlite
langgraph-checkpoint-postgres. The tests come from the packages' source distributions, which pip downloads; each suite
runs without us first, and what passes there and fails with us is listed.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

MINI = "gpt-4o-mini-2024-07-18"
ALL = dict.fromkeys(("tools", "tool_choice", "structured_output", "images", "audio", "video", "pdf", "reasoning"), True)
SUITES = {"langchain": "tests/unit_tests/agents", "langgraph-prebuilt": "tests"}


@functools.cache
def router() -> Any:
    from avengers_core import Router

    return Router.load("models-2024")


@functools.cache
def ledger() -> Any:
    """The ledger of all calls, None if there is none."""
    from avengers_core import Ledger

    url = os.environ.get("AVENGERS_SUITE_LEDGER")
    return Ledger(url) if url else None


def behind_avengers(model: Any) -> Any:
    """A chat model as the only one of a ChatAvengers; anything else as it is."""
    from langchain_core.language_models import BaseChatModel

    from avengers_langchain import ChatAvengers

    if not isinstance(model, BaseChatModel) or isinstance(model, ChatAvengers):
        return model
    return ChatAvengers(models={MINI: model}, artifact=router(), capabilities={MINI: ALL}, ledger=ledger())


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose first argument, or ``model``, is put behind a ChatAvengers."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args:
            args = (behind_avengers(args[0]), *args[1:])
        elif "model" in kwargs:
            kwargs["model"] = behind_avengers(kwargs["model"])
        return function(*args, **kwargs)

    return call


def pytest_configure(config: Any) -> None:
    """As a plugin of pytest: agents get their models behind a ChatAvengers."""
    if not os.environ.get("AVENGERS_SUITE"):
        return
    import langchain.agents
    import langchain.agents.factory
    import langgraph.prebuilt
    import langgraph.prebuilt.chat_agent_executor
    from langchain_core.language_models import FakeListChatModel

    for module, name in (
        (langchain.agents, "create_agent"),
        (langchain.agents.factory, "create_agent"),
        (langgraph.prebuilt, "create_react_agent"),
        (langgraph.prebuilt.chat_agent_executor, "create_react_agent"),
    ):
        setattr(module, name, wrapped(getattr(module, name)))
    # An application loads and opens before its event loop runs; many of the tests make their agents inside one.
    behind_avengers(FakeListChatModel(responses=["hi"])).invoke("hi")
    ignore_decisions()
    if os.environ.get("AVENGERS_SUITE_MIDDLEWARE"):
        import langchain.agents.middleware as middleware

        for name in ("SummarizationMiddleware", "LLMToolSelectorMiddleware", "LLMToolEmulator"):
            kind = getattr(middleware, name)
            kind.__init__ = with_model(kind.__init__)


def ignore_decisions() -> None:
    """Let messages be equal that differ in the decision alone: the tests compare whole messages, and ours have more."""
    from langchain_core.messages import AIMessage

    equal, ours = AIMessage.__eq__, ("avengers", "model_name")

    def plain(message: Any) -> Any:
        if not isinstance(message, AIMessage):
            return message
        told = message.response_metadata
        return message.model_copy(update={"response_metadata": {k: v for k, v in told.items() if k not in ours}})

    AIMessage.__eq__ = lambda self, other: equal(plain(self), plain(other))  # type: ignore[method-assign]
    AIMessage.__hash__ = None  # type: ignore[assignment]


def with_model(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose argument ``model`` is put behind a ChatAvengers."""

    @functools.wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if "model" in kwargs:
            kwargs["model"] = behind_avengers(kwargs["model"])
        elif args:
            args = (behind_avengers(args[0]), *args[1:])
        return function(self, *args, **kwargs)

    return call


def sources(package: str, folder: Path) -> Path:
    """The unpacked source distribution of an installed package's version."""
    wanted = f"{package}=={importlib.metadata.version(package)}"
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", package, wanted, "-d", folder]
    subprocess.run(list(map(str, pip)), check=True, stderr=subprocess.DEVNULL)
    (archive,) = folder.glob(f"{package.replace('-', '[-_]')}-*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def run(where: Path, tests: str, **environment: str) -> dict[str, bool]:
    """Which tests passed."""
    report = where / "report.xml"
    report.unlink(missing_ok=True)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "suites", "-n", "2", tests]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [*words, f"--junitxml={report}"],
        cwd=where,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    found = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        if case.find("skipped") is None:
            failed = case.find("failure") is not None or case.find("error") is not None
            found[f"{case.get('classname')}::{case.get('name')}"] = not failed
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--middleware", action="store_true", help="put the models of middleware behind one as well")
    parser.add_argument("--ledger", action="store_true", help="record all calls in an SQLite ledger")
    parser.add_argument("--show", type=int, default=20, help="how many differences to list")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        ours = {"AVENGERS_SUITE": "1"}
        if options.middleware:
            ours["AVENGERS_SUITE_MIDDLEWARE"] = "1"
        if options.ledger:
            ours["AVENGERS_SUITE_LEDGER"] = f"{name}/ledger.sqlite"
        for package, tests in SUITES.items():
            where = sources(package, Path(name))
            alone, with_us = run(where, tests), run(where, tests, **ours)
            passing = [test for test, passed in alone.items() if passed]
            differ = [test for test in passing if not with_us.get(test)]
            print(f"{package}: {len(passing) - len(differ)} of {len(passing)} that pass without us pass with us")
            for test in differ[: options.show]:
                print(f"  {test}")


if __name__ == "__main__":
    main()
