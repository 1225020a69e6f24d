"""The actor runtime: actors, refs, futures and the scheduler under them. Only this package and `errors` import pykka.

Each room imports from those named after it only: `system` (the bare actor system), `drivers` (threads, or a virtual
clock, that run the queue), `running` (the run queue, and the life of actors on it), `actors` (the classes that users
write), `refs` (what users hold), `futures` (answers that are still to come), `messages` (the runtime's own kinds). At
the bottom: `log`, `clock`, `backoff`, `outage` (a failure that lasts, as the log tells of it), `atomic` (steps that no
signal can tear apart) and `importable` (names under which other processes find a program's definitions).
"""
