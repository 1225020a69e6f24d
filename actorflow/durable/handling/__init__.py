"""Handling: one durable actor, one message after the other.

`mailbox` (the rows that wait: order, tries, stash), `timed_tries` (the time of all tries of a message), `unit_of_work`
(the effects of one message, held until they are committed), `after_commit` (the steps that follow), `timers` (those
that are rows), `machine_timers`, `runtime_messages` (items in the run queue that stand for rows), `stored_pipes` (asks
whose answers come as rows).
"""
