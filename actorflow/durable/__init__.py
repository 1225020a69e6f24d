"""Durable actors: state, mailbox and timers are rows of the store; all effects of one message are one commit.

`ref` and `context` are the classes that users see, `future` the answer to a message that is a row, `address` the part
that refs have in all processes; `opening` makes them for a system with a store. `rows` is what the store has;
`handling` is one actor at work; `node` has all of a process; `remote` those with `host=`.
"""
