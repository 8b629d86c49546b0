"""What must hold after many calls against a server that fails in every way: nothing lost, nothing charged twice."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from avengers_core.ledger.store import Ledger
from avengers_core.ledger.totals import Totals

from .llm_server import LLMServer

CALLS = int(os.environ.get("AVENGERS_FAULT_CALLS", "2000"))
FAULTS: list[Any] = [429, 500, 503, "drop", "garbage", "drop_mid", "no_usage"]


def check(server: LLMServer, ledger: Ledger, totals: Totals, outcomes: Counter[str], calls: int) -> None:
    """``outcomes`` counts ``ok`` and names of errors, one for each call."""
    rows = list(ledger.entries())
    statuses = Counter(row["status"] for row in rows)

    assert sum(outcomes.values()) == calls
    assert len({row["call"] for row in rows}) == calls
    assert len(rows) == sum(server.asked.values()) == len(server.requests)
    assert Counter(row["model"] for row in rows) == server.asked
    # An answered call is answered once, and charged for what the server counted.
    answered = [row for row in rows if row["status"] == "ok"]
    assert len(answered) == len({row["call"] for row in answered}) == outcomes["ok"] == totals.calls
    assert len(answered) == sum(server.answered.values())
    known = [row for row in answered if row["input_tokens"] is not None]
    unknown = [row for row in answered if row["input_tokens"] is None]
    assert len(unknown) == server.unmetered > 0
    assert all(row["cost_usd"] is None for row in unknown)
    spent = sum(row["cost_usd"] for row in known)
    assert float(spent) == pytest.approx(totals.cost_usd)
    assert totals.unknown == len(unknown)
    charged = {kind: sum(v for (_, k), v in server.tokens.items() if k == kind) for kind in ("input", "output")}
    assert charged == {kind: sum(row[f"{kind}_tokens"] for row in known) for kind in ("input", "output")}
    # Every fault is in the ledger under its kind.
    refused = server.served["429"]
    assert statuses["rate_limit"] == refused
    assert statuses["server"] == server.served["500"] + server.served["503"]
    broken = sum(server.served[kind] for kind in ("drop", "drop_mid", "garbage"))
    assert statuses["connection"] + statuses["invalid_response"] + statuses["caller"] == broken
