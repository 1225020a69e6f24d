"""Testing: fixtures and tools for tests of actors. Layer 6."""
