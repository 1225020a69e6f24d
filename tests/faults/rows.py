"""The 17 rows: how each fault is brought about."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import tasks
from .stage import Stage
from .tasks import PATIENCE


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        name: for the command line and the tests' ids.
        title: for the table.
        play: brings the fault about and tells what is seen.
        kind: what its cell shows: what tasks came to ("tasks"), what was left of a dead script ("orphans"),
            or how long the script took to end ("end").
    """

    name: str
    title: str
    play: Callable[[Stage], None]
    kind: str = "tasks"


def _kill(stage):
    faulty = stage.play(tasks.fault, stage.folder, "hang")
    os.kill(stage.started("F"), signal.SIGKILL)
    stage.finish(faulty)


def _faulty(kind, **limits):
    """The fault happens in the task itself, at its cue."""

    def play(stage):
        faulty = stage.play(tasks.fault, stage.folder, kind, **limits)
        stage.go("F")
        stage.finish(faulty)

    return play


def _timeout(stage):
    faulty = stage.play(tasks.fault, stage.folder, "hang", timeout=1.0)
    stage.go("F")
    stage.finish(faulty)


def _idle_death(stage):
    for process in stage.warm_up() or []:
        time.sleep(0.2)  # until it is idle: nothing tells
        with contextlib.suppress(ProcessLookupError):  # a pool that ends them all when one dies
            os.kill(process, signal.SIGKILL)
    time.sleep(0.2)  # until the pool may have seen it: nothing tells
    stage.queue_up()
    stage.pool.start()
    stage.finish(None)


def _busy(stage, function=tasks.spin_in_c):
    for name in ("F", "R"):
        stage.submit(function, stage.folder, name)
    stage.queue_up()
    stage.pool.start()
    stage.started("F")
    stage.started("R")


def _parent_killed_busy(stage):
    _busy(stage)
    stage.doom(signal.SIGKILL)


def _parent_killed_idle(stage):
    stage.warm_up()
    time.sleep(0.2)  # until the workers are idle: nothing tells
    stage.doom(signal.SIGKILL)


def _parent_terminated(stage):
    _busy(stage, tasks.held)
    stage.doom(signal.SIGTERM)


def _interrupt(stage):
    """Press Ctrl-C while the script waits for a result inside its `with` block."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    running = [stage.pool.submit(tasks.late, stage.folder, name, 1.0) for name in ("F", "R")]
    stage.pool.start()
    stage.started("F")
    stage.started("R")

    def press():
        time.sleep(0.1)  # until the script waits: nothing tells
        stage.tell(at=time.time(), processes=stage.processes())
        os.killpg(os.getpgrp(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    try:
        stage.pool.result(running[0], PATIENCE)
    finally:
        stage.pool.close()


def _nested(stage):
    faulty = stage.play(tasks.pool_in_a_task, stage.folder, stage.peer)
    stage.finish(faulty)


def _cancel(stage):
    """The slot is free if the queued tasks are served while the other worker still works."""
    faulty = stage.play(tasks.held, stage.folder, "F")
    cancelled = stage.attempt(lambda: stage.pool.cancel(faulty))
    if cancelled.get("type") == "NoApi":
        stage.no_api()
    stage.tell(cancelled=cancelled)
    stage.tell(slot=[stage.outcome(one, PATIENCE / 3) for one in stage.queued])
    if not cancelled.get("value"):
        stage.go("F")
    stage.finish(faulty)


def _locked(stage):
    """`main` has made a thread hold the lock before the pool was made."""
    faulty = stage.play(tasks.take_the_lock, stage.folder)
    stage.finish(faulty)


def _never_closed(stage):
    handle = stage.pool.submit(tasks.quick, 7)
    stage.pool.start()
    stage.tell(next=stage.outcome(handle))
    stage.pool.submit(tasks.late, stage.folder, "R", 0.3)
    stage.pool.start()
    stage.started("R")
    stage.tell(processes=stage.processes(), at=time.time())


ROWS = [
    Row("kill-9", "kill -9 mid task", _kill),
    Row("exit", "os._exit in task", _faulty("exit")),
    Row("segfault", "segfault", _faulty("segfault")),
    Row("timeout", "hang + per-task timeout", _timeout),
    Row("memory", "memory past a limit", _faulty("grow", memory="200M")),
    Row("unpicklable-result", "unpicklable result", _faulty("unsendable result")),
    Row("unpicklable-exception", "unpicklable exception", _faulty("unsendable exception")),
    Row("two-argument-exception", "exception, 2-arg `__init__`", _faulty("two arguments")),
    Row("idle-death", "worker dies while idle", _idle_death),
    Row("parent-killed-busy", "parent kill -9, busy workers", _parent_killed_busy, "orphans"),
    Row("parent-killed-idle", "parent kill -9, idle", _parent_killed_idle, "orphans"),
    Row("parent-terminated", "SIGTERM to parent, busy", _parent_terminated, "orphans"),
    Row("ctrl-c", "Ctrl-C (group)", _interrupt, "end"),
    Row("nested", "nested submit (pool inside a task)", _nested),
    Row("cancel", "cancel a running task", _cancel),
    Row("fork-with-lock", "fork while a thread holds a lock", _locked),
    Row("never-closed", "script ends without close", _never_closed, "end"),
]
BY_NAME = {row.name: row for row in ROWS}
