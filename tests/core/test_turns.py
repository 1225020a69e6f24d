"""Turns: one message at a time per actor, and no actor keeps the others waiting."""

import itertools
import time

import pytest

import actorflow as af
from actorflow.core.drivers.preemption import Preemption
from tests.core.actors import Blocked, Echo, Held, Log, hold, until


class Overlap(af.Actor):
    """Notes when handlers begin and end."""

    def __init__(self):
        super().__init__()
        self.log = []

    async def suspend(self, gate):
        self.log.append("begin")
        await gate
        self.log.append("end")

    def wait(self, gate):
        self.log.append("begin")
        gate.get()
        self.log.append("end")

    def quick(self):
        self.log.append("quick")

    def read(self):
        return list(self.log)


class Writer(af.Actor):
    """Writes its letter into a shared list; `spin` takes a millisecond of computing."""

    def __init__(self, letter, page):
        super().__init__()
        self.letter = letter
        self.page = page

    def write(self):
        self.page.append(self.letter)

    def spin(self):
        until = time.perf_counter() + 0.001
        while time.perf_counter() < until:
            pass
        self.page.append(self.letter)


class Starter(af.Actor):
    """Sends from inside, so that the receivers find a queue: while it runs it holds the baton."""

    def send(self, casts):
        for ref, method in casts:
            ref.cast(method)


@pytest.fixture
def _nobody_overtakes(monkeypatch):
    """On a busy machine a thread may be off its processor for so long that its handler is taken for one that blocks."""
    monkeypatch.setattr(Preemption, "_overtake", lambda *_args, **_kwargs: None)


@pytest.mark.parametrize("kind", ["suspend", "wait"])
def test_one_message_at_a_time_also_while_a_handler_waits(any_system, kind):
    ref = any_system.spawn(Overlap)
    gate = af.Future()
    first = ref.call(getattr(Overlap, kind), gate)
    ref.cast(Overlap.quick)
    assert any_system.spawn(Echo).ask("others run", timeout=20) == "others run"
    until(lambda: ref._actor.log == ["begin"], any_system)
    gate.set()
    first.get(timeout=20)
    assert ref.call(Overlap.read).get(timeout=20) == ["begin", "end", "quick"]


def test_one_message_at_a_time_also_while_a_handler_blocks_unseen(system):
    import threading

    ref = system.spawn(Blocked)
    event = threading.Event()
    blocked = ref.call(Blocked.block, event)
    ref.tell("next")
    assert system.spawn(Echo).ask("others run", timeout=20) == "others run"
    assert ref._actor.seen == []
    event.set()
    assert blocked.get(timeout=20) is True
    assert ref.call(Log.read).get(timeout=20) == ["next"]


def test_many_async_handlers_of_one_actor_never_overlap(any_system):
    class Critical(af.Actor):
        inside = most = 0

        async def enter(self, echo):
            self.inside += 1
            self.most = max(self.most, self.inside)
            await echo.ask(1, block=False)
            await af.timer(0.001)
            self.inside -= 1
            return self.most

    echo, ref = any_system.spawn(Echo), any_system.spawn(Critical)
    answers = [ref.call(Critical.enter, echo) for _ in range(20)]
    assert [answer.get(timeout=20) for answer in answers] == [1] * 20


@pytest.mark.usefixtures("_nobody_overtakes")
def test_an_actor_gets_at_most_64_messages_a_turn_while_others_wait(system):
    page = []
    a, b = system.spawn(Writer, "a", page), system.spawn(Writer, "b", page)
    casts = [(ref, Writer.write) for _ in range(300) for ref in (a, b)]
    system.spawn(Starter).call(Starter.send, casts).get(timeout=20)
    for ref in (a, b):
        ref.call(Writer.write).get(timeout=20)
    both_have_some = page[: 2 * 300 - max(page[::-1].index("a"), page[::-1].index("b")) - 64]
    runs = [len(list(group)) for _, group in itertools.groupby(both_have_some)]
    assert runs
    assert max(runs) <= 64


@pytest.mark.usefixtures("_nobody_overtakes")
def test_an_idle_actor_is_served_after_few_turns_of_a_long_queue(system):
    page = []
    busy, idle = system.spawn(Writer, "busy", page), system.spawn(Writer, "idle", page)
    casts = [(busy, Writer.write)] * 1000 + [(idle, Writer.write)]
    system.spawn(Starter).call(Starter.send, casts).get(timeout=20)
    busy.call(Writer.write).get(timeout=20)
    assert page.index("idle") <= 2 * 64


@pytest.mark.usefixtures("_nobody_overtakes")
def test_a_turn_ends_after_two_milliseconds_while_others_wait(system):
    page = []
    slow, quick = system.spawn(Writer, "slow", page), system.spawn(Writer, "quick", page)
    casts = [(slow, Writer.spin)] * 20 + [(quick, Writer.write)]
    system.spawn(Starter).call(Starter.send, casts).get(timeout=20)
    slow.call(Writer.write).get(timeout=20)
    assert page.index("quick") <= 3


def test_a_held_actor_keeps_its_queue_while_others_run(any_system):
    ref = any_system.spawn(Held)
    gate, answer = hold(ref)
    for number in range(300):
        ref.tell(number)
    echo = any_system.spawn(Echo)
    assert [echo.ask(n, timeout=20) for n in range(3)] == [0, 1, 2]
    gate.set("let go")
    assert answer.get(timeout=20) == "let go"
    assert ref.call(Log.read).get(timeout=20) == list(range(300))
