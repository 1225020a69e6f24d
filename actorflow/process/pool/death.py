"""Death: the errors of a pool's task whose process died, which are those of the standard library's pool too.

Imported at the first death: `concurrent.futures.process` takes 20 ms.
"""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

from actorflow.errors import HostDied, MemoryLimit


class WorkerDied(HostDied, BrokenProcessPool):
    """A worker of a pool has died; code for `ProcessPoolExecutor` catches it as BrokenProcessPool."""


class WorkerMemoryLimit(MemoryLimit, WorkerDied):
    """A worker of a pool was killed since it used more memory than its limit."""


def of_worker(error: BaseException) -> BaseException:
    """Return the death of a process as that of a pool's worker; any other error as it is."""
    if not isinstance(error, HostDied) or isinstance(error, WorkerDied):
        return error
    kind = WorkerMemoryLimit if isinstance(error, MemoryLimit) else WorkerDied
    fields = ("exitcode", "signal", "rss", "maybe_ran", "host", "how")
    died = kind(error.what, **{name: getattr(error, name) for name in fields})
    died.__cause__ = error.__cause__
    for note in getattr(error, "__notes__", ()):
        died.add_note(note)
    return died
