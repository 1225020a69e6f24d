"""Refs: what users hold of an actor, and what the runtime keeps at it.

`address` (system, path and uid), `cell` (what the scheduler keeps there), `home` (what any ref may ask of its
scheduler), `ref` (the sends), `resolve` (the ref behind a pickled address), `cold_fields` (the fields that only some
actors need), `bounded_mailbox` (the overflow of a full one, and the line for room), `timers` (the heap of those that
are pending), `pykka_views` (pykka's attributes of an actor), `failure` (who gets a handler's error), `termination` (the
effects of an end on others).
"""
