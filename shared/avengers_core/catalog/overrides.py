"""What a user knows better than the catalogue, from JSON or CSV files; faults are named by file, line and field."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .._utils.files import user_path
from ..errors import CatalogError
from ..pricing.types import Price
from .spelling import split_effort
from .types import PublishedScore

__all__ = ["Given", "read_aliases", "read_capabilities", "read_prices", "read_published"]

#: A file, or the same as plain values: a mapping by model, or a list of rows.
Given = str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]]
#: Where a row stands, and its fields.
Row = tuple[str, dict[str, Any]]

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def read_aliases(given: Given) -> dict[str, str]:
    """Models by alias.

    Args:
        given: A mapping ``{alias: model}``, a JSON file of one, or a CSV file with the columns ``alias`` and ``model``.

    Raises:
        CatalogError: If a row has no alias or no model.
    """
    found = {}
    for where, row in _rows(given, "aliases", "alias", "model"):
        found[_text(where, row, "alias")] = _text(where, row, "model")
    return found


def read_prices(given: Given) -> dict[str, Price]:
    """Prices in US dollars per million tokens by model.

    Args:
        given: A mapping ``{model: {"input": 2.5, "output": 10}}``, a JSON file of one, or a CSV file with the columns
            ``model``, ``input``, ``output`` and others of `Price`.

    Raises:
        CatalogError: If a price is not a finite number of 0 or more, or a field is unknown.
    """
    found = {}
    for where, row in _rows(given, "prices", "model"):
        model = _text(where, row, "model")
        numbers = {name: _number(where, row, name) for name in row if name not in ("model", "source", "date")}
        for name in numbers:
            if name not in Price.__struct_fields__:
                raise CatalogError(
                    f"{where}: field {name!r} is unknown; a price has {', '.join(Price.__struct_fields__)}"
                )
            if numbers[name] < 0:
                raise CatalogError(f"{where}: field {name!r}: {numbers[name]} is below 0")
        for name in ("input", "output"):
            if name not in numbers:
                raise CatalogError(f"{where}: field {name!r} is missing")
        text = {name: str(row[name]) for name in ("source", "date") if row.get(name)}
        found[model] = msgspec.convert({**numbers, **text}, Price)
    return found


def read_capabilities(given: Given, names: Iterable[str]) -> dict[str, dict[str, bool | int]]:
    """Capabilities by model.

    Args:
        given: A mapping ``{model: {"tools": true, "max_input_tokens": 128000}}``, a JSON file of one, or a CSV file
            with the column ``model`` and one for each capability.
        names: Known capabilities.

    Raises:
        CatalogError: If a capability is unknown, or its value is neither true or false nor a whole number.
    """
    known, found = tuple(names), {}
    for where, row in _rows(given, "capabilities", "model"):
        model = _text(where, row, "model")
        for name in row:
            if name != "model" and name not in known:
                raise CatalogError(f"{where}: field {name!r} is unknown; capabilities are {', '.join(known)}")
        found[model] = {name: _capability(where, name, row[name]) for name in row if name != "model"}
    return found


def read_published(given: Given) -> list[PublishedScore]:
    """Published scores.

    Args:
        given: A list of rows with ``model``, ``benchmark``, ``score`` and perhaps ``harness``, ``date`` and
            ``source``, a JSON file of one, or a CSV file with these columns. A model may have ``@effort`` behind it.

    Raises:
        CatalogError: If a row has no model, no benchmark or no finite score, or an unknown field.
    """
    found = []
    for where, row in _rows(given, "published"):
        for name in row:
            if name not in ("model", "benchmark", "score", "harness", "date", "source"):
                raise CatalogError(f"{where}: field {name!r} is unknown")
        rest = [str(row.get(name) or "") for name in ("harness", "date", "source")]
        model, effort = split_effort(_text(where, row, "model"))
        found.append(PublishedScore(model, effort, _text(where, row, "benchmark"), _number(where, row, "score"), *rest))
    return found


def _rows(given: Given, what: str, key: str = "", value: str = "") -> Iterator[Row]:
    """Rows of a file or of plain values.

    Args:
        given: A file, a mapping or a list.
        what: Name of the plain values in messages.
        key: Field that a mapping's keys fill; empty if only lists will do.
        value: Field that a mapping's values fill; empty if they are mappings of fields.
    """
    if isinstance(given, (str, Path)):
        yield from _file_rows(user_path(given), key, value)
    else:
        yield from _plain_rows(given, what, key, value)


def _file_rows(path: Path, key: str, value: str) -> Iterator[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: cannot be read: {error}") from error
    if path.suffix.lower() == ".json":
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise CatalogError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from error
        yield from _plain_rows(content, str(path), key, value)
        return
    csv.field_size_limit(2**30)  # the default of 131,072 characters is less than a document
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row:
                raise CatalogError(f"{where}: has more fields than the header")
            yield where, {name: cell for name, cell in row.items() if cell not in (None, "")}
    except csv.Error as error:
        raise CatalogError(f"{path}:{reader.line_num}: not valid CSV: {error}") from error


def _plain_rows(content: Any, where: str, key: str, value: str) -> Iterator[Row]:
    if isinstance(content, Mapping) and key:
        for name, fields in content.items():
            row = {value: fields} if value else _plain_price(fields)
            if not isinstance(row, Mapping):
                raise CatalogError(f"{where}: {name!r}: {fields!r} is not a set of fields")
            yield f"{where}: {name!r}", {**row, key: name}
    elif isinstance(content, Iterable) and not isinstance(content, (str, bytes, Mapping)):
        for number, row in enumerate(content, start=1):
            if not isinstance(row, Mapping):
                raise CatalogError(f"{where}: item {number}: {row!r} is not a set of fields")
            yield f"{where}: item {number}", dict(row)
    else:
        raise CatalogError(f"{where}: is not a {'mapping by ' + key if key else 'list of rows'}")


def _plain_price(fields: Any) -> Any:
    if not isinstance(fields, Price):
        return fields
    return msgspec.to_builtins(fields)


def _text(where: str, row: Mapping[str, Any], name: str) -> str:
    text = row.get(name)
    if not isinstance(text, str) or not text.strip():
        raise CatalogError(
            f"{where}: field {name!r} is missing"
            if text is None
            else f"{where}: field {name!r}: {text!r} is not a name"
        )
    return text.strip()


def _number(where: str, row: Mapping[str, Any], name: str) -> float:
    given = row.get(name)
    if given is None:
        raise CatalogError(f"{where}: field {name!r} is missing")
    try:
        number = float(given) if not isinstance(given, bool) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise CatalogError(f"{where}: field {name!r}: {given!r} is not a finite number")
    return number


def _capability(where: str, name: str, given: Any) -> bool | int:
    if isinstance(given, (bool, int)):
        return given
    text = str(given).strip().lower()
    if name.startswith("max_"):
        try:
            return int(text)
        except ValueError:
            raise CatalogError(f"{where}: field {name!r}: {given!r} is not a whole number") from None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise CatalogError(f"{where}: field {name!r}: {given!r} is neither true nor false")
