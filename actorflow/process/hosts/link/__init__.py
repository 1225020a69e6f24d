"""Link: the messages between two processes of one system. Both ends run this code.

`link` (the socket and the items that come by it), `outbox` (its writer), `reader` (who may read the socket),
`flow_control` (waits for room), `requests` (those that one runtime makes of another), `node` (the ways to other
processes), `remote_ref` (refs to actors there), `envelope` (a message that is passed on unread), `lookup` (finding
actors there), `news` (of a host, for its parent), `deadlock_probe`, `log_forwarding`.
"""
