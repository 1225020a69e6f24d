"""A queue on a disk that gets full, and has room again: python -m tests.queues.full_disk FOLDER main|note."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import sys
import threading
from pathlib import Path

import actorflow as af
from actorflow.store.sqlite.work_notes import WorkNotes, read_notes
from tests.queues import tasks

BIG = "x" * 200_000


@af.task(name="tests.full_disk.big")
def big(gate: str) -> str:
    tasks.hold.function(gate)
    return BIG


def fill(folder: Path) -> Path:
    """Use up what room there is; return the file that has it."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return path


def refused(queue: af.Queue, text: str) -> str:
    """Enqueue, and return the error; a few small ones may find room in what the log has already."""
    for _ in range(1000):
        try:
            accepted.append(queue.enqueue(tasks.note, text))
        except af.StoreError as error:
            return str(error)
    raise AssertionError("the disk is full, and nothing says so")


accepted: list[af.Job] = []


def ids(path: Path) -> tuple[set[str], str]:
    """Return which jobs are there, and whether the file is whole, seen past actorflow."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = {str(id_) for (id_,) in connection.execute("select id from af_job")}
        return found, connection.execute("pragma integrity_check").fetchone()[0]


def begin_nothing(folder: Path) -> None:
    """No other process can begin to work here, and it says why."""
    errors = []
    names = "jobs.db", "new.db"
    for name in names:
        try:
            with af.ActorSystem("new", store=f"sqlite:///{folder / name}") as system:
                system.queue("q", workers=1)
        except af.StoreError as error:
            errors.append(str(error))
    assert all(name in error and "make room" in error for name, error in zip(names, errors, strict=True)), errors
    assert len(list(folder.glob("*-af-nodes/*"))) == 2, "the lock and the notes of this process, and no others"


FAILED = threading.Event()


class Failure(logging.Handler):
    """Sees that what became of a job could not be written."""

    def emit(self, record: logging.LogRecord) -> None:
        if "the store failed, tried again in a second" in record.getMessage():
            FAILED.set()


def main(folder: Path) -> None:
    path = folder / "jobs.db"
    logging.getLogger("actorflow").addHandler(Failure())
    with af.ActorSystem("full", store=f"sqlite:///{path}") as system:
        queue = system.queue("q", workers=2)
        accepted.append(queue.enqueue(tasks.double, 1))
        assert accepted[0].result(timeout=30) == 2
        begun = tasks.begun("gate")
        held = queue.enqueue(big, "gate")
        assert begun.wait(20)

        filler = fill(folder)
        errors = refused(queue, BIG), refused(queue, "small")
        assert all("jobs.db" in error and "make room" in error for error in errors), errors
        begin_nothing(folder)
        tasks.GATES["gate"].set()  # its result finds no room, and is kept
        assert FAILED.wait(20)
        known, whole = ids(path)
        assert known == {job.id for job in [held, *accepted]}, known
        assert whole == "ok"

        filler.unlink()
        accepted.append(queue.enqueue(tasks.note, BIG))
        assert held.result(timeout=30) == BIG
        assert held.info().attempt == 1
        for job in accepted:
            job.result(timeout=30)
    print("fine")


def note(folder: Path) -> None:
    """Begin the first work only when the disk is full."""
    notes = WorkNotes(str(folder / "notes"))
    fill(folder)
    for number in range(1, 10_000):
        notes.add(number)
    assert read_notes(str(folder / "notes")) == set(range(1, 10_000))
    notes.close()
    fill(folder)
    try:
        WorkNotes(str(folder / "more"))
    except OSError:
        print("fine")


if __name__ == "__main__":
    {"main": main, "note": note}[sys.argv[2]](Path(sys.argv[1]))
