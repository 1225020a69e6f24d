"""Pool: CPU-bound work in child processes, as a `concurrent.futures.Executor`."""
