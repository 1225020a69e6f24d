"""Running: the run queue, and the life of actors on it. All of it runs on the holder of the baton.

`scheduler` (the queue, and which thread may touch which state), `extensions` (the parts that higher layers make for
it), `run_queue` (threads and entries of it), `lifecycle` (start, stop, exit), `children` (the actors under one parent),
`async_handler` (an `async def` handler while it waits), `system_task` (a coroutine of the runtime's own), `drain` (the
end of a system), `quiet` (whether anything is left that could answer a wait).
"""
