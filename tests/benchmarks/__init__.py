"""Benchmarks against pykka, hand-written asyncio and the standard library: `python -m tests.benchmarks --help`."""
