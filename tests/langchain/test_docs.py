from __future__ import annotations

import ast

from avengers_langchain import ChatAvengers
from avengers_langchain.chat_models.fields import CONFIGURABLE_FIELDS
from tests.adapter_docs import documented_default, table_of_fields

ROWS = table_of_fields("langchain.md")


def test_the_table_has_every_parameter() -> None:
    assert set(ROWS) == set(ChatAvengers.model_fields)


def test_the_table_says_what_a_call_can_change() -> None:
    assert {name for name, row in ROWS.items() if row["per call"].startswith("yes")} == set(CONFIGURABLE_FIELDS)


def test_the_table_has_the_defaults() -> None:
    defaults = {name: ast.literal_eval(text) for name, row in ROWS.items() if (text := documented_default(row))}
    assert defaults.pop("artifact") == "default"  # the name of the packaged router
    fields = ChatAvengers.model_fields
    assert defaults == {name: fields[name].get_default(call_default_factory=True) for name in defaults}
    assert len(defaults) >= 8
