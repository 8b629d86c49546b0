from __future__ import annotations

import re
from pathlib import Path

from avengers_llamaindex import AvengersLLM

DOCS = Path(__file__).resolve().parents[2] / "docs" / "llamaindex.md"


def test_the_table_has_every_parameter() -> None:
    rows = [line.split("|")[1] for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    newer = {"rate_limiter"}  # not in every llama-index-core that pyproject.toml allows
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(AvengersLLM.model_fields) | newer
