"""Events: facts that services tell each other. In the order to read them.

`topics` (patterns of names), `unreadable` (errors of stored events), `event` (names, versions and upcasters of event
classes), `envelope` (an event with its id, source and causes), `hints` (annotations of handlers), `handlers` (the table
of a class's handlers), `filters` (the events that a subscriber wants), `subscriber` and `async_subscriber` (the actors
of functions), `receivers` (subscriptions), `routes` (the receivers of a class of events), `delivery` (an event as a
message), `bus` (EventBus), `hosted` (services in child processes), `service` (Service), `log` (the event log of a
store, and durable services), `topology` (pictures and checks of services and the events between them).
"""
