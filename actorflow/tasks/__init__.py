"""Tasks: functions that queues and workflows run.

`task` (a function, known by name), `options` (of one job), `retry` (how often, and when), `current` (the running task's
view of its attempt), `signatures` (for checkers of types).
"""
