"""Faults: what goes wrong in a simulated run, and when.

`fault` (one of them, from its begin to its end), `targets` (the hosts that it concerns), `store` (faults of the
store), `at` (declares faults at a time), `chaos` (those that a seed draws).
"""
