"""Witness: a file that tasks of any process count their runs in; it tells afterwards what has begun, and how often."""

import functools
import mmap
import os
import time


def create(path, tasks):
    """Make the file for a number of tasks, and open it."""
    with open(path, "wb") as file:  # noqa: PTH123 - workers import this module, often
        file.write(bytes(tasks))
    return runs(path)


@functools.cache
def runs(path):
    """Open the file: a count of runs for each task, up to 255."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)


def work(path, number, seconds, size):
    """Count the run, compute for some time, and give back what only this task would."""
    runs(path)[number] += 1
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return answer(number, size)


def quick(path, number, _seconds, size):
    """The same, always short: a function of its own, since a pool measures functions for its batches."""
    runs(path)[number] += 1
    return answer(number, size)


def answer(number, size):
    """What a task must give back."""
    return number, number.to_bytes(4, "little") * (size // 4)
