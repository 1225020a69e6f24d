"""A short run that dies at its nth store call, and what the reopened file must say. Run as a script; forks each run.

python -m tests.durable.crashing FOLDER FIRST LAST [SAFEGUARD]: one line of JSON for each n. With "hosted" in place of a
safeguard the actors are in child processes, of which none may outlive the parent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import actorflow as af
import actorflow.durable.opening
from actorflow.durable.handling.after_commit import StoredUnit
from actorflow.durable.handling.unit_of_work import UnitOfWork
from actorflow.store.commit_batch import CommitBatch
from actorflow.store.sqlite import connection

N = 4


@af.task(name="crashing.do_later")
def do_later(message: int) -> int:
    return message


@dataclasses.dataclass
class Seen:
    seen: list[int] = dataclasses.field(default_factory=list)
    fired: list[int] = dataclasses.field(default_factory=list)


class Sink(af.Actor, durable=True):
    def __init__(self) -> None:
        super().__init__()
        self.state = Seen()

    def on_receive(self, message: int) -> None:
        self.state.seen.append(message)

    def all(self) -> tuple[list[int], list[int]]:
        return self.state.seen, self.state.fired


class Source(Sink):
    def __init__(self, sink: Any, witness: Any, jobs: Any = None) -> None:
        super().__init__()
        self.sink, self.witness, self.jobs = sink, witness, jobs

    def on_receive(self, message: int) -> None:
        self.state.seen.append(message)
        self.sink.tell(message)
        self.witness.tell(message)
        if self.jobs is not None:  # a child process has none
            self.jobs.enqueue(do_later, message)
        self.ctx.after(0, self.fire, message)

    def fire(self, message: int) -> None:
        self.state.fired.append(message)


class Witness(af.Actor):
    """Writes what it is told to a file at once, as the world outside would see it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_receive(self, message: int) -> None:
        note(self.path, message)


def note(path: Path, message: int) -> None:
    with path.open("a") as file:
        file.write(f"{message}\n")


def noted(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


class Counter:
    """Counts store calls, and kills the process at the nth."""

    def __init__(self, die_at: int) -> None:
        self.calls = 0
        self.die_at = die_at

    def count(self) -> None:
        self.calls += 1
        if self.calls == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)


def count_calls(counter: Counter) -> None:
    """Have each call count: before it, and a commit also after it."""
    for cls, names in (
        (connection.SqliteTransaction, ("all", "run", "many")),
        (connection.SqliteWriter, ("begin", "commit")),
    ):
        for name in names:
            original = getattr(cls, name)

            def counted(*args: Any, original: Any = original, name: str = name) -> Any:
                counter.count()
                value = original(*args)
                if name == "commit":
                    counter.count()
                return value

            setattr(cls, name, counted)


def switch_off(safeguard: str) -> None:
    """Take one of the safeguards away."""
    sql = connection.STATEMENTS
    if safeguard == "hosted":
        HOSTS["host"] = af.Process(name="shared")
    elif safeguard == "inbox mark":
        sql["test.done"], sql["actors.done"] = sql["actors.done"], "update af_mail set attempt = attempt where id = :id"
        sql["actors.done_all"] = "update af_mail set attempt = attempt where id in (select value from json_each(:ids))"
        settle = CommitBatch.settle

        def settle_then_mark(self: CommitBatch, units: list[StoredUnit], errors: list[Exception | None]) -> None:
            done = [{"id": unit.effects.entry.id} for unit in units if unit.effects.entry is not None]
            settle(self, units, errors)
            self.do(lambda: self.store.write(lambda tx: tx.many("test.done", done)) and None)

        CommitBatch.settle = settle_then_mark  # type: ignore[method-assign]
    elif safeguard == "de-duplication":
        sql["actors.mark"] = "insert into af_mark (receiver, id, at) values (:receiver, :id || random(), :at)"
    elif safeguard == "jobs in the commit":
        StoredUnit.commits_to = lambda self, store: False  # type: ignore[method-assign]
    elif safeguard == "send after commit":

        def hold(self: UnitOfWork, ref: Any, message: Any, future: Any) -> None:
            if self.box.runtime.keeps(ref):
                original(self, ref, message, future)
            else:
                ref._arrive(message, future, None)

        original = UnitOfWork.hold
        UnitOfWork.hold = hold  # type: ignore[method-assign]


