"""Node: the runs of one system in this process.

`run_node` (all that they share), `claiming` (the actor that takes and loads them), `run_actor` (the actor of a loaded
run), `runners` (the actors that run steps), `waiting_code` (threads of plain code that waits), `members` (their part in
shared commits), `family` (the commits that concern parents and children), `jobs` (those of steps), `giving_back` (runs
that are unloaded), `pruning` (old runs are removed), `held_runs` (starts and messages in the commit of a handler),
`asking` (queries), `replayer` (the actor that replays a run for one).
"""
