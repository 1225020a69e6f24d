"""Rows: the tables of runs.

`records` (the rows, as objects), `ledger` (the commits that change them), `keeping` (how long they stay), `sending`
(messages to runs), `limits` (slots of keys), `pausing` (runs that begin nothing for a while), `trying_again` (runs
that go on from an earlier place), `unsticking` (stuck sagas).
"""
