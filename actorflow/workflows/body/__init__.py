"""Body: the code of a run that is loaded: its branches, its steps, and the order in which it hears of their ends.

`body` (of both kinds: what its code calls, and the begin of steps), `body_journal` (its records), `body_execution` (the
place where it runs, and its rules), `sync_body` and `async_body`, `run_loop` (the asyncio loop of one), `branch` (the
lines of its code), `lanes` (their threads in a plain body), `steps` (tasks), `timed_steps` (timers, waits for signals),
`child_step` (runs that it starts), `job_step` (jobs that it enqueues), `sends` (messages to durable actors), `mail`
(signals that no wait has taken), `exposed` (functions for queries), `gathering` (several futures as one), `queued`
(queues that are mostly empty), `loading` (its records are sorted), `saga_course` (the saga whose code it is),
`replayed_body` (a body that only looks whether it fits its records), `doubts` (calls in it that a replay sees
otherwise).
"""
