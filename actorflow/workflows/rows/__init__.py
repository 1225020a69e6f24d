"""Rows: the tables of runs: `records` (the rows, as objects) and `ledger` (the commits that change them)."""
