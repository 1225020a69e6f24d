"""The python data model's expressions.

Read in this order: `functions`, `operations`, `nodes`, `expressions` (called by the data model).
"""
