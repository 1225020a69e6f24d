"""Tasks: functions that queues and workflows run.

`task` (a function, known by name), `options` (of one job), `retry` (how often, and when), `signatures` (for checkers of
types). `current` (the running task's view of its attempt), `cause` (the event
that it runs because of), `execution` (one attempt of one task, and whom it is for),
`running` (the ways to call the function), `site` (what a process has to run tasks), `task_files` (what a cpu task reads
and writes), `compensation` (the task that undoes a step), `watching` (of the transaction that a task has open).
"""
