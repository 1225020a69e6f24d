"""Patches: the clocks, random numbers and locks of a simulated world, which user code takes for the real ones.

`place` (whose code makes a call, and in which world), `redirect` (functions in C that call others), `clocks` (time and
datetime), `chance` (random numbers), `locks` (locks and queues), `outside` (what is refused), `log_records`
(whose log it is), `patched` (puts all patches on, and takes them off).
"""
