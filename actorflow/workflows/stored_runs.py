"""StoredRuns: the runs of a store: to list, count and remove."""
