"""Durable actors: state, mailbox and timers are rows of the store; all effects of one message are one commit.

Read in this order: `ledger` (the rows, and the changes of a commit), `payload` (messages as JSON), `unit` (one message:
the effects of its handler are held until the commit), `mailbox` (the next message, tries, stash), `timers` (those that
are rows) and `timeouts` (those of machines), `settling` (the steps after a commit), `ref` and `context` (the classes
that users see), `keeper` (shared commits, and a node's work for all its actors), `registry` (the durable actors of one
system) and `owners` (the node that has each), `dead_mail` (messages that no try could handle). With `host=`: `hosted`
(the parent's side), `envoy` (in its tree), `flight` (one message there and back), `guest` (the child's side), `handle`
(the messages to it), `away` (refs there), `requests` (from children to the parent), `signs` (the runtime's own messages
in the run queue).
"""
