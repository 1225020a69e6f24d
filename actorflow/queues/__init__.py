"""Queues: jobs that outlive the process, on a store.

For users: `queue`, `job` (a handle), `group` (jobs with one behind them), `limits`, `schedules` and `cron`, `selection`
(many jobs at once), `stats`, `events`. Below these: `packing` (a call as the store takes it), `calls` (a call as people
read it), `reasons` (why a job is not over), `aftermath` (the effect of an end on jobs behind it), `retention`,
`opening` (a queue of a system), `declared` (a queue of an App). `ledger` has the changes of jobs in the store, `node`
one process at work.
"""
