"""What calls cost: rows, budgets, totals."""
