"""Launch: starts child processes by a fork server of our own, and tells how they end.

`launcher` (one fork server for children that are alike), `fork_server` (it, as seen from outside), `child_process` (one
child, as its starter sees it), `frames` (the messages); in the server: `zygote`, which forks itself, `bootstrap` (from
the fork to the entry function), `lazy_package` (`actorflow` in a process that may never need all of it).
"""
