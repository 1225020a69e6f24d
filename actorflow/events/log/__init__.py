"""The event log of a store, and the durable services that consume it. In the order to read them.

`rows` (events as rows), `offsets` (how far a member of a consumer is), `entries` (events in line at a member, and those
set aside), `consumers` (who shares the log), `shares` (of nodes in consumers), `batches` (several events of one
handler), `service_unit` (a message or timer of a durable service), `chain` (several events handled in one commit),
`member` (a durable service at work), `service_ref` (refs of durable services), `upkeep` (delayed events, and old ones),
`log_node` (the log as one process has it), `opening` (the log of a system, and where its services are placed),
`resetting` (replays, and other changes from outside), `event_log` (EventLog).
"""
