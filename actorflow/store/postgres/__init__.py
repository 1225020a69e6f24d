"""PostgreSQL: the store on a server, for several machines. Statements of `session.sql` are this dialect's own.

`store`, `connection` (transactions), `session` (one connection, made anew when the server was lost), `presence` (the
session that is always open: commits of others, the clock, the lock of a node), `node`, `schema` (the tables), `driver`
(psycopg, imported late), `waiting` (a wait for the server that can be given up).
"""
