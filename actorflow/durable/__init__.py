"""Durable actors: state, mailbox and timers are rows of the store; what comes of one message is one commit.

Read in this order: `ledger` (the rows, and what a commit does to them), `payload` (messages as JSON), `unit` (one
message: what its handler does is held until the commit), `mailbox` (whose turn it is, tries, stash), `timers` (those
that are rows) and `timeouts` (those of machines), `settling` (what follows a commit), `ref` and `context` (what users
see), `keeper` (shared commits, and what a node does for all its actors), `registry` (the durable actors of one system)
and `owners` (which node has which), `dead_mail` (what nobody could handle). With `host=`: `hosted` (the parent's side),
`envoy` (in its tree), `flight` (one message there and back), `guest` (the child's side), `handle` (what goes there),
`away` (refs there), `requests` (what children ask of the parent), `signs` (what stands in the run queue).
"""
