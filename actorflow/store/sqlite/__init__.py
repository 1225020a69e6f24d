"""SQLite: the store in one file, or in memory.

`store`, `connection` (SQLite as the store uses it), `file` (made ready, its checkpoints), `wal` (its log), `place` (the
identity of a file), `locks` (files that the kernel locks for a process), `node` (a process that works on a file),
`work_notes` (the work that it had begun when it died), `maintenance` (checks, copies and shrinks a file).
"""
