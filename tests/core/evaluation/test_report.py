"""The report, as a person opens it: in a browser, offline."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from avengers_core import RouterEstimator, load_records
from avengers_core.evaluation.evaluate import evaluate_router
from avengers_core.evaluation.report import make_report
from avengers_core.records.schema import Record

from tests.support.records import plain, write_jsonl

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--disable-features=NetworkTimeServiceQuerying",
    "--virtual-time-budget=3000",
    "--enable-logging=stderr",
    "--v=0",
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> Path:
    folder = tmp_path_factory.mktemp("report")
    source = write_jsonl(folder / "r.jsonl", [plain(record) for record in records])
    return make_report(source, folder / "out", seeds=2, n_clusters=[6, 3], title="Ours <& theirs>", jobs=1)


def test_its_numbers_are_those_of_evaluate(page: Path, records: list[Record]) -> None:
    table = load_records(records)
    fitted = RouterEstimator(6, random_state=42, train_ratio=0.7).fit(table)
    assert fitted.held_out_ is not None
    train, _ = table.split(0.7, 42)
    report = evaluate_router(fitted.router_, fitted.held_out_, train=train)
    figures = json.loads((page.parent / "figures.json").read_text())
    assert figures["evaluation"] == json.loads(json.dumps(report.to_dict()).replace("NaN", "null"))
    markdown, html = (page.parent / "report.md").read_text(), page.read_text()
    for row in report.panels[0].settings:
        for text in (f"{row.accuracy:.4f}", f"{row.cost_usd * 1000:.4f}"):
            assert text in markdown
            assert text in html


def test_markdown_shows_its_pictures(page: Path) -> None:
    named = re.findall(r"\]\((\w+\.png)\)", (page.parent / "report.md").read_text())
    assert named == ["pareto.png", "alpha.png", "shares.png", "calibration.png", "clusters.png", "ablation.png"]
    for name in named:
        assert (page.parent / name).read_bytes().startswith(b"\x89PNG")


def test_it_is_accessible(page: Path) -> None:
    html = page.read_text()
    assert '<html lang="en">' in html
    assert "<title>Ours &lt;&amp; theirs&gt;</title>" in html
    assert all('alt="' in image for image in re.findall(r"<img[^>]*>", html))
    assert '<label for="knob">' in html
    assert html.count('scope="col"') > 5
    assert "prefers-color-scheme: dark" in html


def browse(page: Path, folder: Path) -> tuple[str, str, list[str]]:
    """The page's document once its script has run, the browser's console, and the URLs that the page asked for."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    log = folder / "net.json"
    options = [f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--dump-dom", page.as_uri()]
    done = subprocess.run([CHROMIUM, *QUIET, *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    text = log.read_text()
    try:
        events: list[dict[str, Any]] = json.loads(text)["events"]
    except ValueError:  # it was cut off when the browser ended
        events = json.loads(text.rstrip().rstrip(",") + "]}")["events"]
    told = [event.get("params") or {} for event in events]
    # The browser's own requests, for updates and the time, have no origin.
    asked = [
        str(one["url"]) for one in told if "url" in one and one.get("initiator", "not an origin") != "not an origin"
    ]
    return done.stdout, "".join(line for line in done.stderr.splitlines(True) if "CONSOLE" in line), asked


def test_a_browser_opens_it_without_errors_or_requests(page: Path, tmp_path: Path) -> None:
    document, console, asked = browse(page, tmp_path)
    assert console == ""
    assert [url for url in asked if not url.startswith("data:")] == []
    readout = re.search(r'<output id="readout"[^>]*>([^<]*)</output>', document)
    assert readout
    assert readout[1].startswith("alpha 0.50: accuracy ")  # the script ran to its end
    assert re.search(r'<p id="chosen">Chosen: \w+ \d+%', document)
    assert "<polyline" in document


def test_a_request_and_an_error_would_be_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://127.0.0.1:9/x.png"><script>nothing.here()</script>')
    _, console, asked = browse(bad, tmp_path)
    assert "ReferenceError" in console
    assert "http://127.0.0.1:9/x.png" in asked
