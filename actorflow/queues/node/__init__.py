"""Node: one queue as one process has it, and its workers.

`local_queue` (the state that all of these share), `job_store` (its changes in the store), `announcer` (tells who waits
and listens here), `upkeep` and `pruner` (rows that nobody works on). `adding` (new jobs), `held_jobs` (those of durable
handlers), `claimer` (takes jobs, and lets a caller of `enqueue` take one), `worker_slots` (workers and the jobs
that wait for one), `workers` (run a job), `job_owner` (the job that an attempt is for, and its outcome), `apart`
(outcomes written one by one), `shortage`, `deadlock`. `inline` (jobs that run where they are enqueued), `offload`
(asyncio code that calls us).
"""
