"""`avengers ui` as a process, asked as browsers and as attackers ask it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from avengers_core.ledger.entry import now
from avengers_core.ledger.store import Ledger

from tests.core.ledger.test_reader import entry
from tests.support.commands import run_command
from tests.support.console import console

PAGES = ("/spending", "/spending/details", "/calls", "/calls/one", "/try", "/models", "/models/gpt-5.1", "/quality")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    ledger = Ledger(path)
    names = {"model": "openai/gpt-5.1", "session": "<script>alert(1)</script>", "prompt": "a secret question"}
    ledger.record(entry("one", time=now(), run="a/run", tags=["<b>"], **names))
    ledger.record(entry("two", time=now(), model="openai/gpt-5-mini", cost_pico=None))
    ledger.close()
    return path


@pytest.fixture(scope="module")
def running(ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with console(tmp_path_factory.mktemp("ui"), ledger) as found:
        yield found


@pytest.fixture(scope="module")
def browser(running: tuple[str, str]) -> Iterator[httpx.Client]:
    """A client that opened the address that was printed."""
    address, token = running
    with httpx.Client(base_url=address, follow_redirects=True) as client:
        first = client.get("/", params={"token": token})
        assert first.status_code == 200
        assert "token" not in str(first.url)
        yield client


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_shown(browser: httpx.Client, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", [*PAGES, "/", "/static/console.js", "/spending/figures", "/no/such/page"])
def test_nothing_is_shown_without_the_token(running: tuple[str, str], path: str) -> None:
    address, token = running
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": f"avengers-ui={token}"}):
        assert httpx.get(address + path, headers=headers).status_code == 401
    assert httpx.get(address + path, params={"token": "wrong"}).status_code == 401
    assert httpx.get(address + path, params={"token": ""}).status_code == 401
    assert httpx.post(address + "/try", data={"text": "x"}).status_code == 401


def test_other_names_and_other_sites_are_refused(running: tuple[str, str]) -> None:
    address, token = running
    opens = {"authorization": f"Bearer {token}"}
    assert httpx.get(address + "/spending", headers=opens).status_code == 200
    for headers in (
        {"host": "evil.example"},
        {"host": f"evil.example:{address.rpartition(':')[2]}"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ):
        answer = httpx.get(address + "/spending", headers=opens | headers)
        assert answer.status_code == 403
        assert "secret" not in answer.text
        assert httpx.post(address + "/try", headers=opens | headers, data={"text": "x"}).status_code == 403
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}  # from a mail or a notebook in the browser
    assert httpx.get(address + "/spending", headers=opens | link).status_code == 200
    assert httpx.get(address + "//evil.example", params={"token": token}).headers["location"] == "/evil.example"


def test_a_prompt_is_shown_only_if_the_ledger_keeps_it(browser: httpx.Client, tmp_path: Path) -> None:
    assert "a secret question" not in browser.get("/calls/one").text
    path = tmp_path / "keeps.sqlite"
    Ledger(path, store_prompts=True).record(entry("one", prompt="a kept <question>"))
    with console(tmp_path, path, "--open-to-anyone") as (address, token):
        assert token == ""
        assert "a kept &lt;question&gt;" in httpx.get(address + "/calls/one").text
        assert "a kept" not in httpx.get(address + "/calls").text


def test_figures_are_those_of_the_ledger_and_live(browser: httpx.Client, ledger: Path) -> None:
    newest = 2
    assert "1 attempts of unknown cost" in browser.get("/spending").text
    assert browser.get("/spending/figures", params={"seen": newest}).status_code == 204
    Ledger(ledger).record(entry("three", time=now(), model="new model", cost_pico=5 * 10**12))
    changed = browser.get("/spending/figures", params={"seen": newest})
    assert changed.status_code == 200
    assert "$5.00" in changed.text
    with sqlite3.connect(ledger) as db:
        db.execute("DELETE FROM calls WHERE call = 'three'")


def test_a_call_by_its_id_or_its_runs(browser: httpx.Client) -> None:
    assert "<code>one</code>" in browser.get("/calls/one").text
    assert "<code>one</code>" in browser.get("/calls/find", params={"name": " a/run "}).text
    missing = browser.get("/calls/none")
    assert missing.status_code == 404
    assert "no call and no run &#39;none&#39;" in missing.text


def test_a_request_is_tried(browser: httpx.Client) -> None:
    form = {"text": "What is 17 * 23?", "knob": "alpha", "alpha": "0", "models": "openai/gpt-5-mini, openai/gpt-5.1"}
    cheap = browser.post("/try", data=form).text
    assert "<h2>openai/gpt-5-mini</h2>" in cheap
    assert "Candidates" in cheap
    knob = {"knob": "min_quality", "min_quality": "1"}
    assert "<h2>openai/gpt-5.1</h2>" in browser.post("/try", data=form | knob).text
    within = browser.post("/try", data=form | {"max_cost": "0.000000001"}).text
    assert "costs more than" in within or "max_cost" in within
    headers = {"hx-request": "true"}
    for wrong, told in (
        ({"alpha": "x"}, "alpha: &#39;x&#39; is not a number"),
        ({"alpha": "2"}, "alpha"),
        ({"models": "gpt-nonsense-9"}, "gpt-nonsense-9"),
        ({"text": " "}, "Type or paste a request"),
        ({"text": '{"messages": [3]}'}, "message 1"),
    ):
        answer = browser.post("/try", data=form | wrong, headers=headers)
        assert answer.status_code == 200
        assert told in answer.text
        assert 'class="warn"' in answer.text


def test_errors_are_pages(browser: httpx.Client) -> None:
    for path, status, told in (
        ("/spending?period=week", 400, "period must be one of"),
        ("/calls?since=monday", 400, "is not a day"),
        ("/calls?before=x", 400, "before"),
        ("/models/no-such-model", 400, "no-such-model"),
        ("/nowhere", 404, "Not Found"),
    ):
        answer = browser.get(path)
        assert answer.status_code == status
        assert told in answer.text
    assert browser.put("/try").status_code == 405
    assert browser.post("/try", content=b"x" * (21 << 20)).status_code == 413
    assert browser.post("/try", content=iter([b"text=x"])).status_code == 413  # of unknown length


def test_what_cannot_be_opened_is_told(tmp_path: Path, ledger: Path) -> None:
    for options, told in (
        ([tmp_path / "none.sqlite"], "no such ledger"),
        ([ledger, "--artifact", "none"], "none"),
        ([ledger, "--framework", "x"], "use langchain or llamaindex"),
    ):
        done = run_command("ui", *options, "--no-browser", exit_code=None)
        assert done.exit_code in (1, 2)
        assert told in done.output