HOSTS: dict[str, Any] = {}  # options of the two actors


def spawn(system: af.ActorSystem, folder: Path) -> tuple[Any, Any]:
    sink = system.spawn(af.child(Sink).options(name="sink", **HOSTS))
    witness = system.spawn(Witness, folder / "world")
    jobs = None if HOSTS else system.queue("jobs")
    return system.spawn(af.child(Source, sink, witness, jobs).options(name="source", **HOSTS)), sink


def send(system: af.ActorSystem, source: Any, folder: Path) -> None:
    """Send what is not known to be there; who is not sure sends it again, by the same id."""
    for number in range(N):
        if number not in noted(folder / "acknowledged"):
            system.deliver(source, number, id=f"id-{number}")
            note(folder / "acknowledged", number)


def settled(source: Any, sink: Any, system: af.ActorSystem) -> tuple[Any, Any]:
    """Wait until nothing is left to be done."""
    end = time.monotonic() + 100
    while time.monotonic() < end:
        left = system.store.read(lambda tx: (tx.one("actors.newest"), tx.all("actors.timers", {"actor": "source"})))
        if left[0][0] is None and not left[1]:
            break
        time.sleep(0.01)
    return source.call(Source.all).get(timeout=100), sink.call(Sink.all).get(timeout=100)


def live(folder: Path, die_at: int) -> int:
    """Run, and die at the nth call; returns the count of calls if it lives."""
    counter = Counter(die_at)
    count_calls(counter)
    with af.ActorSystem("crash", store=f"sqlite:///{folder / 'a.db'}", durability="process") as system:
        source, sink = spawn(system, folder)
        send(system, source, folder)
        settled(source, sink, system)
    return counter.calls


def problems(folder: Path) -> list[str]:
    """Start again, let everything come to rest, and say what is wrong."""
    found = []
    with af.ActorSystem("crash", store=f"sqlite:///{folder / 'a.db'}", durability="process") as system:
        source, sink = spawn(system, folder)
        send(system, source, folder)
        (seen, fired), (sunk, _) = settled(source, sink, system)
    world = noted(folder / "world")
    if sorted(seen) != list(range(N)):
        found.append(f"source has {seen}")
    if seen != sunk:
        found.append(f"source has {seen}, but sink {sunk}")
    if sorted(fired) != sorted(seen):
        found.append(f"source has {seen}, but timers fired for {fired}")
    if not HOSTS and sorted(jobs := enqueued(folder)) != sorted(seen):
        found.append(f"source has {seen}, but jobs are there for {jobs}")
    if len(set(world)) != len(world):
        found.append(f"the world saw {world}")
    return found


def enqueued(folder: Path) -> list[int]:
    """Return the messages for which there are jobs."""
    with contextlib.closing(sqlite3.connect(folder / "a.db")) as connection:
        return [json.loads(args)[0][0] for (args,) in connection.execute("select args from af_job")]


class Deadly(Sink):
    """Dies on some messages, and tells the world before."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_receive(self, message: int) -> None:
        note(self.folder / "tried", message)
        if message < 0:
            while not (self.folder / "sent").exists():
                self.ctx.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        self.state.seen.append(message)


def meet_poison(folder: Path, messages: list[int]) -> list[int]:
    """Handle messages, some of which kill the process."""
    with af.ActorSystem("crash", store=f"sqlite:///{folder / 'a.db'}", durability="process") as system:
        deadly = system.spawn(af.child(Deadly, folder).options(name="deadly"))
        for message in messages:
            deadly.tell(message)
        (folder / "sent").touch()
        seen: list[int] = deadly.call(Deadly.all).get(timeout=100)[0]
        return seen


class Bomb(Sink):
    """Has timers, some of which kill the process; it tells the world before."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_receive(self, message: tuple[int, float, bool]) -> None:
        number, seconds, again = message
        if again:
            self.ctx.every(seconds, self.fire, number)
        else:
            self.ctx.after(seconds, self.fire, number)

    def fire(self, number: int) -> None:
        note(self.folder / "tried", number)
        if number < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.state.fired.append(number)

    def number_of_timers(self) -> int:
        return len(self.actor_ref._box.timers)


