"""Columns of text without borders, one line a row, as wide as the console at most."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

__all__ = ["align", "shorten", "shorten_all"]

#: Least width of a name that is shortened.
MIN_NAME = 12
#: Shares of a shortened name that are its start, in the order of preference.
_HEADS = (0.5, 0.65, 0.35, 0.8, 0.2)


def shorten(name: str, width: int, head: float = 0.5) -> str:
    """A name with its middle left out if it is too wide.

    Args:
        name: The name. What cannot be printed is shown as a question mark.
        width: Cells of the console that it may fill.
        head: Share of these cells for the name's start.
    """
    plain = "".join(one if one.isprintable() else "?" for one in name)
    if cell_len(plain) <= width:
        return plain
    start = max(0, round((width - 1) * head))
    end = max(0, width - 1 - start)
    tail = plain[::-1]
    return set_cell_size(plain, start).rstrip() + "…" + (set_cell_size(tail, end).rstrip()[::-1] if end else "")


def shorten_all(names: Sequence[str], width: int) -> list[str]:
    """Names with their middles left out where they still differ, if there is such a place."""
    wanted = len(set(names))
    tried = [[shorten(name, width, head) for name in names] for head in _HEADS]
    return max(tried, key=lambda short: min(wanted, len(set(short))))


def align(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Lines of aligned columns: the first and the last to the left, the others, which are numbers, to the right.

    Args:
        heads: Heads of the columns.
        rows: Cells of each row.
        width: Cells of the console. Names in the first column are shortened to fit, to `MIN_NAME` at least.
    """
    columns = [list(column) for column in zip(heads, *rows, strict=True)]
    wide = [max(map(cell_len, column)) for column in columns]
    room = max(MIN_NAME, width - sum(wide[1:]) - len(wide) - 1)
    columns[0] = shorten_all(columns[0], room)
    wide[0] = max(map(cell_len, columns[0]))
    lines = []
    for first, *middle, last in zip(*columns, strict=True):
        numbers = [" " * (size - cell_len(cell)) + cell for cell, size in zip(middle, wide[1:-1], strict=True)]
        lines.append("  ".join([first + " " * (wide[0] - cell_len(first)), " ".join(numbers), last]).rstrip())
    return lines
