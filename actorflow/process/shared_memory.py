"""Shared memory: memory that two processes see. Lean: children import it first."""

from __future__ import annotations

import mmap
import os


def create(size: int) -> tuple[int, mmap.mmap]:
    """Make memory that has no name, which could be left over: a descriptor for the other process, and the memory."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("actorflow", os.MFD_CLOEXEC)
    else:
        import tempfile  # noqa: PLC0415 - macOS

        with tempfile.TemporaryFile(prefix="actorflow") as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, size)
        return descriptor, mmap.mmap(descriptor, size)
    except BaseException:
        os.close(descriptor)
        raise
