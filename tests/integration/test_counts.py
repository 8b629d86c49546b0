"""A slow-down of our own code, seen without a clock; see benchmarks/counts.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import json, sys; sys.path.insert(0, 'benchmarks'); import counts; print(json.dumps(counts.measure()))"


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other versions of Python make other calls")
def test_no_more_calls_than_before() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    kept = json.loads((ROOT / "benchmarks" / "counts.json").read_text())
    assert set(found) == set(kept)
    grown = {name: (kept[name], calls) for name, calls in found.items() if calls > 1.1 * kept[name]}
    assert not grown, "if that is worth it: python benchmarks/counts.py --write, and say why in the commit"
