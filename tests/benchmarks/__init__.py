"""Benchmarks of the runtime against pykka and hand-written asyncio: `python -m tests.benchmarks --help`."""
