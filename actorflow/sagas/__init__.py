"""Sagas: workflows whose completed steps are undone, newest first, if they do not come to their end.

`saga` (the decorator), `declared` (sagas without code, and those of DAGs), `course` (the steps of one run that are to
be undone), `saga_step` (steps that may be undone), `undo_step` (their compensations), `undoing` (the order in which
these run), `undo_function` (the functions of `af.undo`), `forcing` (the end of code that catches each exception),
`savepoint` (parts of the code), `calls` (the functions for their code), `outline` (the steps of a saga, for its picture
and for checks).
"""
