"""Steps: the handling of an event by a machine, after the algorithm of the SCXML recommendation, appendix D.

Functions on an interpreter, whose own methods are the common step and the public ones. Each module imports only those
named before it: `failures`; `timers` and `invocations`; `selection`, `microstep` and `termination`; `macrostep`, the
main loop.
"""
