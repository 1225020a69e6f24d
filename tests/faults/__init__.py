"""The fault matrix: 17 faults, really injected into our pool and its peers, and what each pool makes of them.

`python -m tests.faults` prints the table; `test_matrix.py` asserts our column. Each cell has a process of its own.
"""
