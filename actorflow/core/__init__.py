"""The actor runtime: actors, refs, futures and the scheduler under them.

Read in this order: `scheduler` (the run queue, and which thread may touch which state), `baton` and `live`, `virtual`
(the two drivers), `ref` and `actor` (the classes that users hold and write), `future`, `lifecycle`, then the rest. Only
this package and `actorflow.errors` import pykka.
"""
