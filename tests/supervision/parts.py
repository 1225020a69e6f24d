"""Actors that log their life, and recipes for them: what the tests of supervision are made of."""

from __future__ import annotations

import actorflow as af

PATIENCE = 20.0  # seconds that a test waits for an answer before it fails


class Worker(af.Actor):
    """Logs its starts and ends, and ends in every way there is."""

    def __init__(self, log: list[str], name: str) -> None:
        super().__init__()
        self.log = log
        self.name = name

    def on_start(self) -> None:
        self.log.append(f"start {self.name}")

    def on_stop(self) -> None:
        self.log.append(f"stop {self.name}")

    def on_failure(self, kind, error, trace) -> None:
        self.log.append(f"fail {self.name}")

    def ping(self) -> int:
        """Answer with the number of this incarnation."""
        return self.log.count(f"start {self.name}")

    def crash(self, kind: type[BaseException] = ValueError) -> None:
        raise kind(self.name)

    def end(self) -> None:
        self.stop()

    def note(self, what: str) -> None:
        self.log.append(what)

    def hold(self, gate: af.Future) -> None:
        """Be busy until the test sets the gate."""
        gate.get()

    def sleep(self, seconds: float) -> str:
        self.ctx.sleep(seconds)
        return "slept"


class Failing(Worker):
    """Its starts of the numbers in `bad` fail; 1 is the first."""

    def __init__(self, log: list[str], name: str, *bad: int) -> None:
        super().__init__(log, name)
        self.bad = bad

    def on_start(self) -> None:
        super().on_start()
        if self.ping() in self.bad:
            raise OSError(f"start {self.ping()} of {self.name}")


def kid(log: list[str], name: str, cls: type[af.Actor] = Worker, *args, **options):
    """Describe a child that logs under its name."""
    return af.child(cls, log, name, *args).options(name=name, **options)


def tree(*children, name: str = "sup", **rules):
    """Describe a supervisor."""
    return af.child(af.Supervisor, *children, **rules).options(name=name)


def find(system, path: str):
    """Return the living actor at a path below the system."""
    ref = system.find(f"/{system.name}/{path}")
    assert ref is not None, f"no {path} in\n{system.tree()}"
    return ref


def ping(ref) -> int:
    """Return which incarnation answers; waits for a restart that is under way."""
    return ref.call(Worker.ping).get(timeout=PATIENCE)


def crash(ref, kind: type[BaseException] = ValueError) -> int:
    """Crash an actor that is restarted, and return which incarnation answers next."""
    ref.cast(Worker.crash, kind)
    return ping(ref)


def ended(ref, within: float = PATIENCE) -> None:
    """Wait until the actor is dead."""
    assert ref.actor_stopped.wait(within), f"{ref} lives"
