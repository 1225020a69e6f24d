"""Messages: the runtime's own kinds, and the record of the handler that runs.

`handlers` (what the scheduler runs for messages of the runtime's own classes), `messages` (calls, life-cycle requests,
events to subscribe to), `events` (subscriptions to them, dead letters), `reply` (an answer that a handler gives later),
`execution` (which handler runs here), `ref_table` (all refs, by uid).
"""
