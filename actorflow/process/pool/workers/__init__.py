"""Workers: the processes of a pool, and their threads in the process of the pool.

`pool_worker` (the actor that owns a process), `worker_thread` (its thread, which decides on each task to send),
`channel` (the messages), `direct_channel` (callers that send and read by themselves), `watched_channel` (running tasks
over their limits, and those that wait behind), `doorbell` (the bell that the thread sleeps on), `shared_page` (memory
that both see); in the process: `worker_main`.
"""
