"""Workflows: functions in plain Python whose steps are recorded, so that a run goes on after its process has died.

`workflow` (the decorator), `options` (of one run), `calls` (the functions for bodies, beside tasks), `stored_run` (a
handle on a run), `run` (its events), `stored_runs` (all runs of a store), `signals` (messages of the runtime's own to
runs), `opening` (the runs of a system); `rows` (tables), `body` (the code of a run, as it runs or replays), `node` (the
runs that this process has).
"""
