"""The python data model's expressions.

Read in this order: `functions`, `operations`, `nodes`, `expressions` (what the data model calls).
"""
