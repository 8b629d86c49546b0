"""`scripts/soak.py` for a few seconds; `python scripts/soak.py` is the five minutes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "soak.py"


@pytest.mark.slow
def test_a_short_soak_loses_and_leaves_nothing() -> None:
    command = [sys.executable, str(SCRIPT), "--seconds", "10", "--concurrency", "40"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode in (0, 1), done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["calls"] > 100
    assert told["outcomes"]["answered"] > 0.7 * told["calls"]
    assert (told["lost_rows"], told["threads_left"], told["sockets_left"]) == (0, 0, 0)
