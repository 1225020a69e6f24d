"""A preload that remembers where and how it was imported."""

import os

IMPORTED_BY = os.getpid()
CAP = os.environ.get("AF_TEST_CAP")
