"""SQLite: the store in one file, or in memory. Layer 2."""
