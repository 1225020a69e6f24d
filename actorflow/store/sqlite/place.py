"""Place: a file is known by its real path, and is the same file as long as its device and inode are."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from actorflow.errors import DefinitionError, StoreError

logger = logging.getLogger("actorflow.store")

MOUNTS: Final = "/proc/self/mountinfo"
STEP: Final = 2_000_000_000  # nanoseconds: the resolution of the coarsest file systems


class FilePlace:
    """The file that a store has open, and its log; a commit to a file that was deleted would be lost."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = identity(path)
        self._found: os.stat_result | OSError | None = None  # by the last look
        self._known = 0  # when the file was last written, as of the tables' last check
        self._log: tuple[int, int] | None = None
        self._has_lost_log = False

    def look(self) -> bool:
        """Look at the file where a transaction begins: 1 us, one look for all work that shares a commit.

        Returns:
            whether it was written beside the log since `know`. So it is after a checkpoint, and after a change of the
            tables, see `touch`. All others write into the log, which costs nobody a look at the tables.
        """
        try:
            self._found = found = os.stat(self.path)  # noqa: PTH116 - each microsecond counts
        except OSError as error:
            self._found = error
            return False
        return found.st_mtime_ns != self._known

    def know(self) -> None:
        """Note that the tables were looked at, as of the last `look`."""
        if isinstance(self._found, os.stat_result):
            self._known = self._found.st_mtime_ns

    def forget(self) -> None:
        """Have the tables looked at by the next transaction."""
        self._known = 0

    @property
    def is_known(self) -> bool:
        """Whether the file and its log were the same ones at the last looks: else another program may write there."""
        found = self._found
        is_same = isinstance(found, os.stat_result) and (found.st_dev, found.st_ino) == self._file
        return is_same and not self._has_lost_log

    def check(self) -> None:
        """See that the file was still there when the transaction began.

        Raises:
            StoreError: it was deleted, or another one is in its place.
        """
        found = self._found
        if not isinstance(found, os.stat_result):
            raise self._gone("it was deleted, moved or unmounted") from found
        if (found.st_dev, found.st_ino) != self._file:
            raise self._gone("another file was put in its place")
        if self._has_lost_log:
            raise self._gone("its log (-wal) was deleted or replaced")

    def look_back(self) -> None:
        """Check that the file is still there after a commit: 1 us, 0.3 % of an enqueue that outlives a power cut.

        Raises:
            StoreError: it was deleted, or another one is in its place; the commit is lost.
        """
        if identity(self.path) != self._file:
            why = "it was deleted, moved or replaced during a commit, which is in no file"
            msg = f"{self.path}: {why}: restart the program"
            raise StoreError(msg)

    def look_at_log(self) -> None:
        """Note whether the log is still the one that was there at first, for the next `check`.

        The tables are looked at anew as well, should somebody have changed them by hand, without a `touch`.
        """
        self.forget()
        found = identity(f"{self.path}-wal")
        if self._log is None:
            self._log = found
        self._has_lost_log = found != self._log

    def _gone(self, why: str) -> StoreError:
        return StoreError(f"{self.path}: {why} while it was open; nothing of this was written: restart the program")


def touch(path: str) -> None:
    """Have all processes that have a file open look at its tables before they write; call it before a commit.

    The time is set, not taken: two changes within a tick of the kernel's clock would be one.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - as below
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + STEP))
    except PermissionError:  # a process that does not own the file may set it to the present time only
        os.utime(path)


def identity(path: str) -> tuple[int, int] | None:
    """Return the pair by which the kernel knows a file; None if it is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - each microsecond counts
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_file(path: str) -> bool:
    """Say whether there is a file.

    Raises:
        StoreError: nobody can tell, as a folder on the way may not be searched, or a name is too long.
    """
    try:
        return Path(path).is_file()
    except OSError as error:
        msg = f"{path}: {error.strerror}; may this user look into its folder?"
        raise StoreError(msg) from error


def check_there(path: str) -> None:
    """Refuse a path without a file.

    Raises:
        DefinitionError: there is none, or something else.
        StoreError: as of `is_file`.
    """
    if not is_file(path):
        text = "it is no file, but a folder or a device" if Path(path).exists() else "there is no such file"
        raise DefinitionError(f"{path}: {text}")


def real_path(path: str) -> str:
    """Return the one path of a file, whatever symlinks or folder it was given by.

    Raises:
        StoreError: the file alone is mounted there, so its log and its locks would be elsewhere than for others.
    """
    real = os.path.realpath(path)
    if is_mounted_alone(real):
        msg = f"{real}: only the file is mounted, without the log next to it: mount its folder"
        raise StoreError(msg)
    try:
        names = Path(real).stat().st_nlink
    except OSError:
        names = 1
    if names > 1:
        text = "%s has %s names (hard links); SQLite loses data if two of them are open: open it by this one only"
        logger.warning(text, real, names)
    return real


def is_mounted_alone(path: str) -> bool:
    """Say whether a path is a mount point, as a file is that was given to a container by itself."""
    if not is_file(path):
        return False
    try:
        mounts = Path(MOUNTS).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not on Linux
        return False
    name = path.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    return any(line.split(" ")[4] == name for line in mounts.splitlines() if line.count(" ") > 4)
