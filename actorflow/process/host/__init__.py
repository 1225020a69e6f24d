"""Actors in child processes: hosts, the links to them, and refs that lead there.

`lodge` and `envoy` are the parent's side of one such actor, `hosts` its processes, `child` what runs in them, `guests`
the actors there. Both sides share `link` (what goes over the socket), `outbox` (who writes it), `flow` (who waits),
`node` (which way leads where) and `remote` (refs).
"""
