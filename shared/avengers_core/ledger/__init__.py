"""What calls cost: rows, budgets, totals."""

from .budget import Budget, plain_budget
from .entry import Entry
from .factory import open_existing, open_ledger
from .store import Ledger
from .totals import ModelTotals, Totals

__all__ = [
    "Budget",
    "Entry",
    "Ledger",
    "ModelTotals",
    "Totals",
    "open_existing",
    "open_ledger",
    "plain_budget",
]
