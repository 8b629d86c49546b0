"""The notebook of the examples, run in a kernel of its own against the local server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.llm_server import LLMServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Jupyter's own packages
]

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "tour.ipynb"


def html_of(cell: Any) -> str:
    return "".join(output["data"].get("text/html", "") for output in cell.outputs if "data" in output)


def printed(cell: Any) -> str:
    return "".join(output["text"] for output in cell.outputs if output["output_type"] == "stream")


def test_the_tour(server: LLMServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    router, decision, knob, routed, spending, answers, evaluation = (
        cell for cell in notebook.cells if cell.cell_type == "code"
    )
    assert "A router over" in html_of(router)
    for shown in (decision, routed):
        assert "<svg" in html_of(shown)
        assert "expected score" in html_of(shown)
    assert printed(knob).count("expected score") == 5
    assert "3 calls, $" in html_of(spending)
    assert printed(answers).count("gpt-5") == 3
    assert "accuracy by dataset" in html_of(evaluation)
    assert sum(server.asked.values()) == 3
