"""Workflows: runs of several tasks: functions in plain Python whose steps are recorded, and graphs declared before.

`workflow` (the decorator), `options` (of one run), `calls` (the functions for bodies, beside tasks), `stored_run` (a
handle on a run), `stored_runs` (all runs of a store), `signals` (messages of the runtime's own to runs), `opening` (the
runs of a system), `schedules` (cron); `rows` (tables), `body` (the code of a run, as it runs or replays), `node` (the
runs that this process has). `dag` (graphs of tasks, their runs in memory), `run` (the handle on one; events of runs),
`recorded_steps` (of a run), `figures` (of runs), `wfformat` (recorded workflows as graphs).
"""
