"""From one's own models to one's own router, by the command line alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from avengers_core import Router, load_artifact
from avengers_core.ledger.store import Ledger

from tests.core.collecting.test_collect import run as run_collect
from tests.support.commands import run_command
from tests.support.llm_server import BIG, HAIKU, MINI, LLMServer

TOPICS = ("add the numbers {n} and 5", "write a poem about river {n}", "python code to sort list {n}")


def cli(*arguments: str | Path, code: int = 0) -> Any:
    done = run_command(*arguments, exit_code=code)
    return done.json() if "--json" in arguments else done.output


@pytest.mark.slow
def test_collect_train_choose_collect_update_route_and_monitor(server: LLMServer, tmp_path: Path) -> None:
    questions = tmp_path / "questions.csv"
    lines = [f'{n},"{TOPICS[n % 3].format(n=n)}",says' for n in range(240)]
    questions.write_text("index,query,answer\n" + "\n".join(lines))
    records, chosen, more = tmp_path / "records.jsonl", tmp_path / "chosen.jsonl", tmp_path / "more.jsonl"
    grade = ("--grader", "regex")
    run_collect(server, questions, "-o", records, "-m", f"{MINI}=openai:{MINI}", "-m", f"{BIG}=openai:{BIG}", *grade)
    cli("train", records, "-o", tmp_path / "first.zip", "--n-clusters", "3")
    out = cli("records", "choose", records, "--questions", questions, "-n", "30", "-o", chosen)
    assert "30 of 240 questions" in out
    first = json.loads(chosen.read_text().splitlines()[0])
    assert first["answer"] == "says"
    assert first["dataset"] == "questions"
    run_collect(server, chosen, "-o", more, "-m", f"{HAIKU}=anthropic:{HAIKU}", *grade)
    told = cli(
        "update", tmp_path / "first.zip", more, "-o", tmp_path / "second.zip", "--price-id",
        f"{HAIKU}=anthropic:{HAIKU}", "--prices", "latest", "--json",
    )  # fmt: skip
    assert told["queries"] == 240
    rows = {row["model"]: row for row in told["models"]}
    assert rows[HAIKU]["new"]
    assert rows[HAIKU]["answers"] == 30
    assert rows[HAIKU]["price"] == {"input": 0.8, "output": 4.0}
    assert not rows[MINI]["new"]
    artifact = load_artifact(tmp_path / "second.zip")
    assert artifact.models == [BIG, MINI, HAIKU]
    assert set(Router(artifact).route("add the numbers 1 and 5").candidates) == {BIG, MINI, HAIKU}

    from langchain_openai import ChatOpenAI

    from avengers_langchain import ChatAvengers

    clients = {name: ChatOpenAI(model=name, base_url=f"{server.url}/v1", api_key="k") for name in (MINI, BIG)}  # type: ignore[arg-type]
    store = Ledger(tmp_path / "ledger.sqlite", store_prompts=True)
    llm = ChatAvengers(models=clients, artifact=tmp_path / "second.zip", ledger=store, exploration=0.2)
    answers = [llm.invoke(TOPICS[n % 3].format(n=n + 1000)) for n in range(220)]
    for answer in answers[:40]:
        cli_id = answer.response_metadata["avengers"]["call_id"]
        store.add_feedback(cli_id, "up")
    cli("feedback", answers[40].response_metadata["avengers"]["call_id"], "down", "--ledger", store.url.database)
    told = cli("records", "from-ledger", store.url.database, "-o", tmp_path / "live.jsonl", "--json")
    assert told["records"] == 41
    assert told["without_score"] == 220 - 41
    assert told["explored"] == 1.0
    told = cli("update", tmp_path / "second.zip", tmp_path / "live.jsonl", "-o", tmp_path / "third.zip", "--json")
    assert told["queries"] == 281
    told = cli("monitor", store.url.database, "-a", tmp_path / "second.zip", "--json")
    assert told["queries"] == 220
    assert told["cost_ratio"] == pytest.approx(1, abs=0.6)
    shown = cli("monitor", store.url.database, "-a", tmp_path / "second.zip")
    assert "stability index" in shown
    strange = ["Qu'est-ce que la photosynthese dans une cellule?", "List tax rules for a lease in Norway"] * 110
    for text in strange:
        llm.invoke(text)
    told = cli("monitor", store.url.database, "-a", tmp_path / "second.zip", "--json", "--exit-code", code=3)
    assert told["retrain"]
    assert "unlike all training queries" in " ".join(told["advice"])


def test_errors_name_what_to_do(tmp_path: Path) -> None:
    store = Ledger(tmp_path / "l.sqlite")
    assert "no logged call can be used" in cli("records", "from-ledger", store.url.database, code=1)
    assert "no such ledger" in cli("monitor", tmp_path / "none.sqlite", code=1)
    assert "a score must be" in cli("feedback", "c", "great", "--ledger", store.url.database, code=1)
    assert "neither the artifact nor the records" in _bad_price(tmp_path)


def _bad_price(tmp_path: Path) -> str:
    (tmp_path / "p.json").write_text('{"none": {"input": 1, "output": 1}}')
    return str(cli("update", "zeroeval", "-o", tmp_path / "o.zip", "--prices", tmp_path / "p.json", code=1))
