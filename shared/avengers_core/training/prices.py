"""The prices that recorded dollars and tokens imply."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..pricing.types import PER, Price
from ..records.partitions import Partitions
from ..records.table import RecordTable

__all__ = ["implied_prices"]


def implied_prices(partitions: Partitions, models: list[str]) -> dict[str, Price]:
    """Prices that explain each model's recorded dollars by its recorded tokens (least squares).

    A model is left out if its records have no tokens or dollars, if a linear price misses their total by more than 1%,
    or if it misses more than a tenth of the answers by more than 5% (because of tiers, caching or rounded costs).

    Args:
        partitions: The records.
        models: Names of the records' models.

    Returns:
        Prices in US dollars per million tokens, by model.
    """
    sums = partitions.reduce(_price_equations)
    rates = np.zeros((len(models), 2))
    for column in range(len(models)):
        if sums["n"][column] >= 2:
            rates[column] = np.linalg.lstsq(sums["gram"][column], sums["moment"][column], rcond=1e-12)[0]
    fit = partitions.reduce(_price_fit, rates)
    prices = {}
    for column, model in enumerate(models):
        n, total = sums["n"][column], sums["cost"][column]
        fits = abs(fit["cost"][column] - total) <= 0.01 * total and fit["close"][column] >= 0.9 * n
        if n >= 2 and (rates[column] >= 0).all() and fits:
            # Recorded costs are rounded, so more than four figures would be noise.
            rounded = [float(f"{rate * PER:.4g}") for rate in rates[column]]
            prices[model] = Price(rounded[0], rounded[1], "records")
    return prices


def _paid(table: RecordTable) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """(n, m, 2) tokens and (n, m) US dollars, both 0 if either is unknown, and (n, m) whether both are known."""
    tokens = table.tokens[:, :, :2].astype(np.float64)
    known = np.isfinite(tokens).all(axis=2) & np.isfinite(table.cost)
    return np.where(known[:, :, None], tokens, 0), np.where(known, table.cost, 0), known


def _price_equations(table: RecordTable) -> dict[str, NDArray[np.float64]]:
    tokens, cost, known = _paid(table)
    return {
        "gram": np.einsum("nmi,nmj->mij", tokens, tokens),
        "moment": np.einsum("nmi,nm->mi", tokens, cost),
        "n": known.sum(axis=0).astype(np.float64),
        "cost": cost.sum(axis=0),
    }


def _price_fit(table: RecordTable, rates: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    tokens, cost, known = _paid(table)
    fit = np.einsum("nmi,mi->nm", tokens, rates)
    close = known & (np.abs(fit - cost) <= 0.05 * cost + 1e-9)
    return {"cost": fit.sum(axis=0), "close": close.sum(axis=0).astype(np.float64)}
