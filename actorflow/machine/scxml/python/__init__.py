"""The python data model's expressions. Layer 3.

Read in this order: `functions`, `operations`, `nodes`, `expressions` (what the data model calls).
"""
