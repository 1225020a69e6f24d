"""The tasks of the jobs, and what they are to return."""

import time

import actorflow as af


@af.task(retry=af.Retry(20, af.Backoff(0.01, factor=1)))
def plain(number: int) -> int:
    return 2 * number


@af.task
def writing(number: int) -> int:
    time.sleep(0.005)
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
