"""Rows: the tables of runs.

`records` (the rows, as objects), `ledger` (the commits that change them), `keeping` (how long they stay), `sending`
(messages to runs), `trying_again` (runs that go on from an earlier place).
"""
