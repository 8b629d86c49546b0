"""What notebooks show: escaped, with the figures that the objects have."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from avengers_core import Router, RouterEstimator
from avengers_core.ledger.totals import Totals
from avengers_core.pricing.types import TokenUsage
from avengers_core.records.schema import Record, Usage

from tests.support.records import make_records


class Reader(HTMLParser):
    """Reads cells, and checks that all that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "rect":
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def router() -> Router:
    return RouterEstimator(4).fit(make_records(120)).router_


def test_a_decision_shows_its_candidates(router: Router) -> None:
    decision = router.route("add 2 and 3", alpha=0.4)
    shown = Reader(decision._repr_html_())
    assert shown.cells[::3] == decision.ranking
    assert decision.explain().split(";")[0] in decision._repr_html_()
    assert f"{decision.expected_cost * 1000:.4f}" in shown.cells
    many = Router.load().route("hi", alpha=0.5)
    assert f"and {len(many.candidates) - 10} more" in many._repr_html_()


def test_a_router_shows_its_models(router: Router) -> None:
    assert set(Reader(router._repr_html_()).cells[::4]) == set(router.models)
    assert len(Reader(Router.load()._repr_html_()).cells) == 4 * 15


def test_totals_show_what_was_spent() -> None:
    totals = Totals()
    for cost in (0.01, None):
        summary = {"model": "<b>x</b>", "cost_usd": cost, "best_single": {"cost_usd": 0.02}}
        totals.add(summary, TokenUsage(input_tokens=1, output_tokens=2))
    shown = Reader(totals._repr_html_())
    assert shown.cells == ["<b>x</b>", "2", "0.010000", "1"]
    assert "<b>" not in totals._repr_html_()


def test_names_are_escaped() -> None:
    name = "<script>alert(1)</script>"
    records = [
        Record(str(n), "d", f"question {n}", {name: 1, "b": 0}, {"b": Usage(1, 1, cost_usd=0.1)}) for n in range(40)
    ]
    router = RouterEstimator(2, min_records=0).fit(records).router_
    for page in (router._repr_html_(), router.route("question", alpha=1)._repr_html_()):
        assert "<script" not in page
        assert name in Reader(page).cells
