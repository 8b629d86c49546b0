"""Every code block of README and docs is run, page by page, against a local server of models.

Python blocks between two shell blocks are one program, all blocks of a page share a folder; JSON blocks are parsed.
Lines that set up Python (`pip`, `venv`) are left out: CI installs from the same pyproject. A page may use the names of
`PRELUDE`.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tests.support.commands import run_command
from tests.support.llm_server import LLMServer
from tests.support.processes import run_program, start_program
from tests.support.records import make_records, plain, write_jsonl

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

#: What a reader of the page has at hand.
PRELUDE = {
    "README.md": """
from avengers_core import Price
from langchain_core.tools import tool
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.chat_engine import SimpleChatEngine

@tool
def search(query: str) -> str:
    "Search."
    return query

index = VectorStoreIndex.from_documents([Document(text="A family pays 30.")], embed_model=MockEmbedding(8))
class agent:
    run = staticmethod(lambda user_msg: Settings.llm.complete(user_msg))
""",
    "langchain.md": """
from langchain_openai import ChatOpenAI
""",
    "llamaindex.md": """
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.llms.openai import OpenAI
class query_engine:
    query = staticmethod(lambda text: VectorStoreIndex.from_documents(
        [Document(text="We stay bound by clause 7.")], embed_model=MockEmbedding(8)).as_query_engine().query(text))
""",
}


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """Line, language and text of each block."""
    text = page.read_text()
    return [(text[: m.start()].count("\n") + 2, m.group(1), m.group(2)) for m in BLOCK.finditer(text)]


def setup(folder: Path) -> None:
    """Files that pages name; models a tenth as dear as in other tests, so that the pages' targets can be met."""
    for name in ("records", "fresh", "fresh-records"):
        rows = [plain(record) for record in make_records(240, seed=len(name))]
        for usage in (usage for row in rows for usage in row["usages"].values()):
            usage["cost_usd"] /= 10
        write_jsonl(folder / name / "r.jsonl", rows)
    lines = [{"index": n, "query": f"Question {n}?", "answer": "says"} for n in range(60)]
    write_jsonl(folder / "questions.jsonl", lines)
    asked = [{"query": f"What is {n}?", "answer": "A number.", "model": "mini"} for n in range(4)]
    write_jsonl(folder / "asked.jsonl", asked)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("records", "fresh", "fresh-records"):
        (tmp_path / name).mkdir()
    setup(tmp_path)
    return tmp_path


@pytest.fixture
def env(server: LLMServer, folder: Path) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": "k",
        "OPENAI_API_BASE": f"{server.url}/v1",
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "ANTHROPIC_API_KEY": "k",
        "ANTHROPIC_BASE_URL": server.url,
        "COLUMNS": "160",
        "XDG_DATA_HOME": str(folder / "home"),
    }


def commands(text: str) -> Iterator[str]:
    """Command lines without comments and without what sets up Python."""
    for line in text.splitlines():
        command = re.sub(r"\s+#.*$", "", line).strip()
        command = command.rpartition("&& ")[2].replace(".venv/bin/", "")
        if command and not command.startswith(("#", "pip ", "python -m pytest", "python3 -m venv")):
            yield command


def run_shell(text: str, folder: Path, env: dict[str, str], where: str, background: list[BaseProcess]) -> None:
    """Run command lines: `avengers` in this process, `avengers serve` and `ui` beside it, anything else in a shell."""
    for command in commands(text):
        words = shlex.split(command)
        if words[:2] in (["avengers", "serve"], ["avengers", "ui"]):
            log = folder / f"{words[1]}.log"
            words += ["--no-browser", "--port", "0"] if words[1] == "ui" else []
            background.append(start_program(*words, env=env, cwd=folder, stdout=log, stderr=log))
            deadline = time.monotonic() + 60
            while not log.exists() or not re.search("running on|console is at", log.read_text()):
                assert background[-1].exitcode is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        elif "--scheduler tcp://scheduler:8786" in command:
            continue  # test_distributed.py runs it on a cluster of its own
        elif words[0] == "avengers" and not {"|", ">", "<", "&&", ";", "&"} & set(words) and "$" not in command:
            done = run_command(*words[1:], env=env, cwd=folder, exit_code=None)
            assert done.exit_code == 0, f"{where}: {command}\n{done.output}"
        else:
            process = subprocess.run(
                command, shell=True, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, timeout=300
            )
            assert process.returncode == 0, f"{where}: {command}\n{process.stdout}{process.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(page: Path, folder: Path, env: dict[str, str], server: LLMServer) -> None:
    server.says = lambda body: '{"better": 1}' if "Two assistants answered" in str(body["messages"]) else None
    background: list[BaseProcess] = []
    said: list[str] = []
    try:
        for line, language, text in blocks(page):
            where = f"{page.relative_to(ROOT)}:{line}"
            if language == "json":
                try:
                    json.loads(text)
                except ValueError as error:
                    pytest.fail(f"{where}: {error}")
            elif language == "python":
                ast.parse(text)
                said.append(text)
            elif language == "bash":
                run_python(page, said, folder, env)
                prepare(page, folder)
                run_shell(text, folder, env, where, background)
            elif language == "javascript":
                run_javascript(text, folder, where)
            else:
                assert language == "", f"{where}: a block of {language} is not run by anything"
        run_python(page, said, folder, env)
    finally:
        for process in background:
            process.terminate()
            process.join(20)
            assert process.exitcode is not None


def run_javascript(text: str, folder: Path, where: str) -> None:
    """Run a block as a module of its own, if there is Node."""
    node = shutil.which("node")
    if node is None:
        return
    (folder / "block.mjs").write_text(text)
    done = subprocess.run([node, "block.mjs"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{where}\n{done.stderr}"
    assert done.stdout.strip(), where


def run_python(page: Path, said: list[str], folder: Path, env: dict[str, str]) -> None:
    """Run a page's blocks so far as one program; they are taken out of ``said``."""
    if not said:
        return
    script = folder / "page.py"
    script.write_text(PRELUDE.get(page.name, "") + "\n" + "\n".join(said))
    said.clear()
    done = run_program(script, env=env, cwd=folder, timeout=300)
    assert done.exit_code == 0, f"{page}\n{done.output}"


def prepare(page: Path, folder: Path) -> None:
    """Artifacts and ledgers that a page takes for granted."""
    from avengers_core import RouterEstimator
    from avengers_core.ledger.store import Ledger

    if page.name in ("README.md", "choosing-alpha.md"):
        for name in ("old.zip", "new.zip"):
            if not (folder / name).exists():
                RouterEstimator(6).fit(folder / "records").save(folder / name)
    if not (folder / "ledger.sqlite").exists():
        Ledger(folder / "ledger.sqlite").close()


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    mkdocs = shutil.which("mkdocs") or str(Path(sys.executable).with_name("mkdocs"))
    site = tmp_path / "site"
    done = subprocess.run([mkdocs, "build", "-q", "-d", str(site)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (site / "api" / "core" / "index.html").read_text()
    assert "RouterEstimator" in page
    for picture in ("flow.svg", "pareto.png"):
        assert (site / "img" / picture).is_file()
