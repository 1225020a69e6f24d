"""The ecmascript data model's expressions.

Read in this order: `tokens`, `values`, `functions`, `operators`, `expressions` (the parser).
"""
