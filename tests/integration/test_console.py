"""The console in a real browser: every page, light and dark, wide and narrow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from avengers_core.ledger.store import Ledger
from langchain_core.tools import tool
from playwright.sync_api import Browser, Page, expect, sync_playwright

from avengers_langchain import ChatAvengers
from tests.support.console import console, write_made_up_rows
from tests.support.llm_server import LLMServer

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: Where pictures for the docs go, such as docs/img; None: nowhere.
PICTURES = os.environ.get("AVENGERS_PICTURES")
PAGES = ("spending", "spending?period=all", "calls", "CALL", "try", "models", "models/gpt-5.1", "quality")
REQUEST = "Write a SQL query that lists all unpaid invoices of March by customer."


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("million")
    write_made_up_rows(folder / "ledger.sqlite", 1_000_000)
    with console(folder, folder / "ledger.sqlite") as running:
        yield running


@pytest.fixture
def real(server: LLMServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, str]]:
    """A console over a ledger that real calls have written, and the id of a call that needed a fallback."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    path = tmp_path / "ledger.sqlite"
    llm = ChatAvengers(alpha=0.5, ledger=Ledger(path, store_prompts=True), budget={"per_day": 1, "per_session": 0.1})
    for number in range(12):
        config: Any = {"configurable": {"session_id": f"chat {number // 4}"}, "tags": ["support"]}
        llm.invoke(f"{REQUEST} Number {number}.", config=config)
    first = llm.dispatcher.pool.ids

    @tool
    def in_stock(product: str) -> int:
        """How many pieces of a product are in stock."""
        return len(product)

    llm.bind_tools([in_stock]).invoke("How many lamps are in stock?")
    server.model_faults = {name.partition("/")[2]: 429 for name in first if name == llm.route(REQUEST).model}
    answer = llm.invoke(REQUEST)
    told = answer.response_metadata["avengers"]
    assert len(told["attempts"]) == 2
    llm.dispatcher.ledger.add_feedback(told["call_id"], 1)
    with console(tmp_path, path) as (address, token):
        yield address, token, told["call_id"]


class Seen:
    """What a page did that it must not do."""

    def __init__(self, page: Page, address: str) -> None:
        self.faults: list[str] = []
        page.on("console", lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on(
            "request",
            lambda one: None if one.url.startswith((address, "data:", "blob:")) else self.faults.append(one.url),
        )


def visit(page: Page, address: str, name: str, call: str) -> None:
    page.goto(f"{address}/{f'calls/{call}' if name == 'CALL' else name}")
    if name.startswith("spending"):
        expect(page.locator(".chart canvas")).to_be_visible()
        expect(page.get_by_role("heading", name="By tag")).to_be_visible()
    if name == "try":
        page.get_by_role("textbox", name="Request").fill(REQUEST)
        expect(page.locator("#choice h2")).to_be_visible()


def check_everything(chromium: Browser, address: str, token: str, call: str, pictures: Collection[str] = ()) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        for width in (1280, 400):
            context = chromium.new_context(
                viewport={"width": width, "height": 800},
                color_scheme=scheme,  # type: ignore[arg-type]
                bypass_csp=True,  # for axe alone; the policy is tested without it
            )
            page = context.new_page()
            seen = Seen(page, address)
            page.goto(f"{address}/?token={token}")
            for name in PAGES:
                visit(page, address, name, call)
                found = Axe().run(page)
                assert found.violations_count == 0, f"{scheme} {width} {name}: {found.generate_report()}"
                assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
                if PICTURES and f"{name}-{scheme}" in pictures and width == 1280:
                    page.screenshot(path=f"{PICTURES}/console-{name.lower()}-{scheme}.png")
            assert seen.faults == []
            context.close()


def test_every_page_over_a_million_rows(chromium: Browser, million: tuple[str, str]) -> None:
    check_everything(chromium, *million, "run77", ["spending-light"])


def test_every_page_over_real_calls(chromium: Browser, real: tuple[str, str, str]) -> None:
    check_everything(chromium, *real, ["CALL-light", "try-dark", "models-light"])


def test_a_call_shows_why(chromium: Browser, real: tuple[str, str, str]) -> None:
    address, token, call = real
    page = chromium.new_page()
    page.goto(f"{address}/?token={token}")
    page.goto(f"{address}/calls/{call}")
    text = page.locator("main").inner_text()
    for part in ("rate_limit", "then not asked for 30 s", "Candidates", "Kinds of task nearby", "SQL", "alpha 0.50"):
        assert part in text
    assert page.locator("tr.chosen").count() == 1
    page.get_by_text("The text that was routed").click()
    expect(page.locator("pre")).to_have_text(REQUEST)
    page.close()


def test_pages_work_as_they_are_served(chromium: Browser, real: tuple[str, str, str]) -> None:
    """With the content security policy: live figures, the knob, the theme, paging, copying."""
    address, token, _ = real
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"], color_scheme="light")
    page = context.new_page()
    seen = Seen(page, address)
    page.goto(f"{address}/?token={token}")
    answers = page.locator(".tile", has=page.get_by_text("Answers", exact=True))
    before = answers.inner_text()
    path = Path(page.locator("footer code").inner_text())
    write_rows_of_now(path)
    expect(answers).not_to_have_text(before, timeout=10_000)
    expect(page.locator(".chart canvas")).to_be_visible()
    page.get_by_role("button", name="Switch between light and dark").press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    expect(page.get_by_role("heading", name="By tag")).to_be_visible()  # else leaving the page cuts it off
    page.reload()
    expect(page.get_by_role("heading", name="By tag")).to_be_visible()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"

    page.goto(f"{address}/try")
    page.get_by_role("textbox", name="Request").fill(REQUEST)
    page.get_by_role("slider", name="alpha").fill("0")
    expect(page.locator("output[for=alpha]")).to_have_text("0.00")
    expect(page.locator("#choice > p").first).to_contain_text("At alpha 0 ")
    page.get_by_role("slider", name="min_quality").fill("1")
    expect(page.get_by_role("radio", name="min_quality")).to_be_checked()
    expect(page.get_by_text("As min_quality is turned")).to_be_visible()
    page.get_by_role("checkbox", name="an image").check()
    expect(page.locator("#choice")).to_contain_text("The request needs: images")

    page.goto(f"{address}/models")
    page.get_by_role("searchbox", name="Find").fill("haiku 4")
    expect(page.locator("#found a").first).to_contain_text("claude-haiku-4")

    page.goto(f"{address}/quality")
    page.locator(".copy").first.click()
    expect(page.locator(".copy").first).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("avengers ")
    assert seen.faults == []
    context.close()


def test_more_calls_are_fetched(chromium: Browser, million: tuple[str, str]) -> None:
    address, token = million
    page = chromium.new_page()
    page.goto(f"{address}/?token={token}")
    page.goto(f"{address}/calls?tag=rag")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("tbody tr")).to_have_count(101)
    assert "rag" in page.locator("tbody tr").nth(80).inner_text()
    page.close()


def write_rows_of_now(path: Path) -> None:
    from tests.core.ledger.test_reader import entry, now

    ledger = Ledger(path)
    ledger.record(entry("new", time=now()))
    ledger.close()
