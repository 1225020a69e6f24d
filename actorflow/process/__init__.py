"""Processes: actors in child processes, and the pool for CPU-bound work."""
