"""The API pages show every parameter: the second one on a line would vanish into the description of the first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("avengers_core", "avengers_langchain", "avengers_llamaindex")
PACKED = re.compile(r"(?:^|[.;] )([a-z_]+(?:, [a-z_]+)*): ")


def public_objects(item: Any) -> Iterator[Any]:
    yield item
    for member in item.members.values():
        if member.is_alias or (member.name.startswith("_") and member.name != "__init__"):
            continue
        if member.is_module or member.is_class or member.is_function:
            yield from public_objects(member)


def faults(item: Any) -> Iterator[str]:
    documented = set()
    sections = item.docstring.parse("google")
    for section in sections:
        if section.kind.value not in ("parameters", "attributes"):
            continue
        for entry in section.value:
            documented.add(entry.name.lstrip("*"))
            for hit in PACKED.finditer(entry.description):
                yield f"{item.path}: {hit.group(1)!r} is swallowed by {entry.name!r}"
    if item.is_function and any(section.kind.value == "parameters" for section in sections):
        for parameter in item.parameters:
            name = parameter.name.lstrip("*")
            if name not in ("self", "cls", "kwargs", "args") and name not in documented:
                yield f"{item.path}: {name!r} is not described"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_parameter_is_swallowed(package: str) -> None:
    module = griffe.load(package, search_paths=[str(ROOT / "shared"), str(ROOT)])
    documented = [item for item in public_objects(module) if item.docstring]
    assert len(documented) > 20
    assert [fault for item in documented for fault in faults(item)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_refer_to_nothing_outside_the_repository(package: str) -> None:
    folder = next(path for path in (ROOT / "shared" / package, ROOT / package) if path.is_dir())
    for path in folder.rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"\bDESIGN\b|\bthe seed's\b", text), path
