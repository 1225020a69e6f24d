"""Tasks of the tests of DAGs: they note when they run, wait for each other, fail."""

from __future__ import annotations

import threading

import actorflow as af

ran: list[str] = []
gate = threading.Event()
begun = threading.Semaphore(0)


@af.task
def note(name: str) -> str:
    ran.append(name)
    return name


@af.task
def one() -> int:
    return 1


@af.task
def nothing() -> None:
    return None


@af.task
def add(a: int, b: int) -> int:
    return a + b


@af.task
def double(n: int) -> int:
    return 2 * n


@af.task
def fail(text: str) -> int:
    raise ValueError(text)


@af.task
def numbers(count: int) -> list[int]:
    return list(range(count))


@af.task
async def later(seconds: float, value: int) -> int:
    import asyncio

    await asyncio.sleep(seconds)
    return value


@af.task(cpu=True)
def square(n: int) -> int:
    return n * n


@af.task
def wait_for_gate() -> str:
    begun.release()
    assert gate.wait(200)
    return "open"


@af.task
def key() -> str:
    return af.current().key
