"""Figures as text, for tables and reports."""

from __future__ import annotations

__all__ = ["dollars_per_1k", "number", "number_interval", "with_interval"]

Interval = tuple[float, float]


def number(value: float | None) -> str:
    """Four decimals, or ``none``."""
    return "none" if value is None else f"{value:.4f}"


def number_interval(interval: Interval | None) -> str:
    """``low to high`` with four decimals, or nothing."""
    return " to ".join(map(number, interval or ()))


def with_interval(value: float, interval: Interval) -> str:
    """Four decimals, and the interval in brackets with three."""
    low, high = interval
    return f"{value:.4f} [{low:.3f}, {high:.3f}]"


def dollars_per_1k(cost_usd: float, interval: Interval) -> str:
    """US dollars a query as `with_interval` of US dollars per 1,000 queries."""
    low, high = interval
    return with_interval(cost_usd * 1000, (low * 1000, high * 1000))
