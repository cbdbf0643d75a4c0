"""Limits, budgets, prices and the ledger: what a caller may use, what it costs, and what was spent."""
