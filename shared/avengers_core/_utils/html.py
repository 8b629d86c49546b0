"""Results as HTML, for notebooks. Colours are the notebook's own, light or dark."""

from __future__ import annotations

from html import escape

from .results import Table

__all__ = ["bar", "html_table", "paragraph"]


def html_table(table: Table, *, safe: bool = False) -> str:
    """A table.

    Args:
        table: The table.
        safe: Whether its cells are HTML already; else they are escaped.
    """
    head = "".join(f'<th style="text-align:left">{escape(column)}</th>' for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{cell if safe else escape(cell)}</td>' for cell in row) + "</tr>"
        for row in table.rows
    )
    caption = f'<caption style="text-align:left">{escape(table.title)}</caption>' if table.title else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def bar(value: float, deviation: float = 0.0) -> str:
    """A picture of a number from 0 to 1, with what it may be off by.

    Args:
        value: The number.
        deviation: Its standard deviation.
    """
    low, high = max(value - deviation, 0.0), min(value + deviation, 1.0)
    start, width = 120 * low, 120 * (high - low)
    return (
        f'<svg width="120" height="12" role="img" aria-label="{value:.2f}, {low:.2f} to {high:.2f}">'
        '<rect x="0" y="4" width="120" height="4" rx="2" fill="currentColor" opacity="0.15"/>'
        f'<rect x="{start:.1f}" y="4" width="{width:.1f}" height="4" fill="currentColor" opacity="0.4"/>'
        f'<rect x="{min(120 * value, 118):.1f}" y="1" width="2" height="10" fill="currentColor"/></svg>'
    )
