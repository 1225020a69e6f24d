"""A signal's handler that raises at any bytecode of a send, a wait, a start or an end: nothing else is lost."""

import contextlib
import queue

import pytest

import actorflow as af
from actorflow.core.refs import bounded_mailbox
from tests.core.actors import Echo
from tests.interrupts import BOUND, at_every_bytecode, ends


@pytest.fixture
def system():
    with af.ActorSystem("s", settings=af.Settings(grace=5)) as system:
        yield system


class Server(af.Actor):
    def __init__(self):
        super().__init__()
        self.seen = 0

    def on_receive(self, message):
        self.seen += 1
        return message

    def take(self, n):
        self.seen += 1
        return n


SENDS = {
    "tell": lambda ref: ref.tell(1),
    "cast": lambda ref: ref.cast(Server.take, 1),
    "ask": lambda ref: ref.ask(1, timeout=BOUND),
    "ask without a timeout": lambda ref: ref.ask(1),
    "ask and get": lambda ref: ref.ask(1, block=False).get(timeout=BOUND),
    "call": lambda ref: ref.call(Server.take, 1).get(timeout=BOUND),
    "proxy": lambda ref: ref.proxy().take(1).get(timeout=BOUND),
    "attribute of a proxy": lambda ref: ref.proxy().seen.get(timeout=BOUND),
}


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_an_interrupted_send_or_wait_leaves_the_system_whole(system, send):
    server, other = system.spawn(Server), system.spawn(Echo)

    def mended():
        assert other.ask("others are answered", timeout=BOUND)
        assert server.ask("and so am I", timeout=BOUND)

    assert at_every_bytecode(lambda: send(server), mended) > 10
    ends(system.stop)


class Slow(Server):
    """Handles what is in its mailbox once it is let."""

    async def hold(self, started, until):
        started.set()
        await until


class Releaser(af.Actor):
    """Lets it go on, soon."""

    def __init__(self, let):
        super().__init__()
        self.let = let
        self.actor_ref.tell("soon")

    def on_receive(self, _message):
        with contextlib.suppress(queue.Full):
            self.let.set()


def filled(system, overflow):
    """Return a bounded actor whose mailbox is full, and what lets it go on."""
    slow = system.spawn(af.child(Slow).options(capacity=2, overflow=overflow))
    started, let = af.Future(), af.Future()
    slow.cast(Slow.hold, started, let)
    started.get(timeout=BOUND)
    return slow, let, [slow.ask(n, block=False) for n in range(2)]


@pytest.mark.parametrize("overflow", ["fail", "drop_oldest", "block"])
@pytest.mark.parametrize("send", [SENDS["tell"], SENDS["call"]], ids=["tell", "call"])
def test_an_interrupted_send_to_a_bounded_mailbox_costs_no_place_in_it(system, overflow, send):
    server = system.spawn(af.child(Server).options(capacity=2, overflow=overflow))

    def mended():
        assert server.ask("room for one", timeout=BOUND)

    assert at_every_bytecode(lambda: send(server), mended) > 10
    assert len(server._room) == 2
    ends(system.stop)


@pytest.mark.parametrize("overflow", ["fail", "drop_oldest", "block"])
@pytest.mark.parametrize("wanted", [True, False], ids=["ask", "tell"])
def test_an_interrupted_send_to_a_full_mailbox_loses_no_answer(system, overflow, wanted):
    full = []

    def send():
        slow, let, waiting = prepared.pop()
        full[:] = [slow, let, waiting]
        if overflow == "block":  # somebody makes room while the sender waits for it
            system.spawn(Releaser, let)
        try:
            if wanted:
                slow.ask(1, block=False)
            else:
                slow.tell(1)
        except af.MailboxFull:
            assert overflow == "fail"

    prepared = [filled(system, overflow)]

    def mended():
        slow, let, waiting = full
        with contextlib.suppress(queue.Full):  # somebody has, or does just now
            let.set()
        for future in waiting:
            try:
                future.get(timeout=BOUND)
            except af.MailboxFull:
                assert overflow == "drop_oldest"
        assert slow.ask("again", timeout=BOUND)
        assert len(slow._room) == 2
        slow.stop(block=False)
        prepared[:] = [filled(system, overflow)]

    assert at_every_bytecode(send, mended, within=bounded_mailbox.__file__) > 10
    prepared.pop()[1].set()
    ends(system.stop)


class Starting(Server):
    def on_start(self):
        self.seen = 1


patiently = af.child(Server).options(shutdown=60)
STARTS = {
    "spawn": patiently,
    "with on_start": af.child(Starting).options(shutdown=60),
    "supervised": patiently.options(restart="permanent"),
    "bounded": patiently.options(capacity=3, name="bounded"),
    "own thread": patiently.options(blocking=True),
}


def anew(systems):
    """End the system that was in use, quickly, and make the next."""
    for system in systems:
        ends(system.stop)
    systems[:] = [af.ActorSystem("s", settings=af.Settings(grace=300))]


@pytest.mark.parametrize("recipe", STARTS.values(), ids=STARTS)
def test_an_interrupted_start_leaves_a_system_that_starts_others_and_ends_at_once(recipe):
    systems = []
    anew(systems)

    def mended():
        assert systems[0].spawn(Echo).ask("others start", timeout=BOUND)
        anew(systems)

    assert at_every_bytecode(lambda: systems[0].spawn(recipe), mended) > 10
    ends(systems[0].stop)


ENDS = {
    "stop": lambda system, ref: ref.stop(),
    "stop, without waiting": lambda system, ref: ref.stop(block=False).get(timeout=BOUND),
    "the actor's own stop": lambda system, ref: ref.proxy().stop().get(timeout=BOUND),
    "system.stop": lambda system, ref: system.stop(),
    "with block": lambda system, ref: use(system),
    "wait for the end": lambda system, ref: (ref.stop(block=False), ref.actor_stopped.wait(BOUND)),
    "subscribe": lambda system, ref: system.subscribe(af.Stopped, print),
    "subscribe and cancel": lambda system, ref: system.subscribe(af.Stopped, ref).cancel(),
    "watch": lambda system, ref: ref.call(Parent.adopt).get(timeout=BOUND),
    "tree": lambda system, ref: str(system.tree()),
    "find": lambda system, ref: system.find(ref.path),
}


def use(system):
    with system:
        pass


class Parent(Server):
    def adopt(self):
        self.ctx.watch(self.ctx.spawn(Server))


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_an_interrupted_end_is_finished_by_the_next_one(end, capsys):
    systems, refs = [], []

    def mended():
        anew(systems)
        refs[:] = [systems[0].spawn(af.child(Parent).options(shutdown=60))]

    mended()
    assert at_every_bytecode(lambda: end(systems[0], refs[0]), mended) > 10
    ends(systems[0].stop)
