"""Tapes: runs that failed, kept in files beside their tests; each runs first the next time."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from actorflow.sim.choices.tape import Tape

UNSAFE: Final = re.compile(r"[^\w.\-]+")
LONGEST: Final = 100  # characters of a test's name in that of a file


class TapeFolder:
    """The tapes of one test."""

    def __init__(self, folder: Path, test: str) -> None:
        """Name the tapes.

        Args:
            folder: where they are; it is made at the first one.
            test: the name of the test.
        """
        self.folder = folder
        self._stem = UNSAFE.sub("_", test)[-LONGEST:]

    def paths(self) -> list[Path]:
        """Return the files that there are, by name."""
        try:
            return sorted(path for path in self.folder.iterdir() if self._is_own(path.name))
        except OSError:  # no folder: nothing failed so far
            return []

    def _is_own(self, name: str) -> bool:
        return re.fullmatch(rf"{re.escape(self._stem)}-[0-9a-f]{{8}}\.json", name) is not None

    def keep(self, tape: Tape, key: str) -> Path:
        """Write a tape; one that failed in the same way before is replaced, at once and as a whole.

        Raises:
            OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self._stem}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.json"
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            beside.write_text(tape.dumps() + "\n", encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        return path