def meet_timers(folder: Path, messages: list[tuple[int, float, bool]], count: int) -> Any:
    """Have timers until so many have fired well; return them, the dead letters, and how many timers are left."""
    with af.ActorSystem("crash", store=f"sqlite:///{folder / 'a.db'}", durability="process") as system:
        bomb = system.spawn(af.child(Bomb, folder).options(name="bomb"))
        for message in messages:
            bomb.tell(message)
        end = time.monotonic() + 100
        while True:
            fired = bomb.call(Sink.all).get(timeout=100)[1]
            if len(fired) >= count or time.monotonic() > end:
                letters = [(letter.message, letter.cause, letter.crashes) for letter in system.dead_mail.messages()]
                return fired, letters, bomb.call(Bomb.number_of_timers).get(timeout=100)
            time.sleep(0.01)


class Mine(af.StateMachine, durable=True):
    """A machine with a timeout and a named timer, each of which kills the process; it tells the world before."""

    calm, armed, over = af.State(initial=True), af.State(), af.State()

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder, self.done = folder, []  # type: ignore[var-annotated]

    @calm.to(armed)
    def arm(self) -> None: ...

    @armed.after(0.05, over)
    def blow(self) -> None:
        self.kill("blow")

    @calm.stay
    def plan(self, *names: str) -> None:
        """Have timers due one behind the other; as one commit, since the first may kill the process at once."""
        for place, name in enumerate(names):
            self.start_timer(name, 0.05 + 0.01 * place, Mine.strike, name)

    @calm.stay
    @armed.stay
    @over.stay
    def strike(self, name: str) -> None:
        self.kill(name)

    @calm.stay
    @armed.stay
    @over.stay
    def known(self) -> Any:
        return self.done, self._interpreter.state, sorted(map(str, self._interpreter.timers))

    def kill(self, name: str) -> None:
        with (Path(self.folder) / "tried").open("a") as file:
            file.write(f"{name}\n")
        if name != "well" and not (Path(self.folder) / "harmless").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        self.done.append(name)


def tried(folder: Path) -> list[str]:
    return (folder / "tried").read_text().split() if (folder / "tried").exists() else []


def meet_mines(url: str, folder: Path, begin: Any, end: Any) -> Any:
    """Have a machine whose timers kill; ends once it is known to be such; returns that and the dead letters."""
    with af.ActorSystem("crash", store=url, durability="process") as system:
        mine = system.spawn(af.child(Mine, str(folder)).options(name="mine"))
        begin(system, mine)
        limit = time.monotonic() + 100
        while True:
            known = mine.call(Mine.known).get(timeout=100)
            if end(known) or time.monotonic() > limit:
                return known, [(one.message, one.cause, one.crashes) for one in system.dead_mail.messages()]
            time.sleep(0.01)


def forked(run: Any) -> Any:
    """Run in a fork; returns what it returned, or None if it died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 1
        try:
            os.write(writing, json.dumps(run()).encode())
            status = 0
        except BaseException as error:
            os.write(writing, json.dumps([f"{error!r}"]).encode())
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        data = file.read()
    _, status = os.waitpid(child, 0)
    return None if os.WIFSIGNALED(status) else json.loads(data)


def main(folder: str, first: str, last: str, safeguard: str = "") -> None:
    switch_off(safeguard)
    for number in range(int(first), int(last) + 1):
        place = Path(folder) / str(number)
        place.mkdir()
        calls = forked(lambda place=place, number=number: live(place, number))
        line = {"n": number, "calls": calls, "problems": forked(lambda place=place: problems(place))}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
