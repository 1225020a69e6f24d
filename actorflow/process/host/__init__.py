"""Actors in child processes: hosts, the links to them, and refs that lead there.

`lodge` and `envoy` are the parent's side of one such actor, `hosts` its processes, `child` their main function,
`guests` the actors there. Both sides share `link` (the messages on the socket), `outbox` (their writer), `flow` (waits
for room), `node` (the ways to other processes) and `remote` (refs).
"""
