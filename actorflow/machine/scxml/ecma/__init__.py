"""The ecmascript data model's expressions. Layer 3.

Read in this order: `tokens`, `values`, `functions`, `operators`, `expressions` (the parser).
"""
