from __future__ import annotations

import ast

from avengers_core.routing.options import ROUTE_FIELDS

from avengers_llamaindex import AvengersLLM
from tests.adapter_docs import documented_default, table_of_fields

ROWS = table_of_fields("llamaindex.md")


def test_the_table_has_every_parameter() -> None:
    newer = {"rate_limiter"}  # not in every llama-index-core that pyproject.toml allows
    assert set(ROWS) == set(AvengersLLM.model_fields) | newer


def test_the_table_says_what_a_call_can_change() -> None:
    assert {name for name, row in ROWS.items() if row["per call"].startswith("yes")} == set(ROUTE_FIELDS)


def test_the_table_has_the_defaults() -> None:
    defaults = {name: ast.literal_eval(text) for name, row in ROWS.items() if (text := documented_default(row))}
    assert defaults.pop("artifact") == "default"  # the name of the packaged router
    fields = AvengersLLM.model_fields
    assert defaults == {name: fields[name].get_default(call_default_factory=True) for name in defaults}
    assert len(defaults) >= 7
