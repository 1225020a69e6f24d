"""Rows: the tables of runs: what a run is in the store, and the commits that change it."""
