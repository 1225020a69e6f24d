"""The store: what must outlive the process, in one SQLite file or in PostgreSQL.

Read in this order: `transaction` (what a piece of work may do), `commits` (many pieces of work in one commit), `store`
(what other layers hold), then `sqlite` and `postgres`, each with its SQL in files: `migrations/*.sql` make the tables,
`*.sql` hold the statements by name.
"""
