"""The store: data that must outlive the process, in one SQLite file or in PostgreSQL.

Read in this order: `transaction` (the calls open to a piece of work), `commits` (many pieces of work in one commit),
`store` (the interface for other layers), then `sqlite` and `postgres`, each with its SQL in files: `migrations/*.sql`
make the tables, `*.sql` hold the statements by name.
"""
