"""Topology: the way from event to service to event, read from the annotations of handlers; nothing is run.

In the order to read them: `names` (the objects that names in source stand for), `arguments` (the events that calls are
given by names), `call_sites` (the events that code publishes and subscribes to by calls), `topology`
(services, their handlers and all events), `undo` (work that a failure leaves behind), `findings` (all mistakes in it),
`flowchart` (boxes and arrows as text for Mermaid and Graphviz), `pictures` (a topology as a flowchart), `sequence`
(events as a sequence diagram), `recording` (those of a running system), `conversation` (those of the event log).
"""
