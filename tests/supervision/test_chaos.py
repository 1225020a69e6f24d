"""Chaos: random trees, crashes, stops, verbs and asks; whatever happens, a few things hold."""

from __future__ import annotations

import contextlib
import random
import threading
import time

import pytest

import actorflow as af
from actorflow.testing import LeakCheck, VirtualSystem

FINE = (
    af.ActorDeadError,
    af.AskTimeout,
    af.Crash,
    af.DefinitionError,
    af.MailboxFull,
    af.Stopping,
    ValueError,
    OSError,
)


class Diary:
    """What happened to whom; `wrong` has what must not."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.up: dict[str, int] = {}  # path -> uid, of all that are up
        self.wrong: list[str] = []
        self.numbers: dict[int, list[int]] = {}
        self.sent = self.events = 0
        self.running = False  # starts fail now and then, once the first tree is up

    def note(self, what: str, ref: af.ActorRef) -> None:
        with self.lock:
            self.events += 1
            path = ref.path
            below = [other for other in self.up if other.startswith(f"{path}/")]
            if what in ("start", "stop") and below:
                self.wrong.append(f"{path}: {what} above {below}")
            if (path in self.up) != (what in ("stop", "fail")):
                self.wrong.append(f"{path}: {what} at the wrong time")
            if what == "up":
                self.up[path] = ref.uid
            elif what in ("stop", "fail"):
                self.up.pop(path, None)


class Actor(af.Actor):
    """Does at random what actors do. `pace` makes its waits short on threads."""

    def __init__(self, diary: Diary, pace: float, depth: int) -> None:
        super().__init__()
        self.diary, self.pace, self.depth = diary, pace, depth
        self.replies: list[af.Reply] = []

    def on_start(self) -> None:
        self.diary.note("start", self.actor_ref)
        dice = self.ctx.random
        if self.diary.running and dice.random() < 0.15:
            raise OSError
        if dice.random() < 0.3:
            self.ctx.sleep(dice.random() * self.pace)
        for _ in range(self.depth):
            if dice.random() < 0.5:
                kind = dice.choice(["permanent", "transient", "temporary"])
                self.ctx.spawn(af.child(Actor, self.diary, self.pace, self.depth - 1).options(restart=kind))
        self.diary.note("up", self.actor_ref)

    def on_stop(self) -> None:
        self.diary.note("stop", self.actor_ref)
        if self.ctx.random.random() < 0.2:
            self.ctx.sleep(self.pace)

    def on_failure(self, kind, error, trace) -> None:
        self.diary.note("fail", self.actor_ref)

    def crash(self) -> None:
        raise ValueError

    def crash_both(self) -> None:
        raise af.Crash

    def exit(self) -> None:
        raise SystemExit

    def end(self) -> None:
        self.stop()

    def put_aside(self) -> None:
        self.ctx.stash() if self.ctx.random.random() < 0.7 else self.ctx.unstash()

    def promise(self) -> None:
        self.replies.append(self.ctx.reply_later())

    def nap(self) -> None:
        self.ctx.sleep(self.pace)

    async def doze(self) -> None:
        await af.timer(self.pace)

    def tick(self) -> None:
        self.ctx.every(self.pace, self.nap)

    def look(self, other) -> None:
        self.ctx.watch(other)

    def ask_nap(self, other) -> None:
        other.call(Actor.nap).get(timeout=20)

    async def ask_doze(self, other) -> None:
        await other.call(Actor.doze)

    def count(self, number: int) -> None:
        self.diary.numbers.setdefault(self.actor_ref.uid, []).append(number)

    async def count_slowly(self, number: int) -> None:
        self.count(number)
        await af.timer(self.pace)

    def on_receive(self, message) -> None:
        """Ignore Terminated."""


PLAIN = [Actor.crash, Actor.crash_both, Actor.exit, Actor.end, Actor.put_aside, Actor.promise, Actor.nap, Actor.doze]
VERBS = [af.Supervisor.terminate_child, af.Supervisor.restart_child]


def worker(diary: Diary, pace: float, name: str | None = None):
    dice = diary.random
    given = {
        "restart": dice.choice(["permanent", "transient", "temporary"]),
        "backoff": dice.choice([None, af.Backoff(pace)]),
        "blocking": dice.random() < 0.15,
        "capacity": dice.choice([None, None, 50]),
        "shutdown": 5.0 if pace >= 1.0 else 60.0,  # on threads the machine may be busy
        "name": name,
    }
    return af.child(Actor, diary, pace, dice.choice([0, 0, 1])).options(**given)


def supervisor(diary: Diary, pace: float, depth: int, name: str):
    dice = diary.random
    children = [
        supervisor(diary, pace, depth - 1, f"s{n}") if depth and dice.random() < 0.5 else worker(diary, pace, f"k{n}")
        for n in range(dice.randint(1, 3))
    ]
    strategy = dice.choice(["one_for_one", "one_for_all", "rest_for_one"])
    rules = {"strategy": strategy, "intensity": dice.choice([0, 1, 3, 10]), "period": dice.choice([1.0, 5.0])}
    # Its children stop one after the other, some in a second each: five seconds are not enough for all that there are.
    return af.child(af.Supervisor, *children, **rules).options(name=name, shutdown=120.0)


def everybody(children) -> list[af.ActorRef]:
    found = []
    for ref in children:
        found.append(ref)
        if ref._children is not None:
            found += everybody(ref._children)
    return found


def act(diary: Diary, pace: float, refs: list[af.ActorRef]) -> af.Future | None:
    """Do one thing to one actor, and return its answer if it has one."""
    dice = diary.random
    ref, what = dice.choice(refs), dice.random()
    if issubclass(ref.actor_class, af.Supervisor):
        if what < 0.4:
            return ref.call(af.Supervisor.start_child, worker(diary, pace, dice.choice([None, "x", "y"])))
        if what < 0.8:
            return ref.call(dice.choice(VERBS), dice.choice(["k0", "k1", "x", "s0"]))
        return ref.call(af.Supervisor.which_children) if what < 0.95 else ref.stop(block=False)
    if what < 0.3:
        return ref.call(dice.choice(PLAIN))
    if what < 0.5:
        return ref.cast(dice.choice([*PLAIN, Actor.tick]))
    if what < 0.7:
        other = dice.choice([other for other in refs if other.actor_class is Actor])
        return ref.call(dice.choice([Actor.ask_nap, Actor.ask_doze, Actor.look]), other)
    if what < 0.75:
        return ref.stop(block=False)
    for _ in range(3):
        diary.sent += 1
        ref.cast(dice.choice([Actor.count, Actor.count_slowly]), diary.sent)
    return None


def storm(system, diary: Diary, pace: float, pause, steps: int) -> list[af.Future]:
    """Start a tree and act on it."""
    trees = [supervisor(diary, pace, 2, "a"), supervisor(diary, pace, 1, "b")]
    strategy = diary.random.choice(["one_for_one", "one_for_all", "rest_for_one"])
    system.spawn(af.child(af.Supervisor, *trees, strategy=strategy, intensity=10**6).options(name="top"))
    diary.running = True
    answers = []
    for _ in range(steps):
        refs = everybody(system.root)
        if not any(ref.actor_class is Actor for ref in refs):
            break
        for _ in range(diary.random.randint(1, 6)):
            with contextlib.suppress(af.ActorDeadError, af.MailboxFull):
                answers.append(act(diary, pace, refs))
        pause()
    return [answer for answer in answers if answer is not None]


def check(system, diary: Diary, answers: list[af.Future]) -> None:
    assert diary.wrong == []
    assert diary.up == {}
    assert system.scheduler.abandoned == 0
    assert system.error is None
    assert all(answer.done() for answer in answers)
    unexpected = [answer for answer in answers if answer._error is not None and not isinstance(answer._error, FINE)]
    assert [answer for answer in unexpected if not isinstance(answer._error, af.RestartLimitReached)] == []
    assert all(numbers == sorted(set(numbers)) for numbers in diary.numbers.values())  # order per pair, each once
    assert not everybody(system.root)


SETTINGS = af.Settings(intensity=10**6, grace=60)  # more than a wait for a nap, and the naps behind it


@pytest.mark.slow(quick=["0"])
@pytest.mark.parametrize("block", range(4))
def test_whatever_happens_virtual(block):
    """Every ask is answered, ends and starts alternate, children end before parents, order holds, nobody is left."""
    events = 0
    for seed in range(block * 25, block * 25 + 25):
        diary = Diary(seed)
        with VirtualSystem(seed=seed if seed % 3 else None, settings=SETTINGS) as system:
            answers = storm(system, diary, 1.0, lambda: system.sleep(diary.random.choice([0, 0.1, 0.5, 2, 6])), 30)  # noqa: B023
        check(system, diary, answers)
        events += diary.events
    assert events > 1000  # it did happen


@pytest.mark.parametrize("block", range(2))
def test_whatever_happens_on_threads(block):
    """The same on threads."""
    with LeakCheck():
        for seed in range(1000 + block * 10, 1010 + block * 10):
            diary = Diary(seed)
            with af.ActorSystem("test", settings=SETTINGS) as system:
                answers = storm(system, diary, 0.005, lambda: time.sleep(0.002), 25)
            check(system, diary, answers)
