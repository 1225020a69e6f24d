"""TaskFiles: a folder in which a cpu task, in its process, reads that it is cancelled, and writes how far it is.

The processes of a pool have no connection to a store and no actors; two small files an attempt, made when they are
needed, cost nothing to the others.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.clock import SystemClock
from actorflow.core.futures.thread_wait import now
from actorflow.core.log import logger
from actorflow.errors import HostDied
from actorflow.store.sqlite.locks import is_free, take
from actorflow.tasks.current import CURRENT_TASK, Current

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX: Final = "actorflow-desk-"
LOCK: Final = "lock"
ORPHAN_SECONDS: Final = 60.0
PERIOD: Final = 0.05  # seconds between two looks, or two notes, of a task


class TaskFiles:
    """The folder of one site, such as a queue, in one process; made at first use."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._held: io.FileIO | None = None  # says that the folder's process lives
        self._lock = threading.Lock()  # workers, and who hands out work, ask at the same time

    @property
    def folder(self) -> str:
        """The folder's path; it is made at first use."""
        with self._lock:
            if self._folder is None:
                sweep()
                folder = Path(tempfile.mkdtemp(prefix=PREFIX))
                self._held = take(str(folder / LOCK))
                self._folder = folder
            return str(self._folder)

    def path_of(self, key: str) -> str:
        """Return the path by which the files of an attempt are named, without the suffix of each.

        A key may be longer than a file's name, and have slashes: it is hashed.
        """
        from hashlib import sha256  # noqa: PLC0415 - 12 ms of a worker process, which has no use for it

        return str(Path(self.folder, sha256(key.encode()).hexdigest()))

    def cancel(self, key: str) -> None:
        """Have the task of an attempt see that it is cancelled."""
        try:
            Path(f"{self.path_of(key)}.cancel").touch()
        except OSError as error:  # the folder was swept away, the disk is full: its process is ended in a moment
            logger.warning("A cpu task cannot see that it is cancelled: %s", error)

    def progress(self, key: str) -> list[Any] | None:
        """Return the notes of the task since they were last read."""
        if self._folder is None:
            return None
        path = Path(f"{self.path_of(key)}.progress")
        try:
            done, total = json.loads(path.read_bytes())
            path.unlink(missing_ok=True)
        except (OSError, ValueError, TypeError):  # there is no note, or somebody else has written one
            return None
        return [done, total]

    def clear(self, key: str) -> None:
        """Forget an attempt that is over."""
        if self._folder is not None:
            for kind in ("cancel", "progress"):
                with contextlib.suppress(OSError):
                    Path(f"{self.path_of(key)}.{kind}").unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
            if self._held is not None:
                self._held.close()


def sweep() -> None:
    """Remove the folders of processes that were killed: nobody has their locks, and nobody has just made them."""
    before = SystemClock.time() - ORPHAN_SECONDS
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's
            if folder.stat().st_mtime < before and is_free(str(folder / LOCK)):
                shutil.rmtree(folder, ignore_errors=True)


class TaskSide:
    """The task's side of the folder, in its process."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._looked = self._noted = float("-inf")
        self._cancelled = False

    def is_cancelled(self) -> bool:
        """Look whether the task is cancelled, now and then."""
        at = now()
        if not self._cancelled and at - self._looked > PERIOD:
            self._looked = at
            self._cancelled = os.path.exists(f"{self._path}.cancel")  # noqa: PTH110
        return self._cancelled

    def report(self, done: Any, total: Any) -> None:
        """Note how far the task is, now and then, and at the end."""
        at = now()
        if at - self._noted > PERIOD or done == total:
            self._noted = at
            with contextlib.suppress(OSError):  # the parent is gone, and so is soon this process
                with open(f"{self._path}.note", "w", encoding="ascii") as file:  # noqa: PTH123
                    json.dump([done, total], file)
                os.replace(f"{self._path}.note", f"{self._path}.progress")  # noqa: PTH105


class InProcess:
    """A task's function as a process of the pool calls it. One object a task: a worker process reads it once.

    It travels as the names of its module and in it, as the object found there is the task and not the function.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__qualname__ = function.__qualname__  # by which the pool speaks of it

    def __reduce__(self) -> tuple[Any, ...]:
        module, name = self.function.__module__, self.function.__qualname__
        if module == "__main__" or unwrapped(sys.modules.get(module), name) is not self.function:
            return InProcess, (self.function,)
        return find_in_module, (module, name)

    def __call__(self, args: Any, kwargs: Any, key: str, attempt: int, path: str) -> Any:
        """Call the task's function; `path` is that of its files."""
        side = TaskSide(path)
        token = CURRENT_TASK.set(Current(key, attempt, side.report, side.is_cancelled))
        try:
            return self.function(*args, **kwargs)
        except HostDied as error:  # of a process that the task itself has used: the task had begun
            error.maybe_ran = True
            raise
        finally:
            CURRENT_TASK.reset(token)


def find_in_module(module: str, name: str) -> InProcess:
    """Import a task's module, and return its function."""
    return InProcess(unwrapped(import_module(module), name))


def unwrapped(module: Any, name: str) -> Any:
    """Return the function of a task in a module; None if there is none."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return getattr(module, "function", None)
