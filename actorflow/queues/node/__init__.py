"""Node: one queue as one process has it, and its workers.

`local_queue` (what all of these share), `claimer` (takes jobs from the store), `worker_slots` (workers and the jobs
that wait for one), `workers` (run a job), `attempt` (one try, and its outcome), `task_files` (what a cpu task reads and
writes), `apart` (outcomes written one by one), `announcer` (who waits here for ends), `adding` (new jobs), `inline`
(jobs that run where they are enqueued), `offload` (asyncio code that calls us), `upkeep` and `pruner`, `shortage`,
`deadlock`, `open_transactions`.
"""
