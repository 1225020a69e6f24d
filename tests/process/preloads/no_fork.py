"""A preload after which the system has no more processes."""

import errno
import os


def fork():
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


os.fork = fork
