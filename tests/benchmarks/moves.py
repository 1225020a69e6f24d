"""Counts moves between files: `python -m tests.benchmarks.moves [--walk]`.

A reader who follows one job, or one call of a durable actor, goes from file to file. A move is a call of a function in
another file than the call before it, in any thread, once all is warm. By `--walk` the calls are printed.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import actorflow as af

PACKAGE = str(Path(af.__file__).parent)
SETTLED = 0.3  # seconds in which nothing is called any more, but what is regular


@af.task(name="moves.double")
def double(n: int) -> int:
    return 2 * n


@dataclass
class Count:
    n: int = 0


class Counter(af.Actor):
    def __init__(self) -> None:
        super().__init__()
        self.state = Count()

    def add(self, n: int) -> int:
        self.state.n += n
        return self.state.n


class Calls:
    """The functions of the package that were called, in order; of all threads that began after it was made."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, str]] | None = None
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _arg: object) -> None:
        if event == "call" and self.made is not None:
            code = frame.f_code
            if code.co_filename.startswith(PACKAGE):
                file = code.co_filename[len(PACKAGE) + 1 :]
                self.made.append((file, code.co_qualname, threading.current_thread().name))

    def of(self, action: Callable[[], object]) -> list[tuple[str, str, str]]:
        """Run an action, and return the calls until its effects have settled."""
        self.made = made = []
        action()
        time.sleep(SETTLED)
        self.made = None
        return made


def moves(calls: list[tuple[str, str, str]], *packages: str) -> int:
    """Count moves between files of packages; of all, if none is named."""
    files = [file for file, *_ in calls if not packages or file.split("/")[0] in packages]
    return sum(one != other for one, other in itertools.pairwise(files))


def main() -> None:
    walk = "--walk" in sys.argv
    calls = Calls()
    with af.ActorSystem("moves", store="memory:") as system:
        jobs = system.queue("q", workers=1)
        counter = system.spawn(af.child(Counter).options(name="counter", durable=True))
        actions: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
            "one job": (lambda: jobs.enqueue(double, 1).result(timeout=20), ("queue", "queues", "workflow", "tasks")),
            "one durable call": (lambda: counter.call(Counter.add, 1).get(timeout=20), ("durable",)),
        }
        for name, (action, packages) in actions.items():
            for _ in range(20):
                action()
            time.sleep(SETTLED)
            least = min((calls.of(action) for _ in range(9)), key=len)
            print(f"{name}: {moves(least)} moves between files, {moves(least, *packages)} of them in its packages")
            if walk:
                print(*(f"    {thread:24} {file:44} {function}" for file, function, thread in least), sep="\n")


if __name__ == "__main__":
    main()
