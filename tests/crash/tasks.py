"""The tasks of the jobs, and what they are to return."""

import os
import time
from pathlib import Path

import actorflow as af


def point() -> None:
    """Pass a point; a run that may die there has another function here: see `points`."""


def note(path: str | Path, *words: object) -> None:
    """Add a line to a file, in one piece: as the world outside would see it."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, f"{' '.join(map(str, words))}\n".encode())
    os.close(fd)


@af.task(retry=af.Retry(20, af.Backoff(0.01, factor=1)))
def plain(number: int) -> int:
    point()
    return 2 * number


@af.task
def writing(number: int) -> int:
    time.sleep(0.02)
    return 5 * number


@af.task(cpu=True)
def heavy(number: int) -> int:
    return sum(range(200_000)) + number


@af.task
async def waiting(number: int) -> int:
    return 3 * number


EXPECTED = {
    "plain": lambda number: 2 * number,
    "heavy": lambda number: sum(range(200_000)) + number,
    "writing": lambda number: 5 * number,
    "waiting": lambda number: 3 * number,
}


@af.task(retry=af.Retry(3, af.Backoff(0.001)))
def fails_once() -> str:
    if af.current().attempt == 1:
        raise OSError("not yet")
    return "done"


@af.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@af.task
def effect() -> None:
    """Write into the store's own database, together with the result."""
    with af.current().transaction() as connection:
        connection.execute(f"insert into effect values ('{af.current().key}')")
        point()


@af.task
def once(path: str) -> None:
    """Be something that must not happen twice."""
    point()
    note(path, af.current().key)
    point()


@af.task
def scheduled() -> str:
    return "fired"
