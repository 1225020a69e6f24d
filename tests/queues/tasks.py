"""What the jobs of the queue tests run."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

import actorflow as af

GATES: dict[str, threading.Event] = {}
SEEN: list[object] = []


@af.task
def double(n: int) -> int:
    return 2 * n


@af.task
def note(what: object) -> object:
    SEEN.append(what)
    return what


@af.task
def fail(text: str) -> None:
    raise ValueError(text)


@af.task
def hold(gate: str) -> str:
    """Say that it has begun, and wait until the gate is opened."""
    GATES[f"{gate} begun"].set()
    GATES[gate].wait(30)
    return gate


def begun(gate: str) -> threading.Event:
    """Close a gate, and return the event that the task sets when it stands before it."""
    GATES[gate] = threading.Event()
    event = GATES[f"{gate} begun"] = threading.Event()
    return event


@af.task
def until_cancelled(gate: str) -> None:
    GATES[f"{gate} begun"].set()
    while not af.current().cancelled:
        time.sleep(0.005)


@af.task
def stubborn(gate: str) -> str:
    GATES[f"{gate} begun"].set()
    GATES[gate].wait(30)
    SEEN.append(gate)
    return "late"


@af.task
async def await_double(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n


@af.task
async def await_long(gate: str) -> None:
    GATES[f"{gate} begun"].set()
    await asyncio.sleep(60)


@af.task(cpu=True)
def cpu_double(n: int) -> tuple[int, int]:
    return 2 * n, os.getpid()


@af.task(cpu=True)
def cpu_progress() -> str:
    af.current().progress(1, 2)
    af.current().progress(2, 2)
    return af.current().key


@af.task(cpu=True)
def cpu_until_cancelled(path: str) -> None:
    Path(path).touch()
    while not af.current().cancelled:
        time.sleep(0.01)
    Path(f"{path}.seen").touch()


@af.task(cpu=True)
def cpu_stubborn(path: str) -> None:
    Path(path).touch()
    time.sleep(60)


@af.task(cpu=True, retry=af.Retry(5, af.Backoff(0)))
def cpu_kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@af.task(cpu=True)
def cpu_eat_memory() -> int:
    return len(bytearray(1 << 32))


def until(condition, seconds: float = 100) -> None:
    """Wait for what no event tells of."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class OutOfStock(Exception):
    """An error with arguments of its own, that a task declares."""

    def __init__(self, item: str, wanted: int) -> None:
        super().__init__(item, wanted)
        self.item = item


class Undeclared(OutOfStock):
    """The same, but no task declares it."""


@af.task(raises=OutOfStock)
def take(item: str, *, declared: bool) -> None:
    raise (OutOfStock if declared else Undeclared)(item, 3)
