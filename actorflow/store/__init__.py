"""The store: data that must outlive the process, in one SQLite file or in PostgreSQL.

`store` (the interface for other layers), `transaction` (the calls open to a piece of work), `base` (the part of all
stores), `group_commit` (many pieces of work in one commit), `pending_writes` (those that wait for it), `commit_delay`
(the moment that a commit waits for more of them), `holding` and `open_transaction` (one that stays open until its
thread ends it), `turn` (the lock of the writer), `commit_batch` (the effects of handlers that go into one commit),
`clerk` (an actor that works with the store), `members` and `node` (the processes that work on a store), `system_store`
(a store as one of its systems has it), `neighbours` (stores of one process on one database), `statements` (SQL by
name), `watchers` (who hears of commits), `codec` and `classes` (values as JSON), `error_json`. Then `sqlite` and
`postgres`, each with its SQL in files: `migrations/*.sql` make the tables, `*.sql` hold the statements by name.
"""
