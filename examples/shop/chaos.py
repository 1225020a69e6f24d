"""Chaos: services end in the midst of their work, and the whole process is killed with SIGKILL and begins anew."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import actorflow as af

from .rules import OrderFailed, SoldOut
from .services import SERVICES, Restartable

if TYPE_CHECKING:
    from .day import Settings

LONGEST = 0.05  # seconds from a line of a process to its kill


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
    """Have a day pass in a process that is killed so often, and begun anew on its store; return its exit code."""
    chance = random.Random(settings.seed)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "actorflow", "run", "--store", f"sqlite:///{Path(folder, 'shop.db')}", app),
            *("--orders", str(settings.orders), "--seed", str(settings.seed), "--progress", "--restarts"),
        ]
        if settings.log:
            command += ["--log", str(settings.log)]
        for number in range(settings.chaos + 1):
            code = play_once([*command, "1"], chance, spare=number == settings.chaos)
            if code >= 0:
                break
        print(f"Chaos: the process was killed {number} times")
    return code


def play_once(command: list[str], chance: random.Random, *, spare: bool) -> int:
    """Run the shop; kill it after one of its first lines, unless it is spared. Return its exit code."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shop:  # noqa: S603 - our own
        assert shop.stdout is not None
        lines = chance.randrange(3)
        for number, line in enumerate(shop.stdout):
            print(line, end="", flush=True)
            if number == lines and not spare:
                with suppress(subprocess.TimeoutExpired):
                    shop.wait(chance.uniform(0, LONGEST))
                shop.kill()
    return shop.returncode
