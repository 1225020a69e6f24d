"""Workflows: functions in plain Python whose steps are recorded, so that a run goes on after its process has died.

`workflow` (what users define), `run` (their handle on a run), `calls` (what a body calls beside tasks), `rows` (the
tables), `body` (a body that runs, or replays), `node` (the runs that this process has).
"""
