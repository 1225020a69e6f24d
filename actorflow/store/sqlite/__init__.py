"""SQLite: the store in one file, or in memory.

`store`, `connection` (SQLite as the store uses it), `file` (made ready, its checkpoints), `place` (by which a file is
known), `locks` (files that the kernel locks for a process), `node` (a process that works on a file), `work_notes` (what
it had begun when it died), `maintenance` (checks, copies and shrinks a file).
"""
