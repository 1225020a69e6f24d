"""PostgreSQL: the store on a server, for several machines.

Read in this order: `connection` (a session, its errors), `schema` (the tables), `link` (the one thread: commits of
others, the clock, the lock of a node), `store`. Statements of `session.sql` are this dialect's own.
"""
