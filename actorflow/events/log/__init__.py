"""The event log of a store, and the durable services that consume it. In the order to read them.

`rows` (events as rows), `offsets` (how far a member of a consumer is), `entries` (events in line at a member, and those
set aside), `consumers` (who shares the log), `member` (a durable service at work), `chain` (several events handled in
one commit), `service_ref` (refs of durable services), `log_node` (the log as one process has it), `publication`
(an event on its way into the log).
"""
