"""Trail: the steps of a run as numbers, and their digest."""

from __future__ import annotations

import hashlib
from array import array


class Trail:
    """Notes the steps of a run; folded now and then, as long runs take millions.

    A number is noted in 30 ns; to hash each step as it is taken took 150.

    Attributes:
        steps: those since the last fold: the number of an actor, or the hash of a time that the clock jumped to.
    """

    def __init__(self, picks: list[int]) -> None:
        """Begin a trail.

        Args:
            picks: positions in the run queue that the schedule has chosen; the chooser adds to them.
        """
        self.steps: list[int] = []
        self._picks = picks
        self._folded = 0  # of the picks
        self._hash = hashlib.blake2b(digest_size=7)
        self._hash_of_picks = hashlib.blake2b(digest_size=7)

    def fold(self) -> None:
        """Hash the steps since the last time."""
        self._hash.update(array("q", self.steps))
        self.steps.clear()
        self._hash_of_picks.update(array("q", self._picks[self._folded :]))
        self._folded = len(self._picks)

    def digest(self) -> int:
        """Return a number that is that of these steps, and of hardly any others."""
        self.fold()
        return int.from_bytes(self._hash.digest()) ^ int.from_bytes(self._hash_of_picks.digest())
