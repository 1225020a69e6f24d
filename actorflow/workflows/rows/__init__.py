"""Rows: the tables of runs.

`records` (the rows, as objects), `ledger` (the commits that change them), `keeping` (how long they stay), `sending`
(messages to runs).
"""
