"""Futures: answers that are still to come, and the waits for them.

`future` (the answer), `asyncio_bridge` (asyncio code that awaits one), `thread_wait` (how a thread that runs no handler
waits), `parking_lock` (a lock that user code may wait under), `wait_graph` (actors that wait for each other, and the
search for a cycle), `unobserved` (errors that nobody looks at, which become dead letters).
"""
