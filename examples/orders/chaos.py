"""Chaos: what `--chaos` orders. Actors crash while they work, and some processes are killed with SIGKILL.

The steps that crash their actors are chosen beforehand; the desks hand these orders on, see `cases`. The processes are
killed by an actor, the saboteur.
"""

from __future__ import annotations

import logging
import os
import random
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import actorflow as af

from .atlas import Atlas, Planner
from .life import Chaos, Package
from .log import Step


def choose(steps: Sequence[Step], crashes: int, seed: int) -> list[Step]:
    """Choose the steps at which an actor crashes."""
    if crashes > len(steps):
        raise af.DefinitionError(f"--chaos {crashes}: this log has {len(steps)} steps to crash at")
    return random.Random(seed).sample(steps, crashes)


class Saboteur(af.Actor):
    """Kills the atlas's process and workers of the pool, at even distances while the packages start.

    It hears of the packages by the system's life-cycle events: the shop does not know of it.
    """

    def __init__(self, kills: int, packages: int, planner: Planner) -> None:
        super().__init__()
        self.due = deque(packages * number // (kills + 1) for number in range(1, kills + 1))
        self.atlas = planner.atlas
        self.pool = planner.pool
        self.started = 0
        self.victims: set[int] = set()
        self.killed: Counter[str] = Counter()

    async def on_receive(self, message: Any) -> None:
        """Strike when enough packages have started."""
        if isinstance(message, af.Started) and message.ref.actor_class is Package:
            self.started += 1
            while self.due and self.started > self.due[0]:
                self.due.popleft()
                self.kill("worker", await self.worker())
                self.kill("host", await self.host())

    async def worker(self) -> int:
        """Return the pid of a worker of the pool, of one that works if there is one."""
        while True:
            stats = self.pool.stats()
            pids = [task.worker for task in stats.running] or [worker.pid for worker in stats.workers if worker.pid]
            if pid := next((pid for pid in pids if pid not in self.victims), None):
                return pid
            await af.timer(0.01)  # all are starting

    async def host(self) -> int:
        """Return the pid of the atlas."""
        while True:
            try:
                return await self.atlas.call(Atlas.pid)
            except af.HostDied:  # it is just dying, by the kill before
                continue

    def kill(self, kind: str, pid: int) -> None:
        """Kill one process."""
        os.kill(pid, signal.SIGKILL)
        self.victims.add(pid)
        self.killed[kind] += 1

    async def report(self) -> Counter[str]:
        """Return how many processes of each kind were killed, once the last of them are replaced."""
        while self.pool.stats().restarts < self.killed["worker"] or await self.host() in self.victims:
            await af.timer(0.01)
        return self.killed


@contextmanager
def quiet(crashes: int) -> Iterator[None]:
    """Keep out of the log what the report tells: refusals, and what chaos has ordered. All else is news."""

    def told(part: object) -> bool:
        part = getattr(part, "value", part)  # the reason of a dead letter
        killed = isinstance(part, af.HostDied) and part.signal == signal.SIGKILL
        return isinstance(part, af.TransitionRefused) or (crashes > 0 and (killed or isinstance(part, Chaos)))

    def news(record: logging.LogRecord) -> bool:
        return not any(map(told, (*(record.args or ()), *(record.exc_info or ()))))

    log = logging.getLogger("actorflow")
    log.addFilter(news)
    try:
        yield
    finally:
        log.removeFilter(news)
