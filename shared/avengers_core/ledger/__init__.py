"""What calls cost: rows, budgets, totals."""

from .budget import Budget, budget_scopes, picodollars, plain_budget
from .budget_store import BudgetStore, InMemoryBudgetStore
from .entry import Entry
from .factory import open_existing, open_ledger
from .store import Ledger, default_ledger_path
from .totals import ModelTotals, Totals

__all__ = [
    "Budget",
    "BudgetStore",
    "Entry",
    "InMemoryBudgetStore",
    "Ledger",
    "ModelTotals",
    "Totals",
    "budget_scopes",
    "default_ledger_path",
    "open_existing",
    "open_ledger",
    "picodollars",
    "plain_budget",
]
