"""Pool: CPU-bound work in child processes, as a `concurrent.futures.Executor`.

`pool` (the object that users hold), `setup` and `options` (its settings), `task` (one call), `future` (its answer),
`mapping` (many calls in chunks), `dispatcher` (brings tasks and idle workers together), `task_queue` (tasks that wait),
`batching` (tasks that go together), `inplace` (a pool inside of one of its own tasks), `stats`, `death` (the errors of
a task whose process died); `workers` has the processes.
"""
