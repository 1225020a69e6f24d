"""A process that starts sagas, or goes on with them, until all have ended, or until it is killed.

Its arguments: URL, FILE, how many sagas, and how many lines FILE may have: with these it stands still, as on a busy
machine the kill comes late, and the process would end before it.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from pathlib import Path

import actorflow as af
from tests.crash.tasks import note

NOTES = sys.argv[2] if len(sys.argv) > 2 else ""
TURN = threading.Lock()


def note_in_turn(text: str) -> None:
    """Add a line to the notes, unless there are as many as there may be: then nothing goes on."""
    with TURN:
        while Path(NOTES).exists() and len(Path(NOTES).read_text().splitlines()) >= int(sys.argv[4]):
            time.sleep(0.05)
        note(NOTES, text)


def acted(name: str, fails: bool) -> str:
    """Act, as the world outside sees it; or fail."""
    if fails:
        raise LookupError(name)
    note_in_turn(f"{name} {af.current().key}")
    time.sleep(random.random() * 0.02)
    return af.current().key


@af.task
def first(n: int) -> str:
    """Act."""
    return acted("first", fails=False)


@first.compensate
def undo_first(key: str, step: af.Step) -> None:
    """Undo."""
    note_in_turn(f"undo {step.key}")


@af.task
def second(n: int, fails: bool) -> str:
    """Act, or fail."""
    return acted("second", fails=fails)


@second.compensate(retry=af.Retry(9, af.Backoff(0.01)))
def undo_second(step: af.Step) -> None:
    """Undo, not always at once."""
    if random.random() < 0.3:
        raise OSError("not yet")
    note_in_turn(f"undo {step.key}")


@af.saga(name="crash.killed_saga")
def killed(n: int) -> str:
    """A step, a pair of which one may fail, the pivot, a step."""
    one = first(n)
    af.gather(second.submit(n, n % 3 == 0), first.submit(n + 1), second.submit(n + 1, n % 3 == 1)).get()
    af.pivot()
    return one + first(n + 2)


def main() -> None:
    """Have all sagas end."""
    with af.ActorSystem("sagas", store=sys.argv[1], durability="process") as system:
        runs = [system.start(killed.options(id=f"saga-{n}"), n) for n in range(int(sys.argv[3]))]
        for run in runs:
            while run.status not in {"completed", "compensated"}:
                time.sleep(0.02)


if __name__ == "__main__":
    main()
