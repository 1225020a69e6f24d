"""Remote: durable actors whose handlers run in child processes, which have no store.

In the parent: `hosted` (the refs), `envoy` (in its tree), `round_trip` (one message there and back), `parent_requests`
(what children ask for); in the child: `guest`, `remote_ref` (refs from there); `protocol` (the messages), `preload`.
"""
