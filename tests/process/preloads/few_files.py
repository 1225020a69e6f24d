"""A preload after which only two more files can be opened."""
# ruff: noqa: PTH208 - without pathlib

import os
import resource

highest = max(map(int, os.listdir("/proc/self/fd")))
resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 3, highest + 3))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    os.close(taken.pop())
    os.close(taken.pop())
