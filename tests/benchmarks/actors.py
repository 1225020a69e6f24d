"""The actors of `hosts` and `deaths`, which run in child processes: those find them here by name."""

from typing import Any

import actorflow as af

from .tasks import COUNT, TAKE, burn


class Collector(af.Actor):
    """Collects bytes, in order; echoes all else."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []

    def on_receive(self, message: Any) -> Any:
        if message.__class__ is bytes:
            self.seen.append(message)
            return None
        if message == COUNT:
            return len(self.seen)
        if message == TAKE:
            seen, self.seen = self.seen, []
            return b"".join(seen)
        return message


class Worker(af.Actor):
    """Does as it is told: ("same", x), ("busy", rounds), ("in C", n)."""

    def on_receive(self, message: tuple[str, int]) -> int:
        order, n = message
        return n if order == "same" else burn(n) if order == "busy" else sum(range(n))
