"""What ``avengers records check`` shows: a line for each source, a line for each model, and the findings."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from .columns import MIN_NAME, align, shorten

if TYPE_CHECKING:
    from ..records.check import ModelCheck, RecordsCheck, SourceCheck
    from ..records.findings import Finding, FindingItem

__all__ = ["check_view"]

#: Items of a finding that are shown.
SHOWN = 5
#: Cells of a console that has room for the names of all problems in a line.
WIDE = 120


def check_view(check: RecordsCheck, width: int) -> Iterator[Text]:
    """Lines for people.

    Args:
        check: The result.
        width: Cells of the console.
    """
    yield _title(
        f"{check.queries:,} queries, {len(check.datasets):,} datasets, {len(check.sources):,} sources, "
        f"{len(check.models):,} models, {check.answers:,} answers"
    )
    yield Text()
    yield from _lines(*_source_table(check.sources, 9 if width >= WIDE else 1), width)
    yield Text("score, sd: mean and spread of its models; vs: the same models elsewhere", style="dim")
    yield Text()
    yield from _lines(*_model_table(check.models, 9 if width >= WIDE else 2), width)
    yield Text("src: number of sources; vs: the mean of all models there; $/1K: of 1,000 calls", style="dim")
    yield Text()
    if not check.findings:
        yield _title("nothing found that spoils these records")
        return
    yield _title(f"{len(check.findings)} finding{'s' if len(check.findings) > 1 else ''}")
    for number, finding in enumerate(check.findings, start=1):
        yield from _finding(number, finding, width)


def _title(text: str) -> Text:
    return Text(text, style="bold")


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[Text]:
    head, *lines = align(heads, rows, width)
    yield Text(head, style="bold")
    yield from map(Text, lines)


def _source_table(sources: Sequence[SourceCheck], named: int) -> tuple[Sequence[str], list[Sequence[str]]]:
    return ("source", "queries", "models", "score", "sd", "vs", "$/1K", "to look at"), [
        (
            one.source,
            f"{one.queries:,}",
            f"{one.models:,}",
            f"{one.mean_score:.2f}",
            f"{one.spread:.2f}",
            "" if one.above_others is None else f"{one.above_others:+.2f}",
            "runs" if one.kind == "agent_run" else _dollars(one.cost_usd),
            _problems(one.problems, named),
        )
        for one in sources
    ]


def _model_table(models: Sequence[ModelCheck], named: int) -> tuple[Sequence[str], list[Sequence[str]]]:
    return ("model", "src", "answers", "score", "vs", "$/1K", "to look at"), [
        (
            one.model,
            f"{one.sources:,}",
            f"{one.answers:,}",
            f"{one.mean_score:.2f}",
            f"{one.above_source:+.2f}",
            _dollars(one.cost_usd),
            _problems(one.problems, named),
        )
        for one in models
    ]


def _dollars(each: float | None) -> str:
    """US dollars of 1,000 calls."""
    if each is None:
        return ""
    return f"{each * 1000:,.0f}" if each >= 0.1 else f"{each * 1000:.2g}" if each < 1e-5 else f"{each * 1000:.2f}"


def _problems(codes: Sequence[str], named: int) -> str:
    """The first problems by name, and how many more there are."""
    text = ", ".join(code.replace("_", " ") for code in codes[:named])
    return f"{text} +{len(codes) - named}" if len(codes) > named else text


def _finding(number: int, finding: Finding, width: int) -> Iterator[Text]:
    code, count = finding.code.replace("_", " "), len(finding.items)
    yield Text()
    yield from _wrapped(f"{number}. {code}: {finding.text}", width, "   ")
    yield from (Text(line) for line in _items(finding.items[:SHOWN], width))
    if count > SHOWN:
        yield Text(f"     and {count - SHOWN:,} more; --json lists all")
    yield from _wrapped(f"   -> {finding.advice}", width, "      ")


def _items(items: Sequence[FindingItem], width: int) -> Iterator[str]:
    """A line an item, with its names in a column; names that do not fit, and examples, have lines of their own."""
    names = [", ".join(item.names) for item in items]
    room = max(width // 2 - 5, MIN_NAME)
    alone = [len(name) <= room or len(item.names) == 1 for item, name in zip(items, names, strict=True)]
    column = max((min(len(name), room) for name, one in zip(names, alone, strict=True) if one), default=0)
    for item, name, one in zip(items, names, alone, strict=True):
        if one:
            yield shorten(f"     {shorten(name, room):<{column}}  {item.text}", width, head=0.9)
        else:
            yield f"     {shorten(name, width - 5)}"
            yield shorten(f"       {item.text}", width, head=0.9)
        if item.examples:
            yield f"       such as {', '.join(shorten(example, (width - 17) // 2) for example in item.examples[:2])}"


def _wrapped(text: str, width: int, indent: str) -> Iterator[Text]:
    yield from map(Text, textwrap.wrap(text, max(width, 40), subsequent_indent=indent))
