"""The actor runtime: actors, refs, futures and the scheduler under them. Layer 1.

Read in this order: `scheduler` (who runs, and the one thread that may touch what), `baton` and `live`, `virtual` (the
two ways to drive it), `ref` and `actor` (what users hold and write), `future`, `lifecycle`, then the rest. Only this
package and `actorflow.errors` import pykka.
"""
