"""A daemon for a cpu task in which something dies at one stage.

FOLDER/plan has who dies and when: worker, zygote or daemon; spawn, begin or effect. Whoever comes there first does it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil

import actorflow as af
from actorflow.process.pool.dispatcher import Dispatch
from tests.crash.tasks import note

QUEUE = "staged"


@af.task(cpu=True)
def work(folder: str) -> int:
    """Have an effect that the world outside sees."""
    strike(folder, "begin", os.getpid())
    note(Path(folder, "effects"), "done")
    strike(folder, "effect", os.getpid())
    return 7


def strike(folder: str, stage: str, worker: int) -> None:
    """Kill, if it is the time, and nobody has."""
    victim, when = Path(folder, "plan").read_text().split()
    daemon = int(Path(folder, "pid").read_text())
    if when != stage or Path(folder, "struck").exists():
        return
    Path(folder, "struck").touch()
    zygotes = [child.pid for child in psutil.Process(daemon).children()]
    for pid in {"worker": [worker], "zygote": zygotes, "daemon": [daemon]}[victim]:
        os.kill(pid, signal.SIGKILL)
    if os.getpid() != daemon:
        time.sleep(30)  # it dies with who started it


def main(url: str, folder: str) -> None:
    """Work until a signal comes."""
    Path(folder, "pid").write_text(str(os.getpid()))
    launch = Dispatch.launch

    def watched(self: Dispatch, descriptors: Any) -> Any:
        handle = launch(self, descriptors)
        strike(folder, "spawn", handle.pid)
        return handle

    Dispatch.launch = watched  # type: ignore[method-assign]
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with af.ActorSystem("staged", store=url, durability="process") as system:
        system.pool("cpu", workers=1)
        system.queue(QUEUE, workers=1)
        while not over.wait(0.1):  # a signal that comes just before a wait does not interrupt it
            pass
