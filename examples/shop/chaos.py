"""Chaos: services end in the midst of their work, and whole processes are killed with SIGKILL and begin anew."""

from __future__ import annotations

import logging
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import actorflow as af

from .rules import OrderFailed, SoldOut
from .services import SERVICES, Restartable

if TYPE_CHECKING:
    from .day import Settings

LONGEST = 0.3  # seconds from a line of a process to a kill


@contextmanager
def quiet() -> Iterator[None]:
    """Keep orders that fail out of the log: they belong to a day."""

    def told(part: object) -> bool:
        part = getattr(part, "value", part)  # the reason of a dead letter
        return isinstance(part, OrderFailed) or SoldOut.__name__ in str(part)

    def news(record: logging.LogRecord) -> bool:
        return not any(map(told, (*(record.args or ()), *(record.exc_info or ()))))

    log = logging.getLogger("actorflow")
    log.addFilter(news)
    try:
        yield
    finally:
        log.removeFilter(news)


def end_one(system: af.ActorSystem, chance: random.Random) -> None:
    """End one of the services; its supervisor restarts it, on its stored state."""
    name = chance.choice(sorted(SERVICES))
    system.durable(name, SERVICES[name]).call(Restartable.begin_anew).get()


def play_with_kills(app: str, settings: Settings) -> int:
    """Have a day pass in processes on one store that are killed so often, and begun anew; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        store = settings.chaos_store or f"sqlite:///{Path(folder, 'shop.db')}"
        command = [
            *(sys.executable, "-m", "actorflow", "run", "--store", store, app, "--progress", "--restarts", "1"),
            *("--orders", str(settings.orders), "--seed", str(settings.seed)),
        ]
        if settings.log:
            command += ["--log", str(settings.log)]
        nodes = Nodes(command, settings.nodes, random.Random(settings.seed))
        try:
            return nodes.play(settings.chaos)
        finally:
            nodes.end()


class Nodes:
    """The processes that have a day pass on one store."""

    def __init__(self, command: list[str], count: int, chance: random.Random) -> None:
        self.command = command
        self.chance = chance
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # that any of them prints; None: one has ended
        self.running = [self.start() for _ in range(count)]

    def start(self) -> subprocess.Popen[str]:
        """Start one."""
        node = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
        threading.Thread(target=self.listen, args=[node], daemon=True).start()
        return node

    def listen(self, node: subprocess.Popen[str]) -> None:
        """Pass the lines of one on until its end."""
        assert node.stdout is not None
        for line in node.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def play(self, kills: int) -> int:
        """Kill one of them after some lines, so often, unless one comes to its end before; return the exit code."""
        killed = 0
        while killed < kills and self.show(self.chance.randrange(1, 4)):
            time.sleep(self.chance.uniform(0, LONGEST))
            node = self.running.pop(self.chance.randrange(len(self.running)))
            node.kill()
            node.wait()
            self.show_rest()
            killed += 1
            self.running.append(self.start())
        for node in self.running:
            node.wait()
            self.show_rest()
        print(f"Chaos: processes were killed {killed} times")
        return max(abs(node.returncode) for node in self.running)

    def show(self, count: int) -> bool:
        """Print the next lines; say whether nobody has come to an end."""
        for _ in range(count):
            line = self.lines.get()
            if line is None:
                self.lines.put(None)
                return False
            print(line, end="", flush=True)
        return True

    def show_rest(self) -> None:
        """Print what is there up to the end of one."""
        while (line := self.lines.get()) is not None:
            print(line, end="", flush=True)

    def end(self) -> None:
        """End those that are left."""
        for node in self.running:
            node.kill()
            node.communicate()
