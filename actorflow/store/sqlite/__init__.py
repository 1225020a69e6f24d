"""SQLite: the store in one file, or in memory."""
