"""What the commands print: results as tables or JSON, lines, warnings, progress."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from .._utils.results import Table

__all__ = [
    "err",
    "out",
    "print_json",
    "print_line",
    "print_path",
    "print_result",
    "print_warning",
    "show_progress",
]

out = Console(emoji=False)
err = Console(stderr=True, emoji=False)

#: What would move a terminal's cursor or change its colours; names of models and datasets may come from anyone.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

T = TypeVar("T")


def print_result(result: T, view: Callable[[T], Iterable[Table | Text | str]], as_json: bool) -> None:
    """Print a result.

    Args:
        result: A result, or plain values.
        view: Turns the result into tables and lines of text.
        as_json: Print JSON instead.
    """
    if as_json:
        print_json(result)
        return
    for item in view(result):
        if isinstance(item, tuple):
            _print_table(item)
        else:
            print_line(item)


def print_json(value: Any) -> None:
    """Print a result (anything with ``to_dict``) or plain values as indented JSON."""
    from .._utils.results import to_json

    plain = value.to_dict() if hasattr(value, "to_dict") else value
    sys.stdout.write(to_json(plain) + "\n")


def print_line(text: str | Text) -> None:
    """Print a line of text, broken between words if it is long."""
    out.print(_plain(text) if isinstance(text, str) else text, markup=False, highlight=False)


def print_path(text: str) -> None:
    """Print a line that is never broken, so that the path in it can be copied."""
    out.print(_plain(text), markup=False, highlight=False, soft_wrap=True)


def print_warning(text: str) -> None:
    """Print a line to standard error."""
    err.print(_plain(text), style="yellow", markup=False, highlight=False)


def _plain(text: str) -> str:
    """A text without control characters."""
    return _CONTROL.sub("\ufffd", text)


def _print_table(table: Table) -> None:
    from rich.table import Table as RichTable

    drawn = RichTable(title=Text(table.title, style="italic"), title_justify="left", header_style="bold")
    for position, column in enumerate(table.columns):
        drawn.add_column(Text(column), justify="left" if position == 0 else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(_plain(cell)) for cell in row))
    out.print(drawn)


@contextmanager
def show_progress(quiet: bool) -> Iterator[Callable[..., None]]:
    """Show progress bars on standard error, if that is a terminal.

    Args:
        quiet: Show none.

    Yields:
        A function of the name of a step, how much of it is done, how much there is (0: unknown), and a note.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def report(step: str, done: int, total: int, note: str = "") -> None:
        if step not in tasks:
            tasks[step] = bar.add_task(step, total=total or None, note=note)
        bar.update(tasks[step], completed=done, total=total or None, note=note)

    with bar:
        yield report
