"""Node: the durable actors of one process.

`runtime` (all of them: sends, answers, news of others), `ownership` (which node has which), `handler_batch` (shared
commits), `housekeeping` (regular work); of the store: `dead_letters`, `stored_actors`.
"""
