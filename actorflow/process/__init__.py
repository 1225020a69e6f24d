"""Processes: actors in child processes, and the pool for CPU-bound work.

`launch` starts them; `hosts` (actors) and `pool` (calls) stand on it. Shared: `options` (how a child is to be), `wire`
(frames over a socket), `pickling` (messages as bytes), `by_value` (code that the receiver cannot import), `sources`
(its text), `imports` (hooks on modules), `proxies` (support for `multiprocessing.Manager`), `shared_memory`,
`log_records` and `log_handling` (logs of children), `watch` (memory and CPU time).
"""
