"""Definition: the charts that machines are made of.

`chart` (states, transitions, hooks: immutable), `draft` (a chart while it is read or built), `builder` (one call a
part), `hooks` (the functions that a chart names), `direct` (the method of an event), `checks` (mistakes and warnings),
`reachability` (the states that a machine can get into).
"""
