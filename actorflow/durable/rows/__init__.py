"""Rows: what the store has of durable actors.

`ledger` (the changes that a commit makes), `records` (messages, timers and effects, as it reads and writes them),
`payload` (messages as JSON), `state` (an actor's state, out of it and back), `answers` (those that are messages,
and the addresses that they go to).
"""
