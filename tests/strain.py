"""Strain: a plugin that has things come late, as on a busy machine; `pytest --strain SEED`, or ACTORFLOW_STRAIN=SEED.

A test may not rely on how soon another thread or process does its part. Here each part is late now and then, for a
time that is drawn from the seed and the test's name: commits, handlers, new threads, listeners, frames, timers,
restarts; from Python 3.12 on also any function of the package, and any line of the test itself, of its actors, tasks
and programs; in child processes, too.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actorflow.core.drivers.virtual import VirtualScheduler
from actorflow.store.group_commit import Commits

# Where, how often, and for how many seconds at most; before the call, or after it.
LATE = [
    ("actorflow.store.group_commit", "Commits._commit_writer", 0.05, 0.05, "before"),
    ("actorflow.store.group_commit", "Commits._commit_writer", 0.05, 0.05, "after"),
    ("actorflow.store.watchers", "Watchers.notify", 0.3, 0.2, "before"),
    ("actorflow.core.drivers.live", "LiveScheduler.next_ready", 0.02, 0.03, "before"),
    ("actorflow.core.running.scheduler", "Scheduler.sort", 0.02, 0.03, "before"),
    ("actorflow.core.drivers.baton", "Baton.rest_idle", 0.05, 0.03, "after"),
    ("actorflow.core.drivers.baton", "Baton.wake", 0.02, 0.02, "before"),
    ("actorflow.core.drivers.preemption", "Preemption._fire", 0.3, 0.1, "before"),
    ("actorflow.supervision.restarts", "SupervisedChildren.child_ended", 0.3, 0.05, "before"),
    ("actorflow.queues.node.announcer", "Announcer.announce", 0.1, 0.05, "before"),
    ("actorflow.queues.node.announcer", "Announcer.tell", 0.1, 0.05, "before"),
    ("actorflow.queues.node.announcer", "Waits.announce", 0.1, 0.05, "before"),
    ("actorflow.process.wire", "Connection.peek", 0.02, 0.03, "before"),
    ("actorflow.process.launch.launcher", "Launcher.launch", 0.3, 0.1, "before"),
    ("actorflow.process.launch.fork_server", "ForkServer._hear", 0.3, 0.1, "before"),
]
THREAD = 0.2, 0.05  # before a new thread's function is called
COMMIT = 0.2, 0.15  # before another thread commits the work that waits
FACTORS = 0.3, 1.0, 4.0  # of the chances; each test draws one

draw = random.Random()
virtual: weakref.WeakSet[VirtualScheduler] = weakref.WeakSet()


def is_virtual() -> bool:
    """Say whether time is virtual somewhere: it passes no faster for a delay, and its threads know no others."""
    return any(not getattr(scheduler, "closed", False) for scheduler in list(virtual))  # one may be half made


class Severity:
    """How often things are late in this test."""

    factor = 1.0
    anywhere: Callable[[str, float], None] = staticmethod(lambda _seed, _factor: None)


def pause(chance: float, seconds: float) -> None:
    """Sleep now and then."""
    if draw.random() < chance * Severity.factor and not is_virtual():
        time.sleep(draw.random() * seconds)


def strained(function: Callable[..., Any], chance: float, seconds: float, when: str) -> Callable[..., Any]:
    """Return a method that is late now and then."""

    @functools.wraps(function)
    def before(*args: Any, **kwargs: Any) -> Any:
        pause(chance, seconds)
        return function(*args, **kwargs)

    @functools.wraps(function)
    def after(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        pause(chance, seconds)
        return result

    return before if when == "before" else after


def strain_methods() -> None:
    """Have the methods of the table be late from now on."""
    for module, path, chance, seconds, when in LATE:
        owner_name, name = path.split(".")
        owner = getattr(importlib.import_module(module), owner_name)
        setattr(owner, name, strained(getattr(owner, name), chance, seconds, when))


def strain_threads() -> None:
    """Have the functions of new threads be called late from now on."""
    start = threading.Thread.start

    def start_late(self: threading.Thread) -> None:
        run = self.run

        def run_late() -> None:
            del self.run  # the class has it again
            pause(*THREAD)
            run()

        self.run = run_late
        start(self)

    threading.Thread.start = start_late


def strain_commits() -> None:
    """Have waiting work be committed by another thread, late, as if that had had the store just then."""
    lead = Commits._lead

    def lead_late(self: Commits) -> None:
        if self._waiting and not is_virtual() and draw.random() < COMMIT[0] * Severity.factor:
            threading.Thread(target=lead_later, args=(self,), name="actorflow-commit").start()
        else:
            lead(self)

    def lead_later(self: Commits) -> None:
        time.sleep(draw.random() * COMMIT[1])
        lead(self)

    Commits._lead = lead_late


def act_for_callers() -> None:
    """Have a simulation take the threads that are started here for its own: they are, but for being late.

    Delays of functions and lines are no code of the user's: they take real time.
    """
    from actorflow.sim.patches import place

    place._kinds[__file__] = place.LIBRARY_CODE
    place._kinds[str(Path(__file__).parent / "strained" / "sitecustomize.py")] = place.OWN


def note_virtual_time() -> None:
    """Keep the schedulers of virtual time."""
    make = VirtualScheduler.__init__

    def make_and_note(self: VirtualScheduler, *args: Any, **kwargs: Any) -> None:
        virtual.add(self)
        make(self, *args, **kwargs)

    VirtualScheduler.__init__ = make_and_note


def strain_anywhere(seed: str) -> None:
    """Have functions of the package and lines of tests be late, here and in all programs that are started from here."""
    if sys.version_info < (3, 12):
        return
    folder = Path(__file__).parent / "strained"
    anywhere = sys.modules.get("sitecustomize")
    if not hasattr(anywhere, "strain_anywhere"):  # a worker of pytest-xdist has begun with it
        os.environ["ACTORFLOW_STRAIN"] = seed
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        spec = importlib.util.spec_from_file_location("sitecustomize", folder / "sitecustomize.py")
        anywhere = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(anywhere)
    anywhere.is_exempt[0] = is_virtual
    Severity.anywhere = staticmethod(anywhere.begin_test)


class Strain:
    """The plugin: it draws the delays of each test anew, so that one that failed is run again with much the same."""

    def __init__(self, seed: str) -> None:
        self.seed = seed

    def pytest_report_header(self) -> str:
        return f"strain: --strain {self.seed}"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        seed = f"{self.seed} {item.nodeid}"
        draw.seed(seed)
        Severity.factor = draw.choice(FACTORS)
        Severity.anywhere(seed, Severity.factor)
        before = sys.getswitchinterval()
        sys.setswitchinterval(10 ** draw.uniform(-6, -1.3))  # 1 us to 50 ms
        try:
            return (yield)
        finally:
            sys.setswitchinterval(before)


def install(config: pytest.Config, seed: str) -> None:
    """Strain all tests of this run."""
    note_virtual_time()
    strain_methods()
    strain_threads()
    strain_commits()
    strain_anywhere(seed)
    act_for_callers()
    config.pluginmanager.register(Strain(seed), "strain")
