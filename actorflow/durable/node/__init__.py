"""Node: the durable actors of one process.

`runtime` (all of them: addresses, sends, news of others), `open_asks` (who waits for an answer), `ownership` (which
node has which), `housekeeping` (regular work); of the store: `dead_letters`, `stored_actors`.
"""
