"""Hosts: actors in child processes, the links to them, and refs that lead there.

`parent` has the parent's side of such an actor, `child` the host's; both stand on `link`, the messages between them.
"""
