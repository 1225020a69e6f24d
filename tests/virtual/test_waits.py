"""Handlers that wait work on virtual time, and give the same result as on threads."""

from __future__ import annotations

import threading

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem

PATIENCE = 20.0


class Server(af.Actor):
    """Answers at once, late, or by asking the next one."""

    def __init__(self, behind: af.ActorRef | None = None) -> None:
        super().__init__()
        self.behind = behind
        self.handled: list[object] = []

    def on_receive(self, message):
        self.handled.append(message)
        return message

    def double(self, n: int) -> int:
        self.ctx.sleep(0.001 * n)
        return 2 * n

    def by_get(self, n: int) -> int:
        return self.behind.call(Server.double, n).get() + 1

    async def by_await(self, n: int) -> int:
        return await self.behind.call(Server.double, n) + 1

    def by_ask(self, n: int) -> int:
        return self.behind.proxy().double(n).get() + 1

    def by_pipe(self, n: int) -> None:
        self.reply = self.ctx.reply_later()
        self.ctx.pipe(self.behind.call(Server.double, n), self.got)

    def got(self, answer: int) -> None:
        self.reply.set(answer + 1)

    def all_handled(self) -> list[object]:
        return self.handled

    def where(self) -> int:
        return threading.get_ident()


@pytest.mark.parametrize("how", ["by_get", "by_await", "by_ask", "by_pipe"])
@pytest.mark.parametrize("blocking", [False, True])
def test_a_handler_that_waits_gives_the_same_result(any_system, how, blocking):
    back = any_system.spawn(Server)
    front = any_system.spawn(af.child(Server, back).options(blocking=blocking))
    method = getattr(Server, how)
    assert [front.call(method, n).get(timeout=PATIENCE) for n in range(5)] == [2 * n + 1 for n in range(5)]


@pytest.mark.parametrize("how", ["by_get", "by_await"])
def test_a_chain_of_waiting_handlers_gives_the_same_result(any_system, how):
    class Link(Server):
        def double(self, n):
            return n if self.behind is None else self.by_get(n)

    class AsyncLink(Server):
        async def double(self, n):
            return n if self.behind is None else await self.by_await(n)

    ref = None
    for _ in range(30):
        ref = any_system.spawn(Link if how == "by_get" else AsyncLink, ref)
    assert ref.call(Link.double, 0).get(timeout=PATIENCE) == 29


@pytest.mark.parametrize("how", ["by_get", "by_await"])
def test_many_waiting_at_once_are_all_answered(any_system, how):
    back = any_system.spawn(Server)
    fronts = [any_system.spawn(Server, back) for _ in range(50)]
    asked = [front.call(getattr(Server, how), n % 3) for n, front in enumerate(fronts)]
    assert [future.get(timeout=PATIENCE) for future in asked] == [2 * (n % 3) + 1 for n in range(50)]


def test_blocking_actors_keep_one_thread(any_system):
    refs = [any_system.spawn(af.child(Server).options(blocking=True)) for _ in range(3)]
    others = [any_system.spawn(Server) for _ in range(3)]
    seen = [{ref.call(Server.where).get(timeout=PATIENCE) for _ in range(5)} for ref in refs]
    for ref in others:
        ref.call(Server.double, 1).get(timeout=PATIENCE)
    again = [{ref.call(Server.where).get(timeout=PATIENCE) for _ in range(5)} for ref in refs]
    assert seen == again
    assert all(len(threads) == 1 for threads in seen)
    assert len(set.union(*seen)) == 3


def test_a_sender_waits_at_a_full_mailbox_and_nothing_is_lost(any_system):
    class Slow(Server):
        def on_receive(self, message):
            self.ctx.sleep(0.001)
            super().on_receive(message)

    class Sender(af.Actor):
        def send(self, count):
            for n in range(count):
                slow.tell((self.actor_ref.name, n))

    slow = any_system.spawn(af.child(Slow).options(capacity=2, overflow="block"))
    senders = [any_system.spawn(af.child(Sender).options(name=name)) for name in "ab"]
    for done in [sender.call(Sender.send, 20) for sender in senders]:
        done.get(timeout=PATIENCE)
    handled = slow.call(Server.all_handled).get(timeout=PATIENCE)
    for name in "ab":
        assert [n for who, n in handled if who == name] == list(range(20))


@pytest.mark.parametrize("overflow", ["fail", "drop_oldest"])
def test_a_full_mailbox_that_does_not_wait_gives_the_same_result(any_system, overflow):
    handled = []

    class Held(Server):
        def hold(self, entered, gate):
            entered.set(True)
            gate.get()

        def on_receive(self, message):
            handled.append(message)

    entered: af.Future[bool] = af.Future()
    gate: af.Future[bool] = af.Future()
    held = any_system.spawn(af.child(Held).options(capacity=2, overflow=overflow))
    holding = held.call(Held.hold, entered, gate)
    entered.get(timeout=PATIENCE)  # its mailbox is empty
    held.tell(1)
    held.tell(2)
    if overflow == "fail":
        with pytest.raises(af.MailboxFull):
            held.tell(3)
    else:
        held.tell(3)
    gate.set(True)
    holding.get(timeout=PATIENCE)
    held.stop(timeout=PATIENCE)  # not a call, which might drop one more
    assert handled == ([1, 2] if overflow == "fail" else [2, 3])


def test_a_cycle_of_waits_is_found(any_system):
    class Node(af.Actor):
        def meet(self, other):
            self.other = other

        def ring(self, n):
            return self.other.call(Node.ring, n + 1).get()

    one, two = any_system.spawn(Node), any_system.spawn(Node)
    one.call(Node.meet, two).get(timeout=PATIENCE)
    two.call(Node.meet, one).get(timeout=PATIENCE)
    with pytest.raises(af.DeadlockError, match=f"{two.path} -> {one.path} -> {two.path}"):
        one.call(Node.ring, 0).get(timeout=PATIENCE)
    assert one.is_alive()


def test_the_driver_gets_the_handlers_error(virtual_system):
    class Bad(af.Actor):
        def wait_and_fail(self):
            self.ctx.sleep(5)
            raise KeyError("late")

    with pytest.raises(KeyError, match="late"):
        virtual_system.spawn(Bad).call(Bad.wait_and_fail).get()
    assert virtual_system.now == 5


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_waiting_handlers_work_under_seeds(seed):
    with VirtualSystem(seed=seed) as system:
        back = system.spawn(Server)
        fronts = [system.spawn(Server, back) for _ in range(10)]
        hows = [Server.by_get, Server.by_await, Server.by_ask, Server.by_pipe]
        asked = [front.call(hows[n % 4], n) for n, front in enumerate(fronts)]
        assert [future.get() for future in asked] == [2 * n + 1 for n in range(10)]


def test_thread_limit_is_raised_in_the_handler_that_would_exceed_it():
    with VirtualSystem(settings=af.Settings(threads=5)) as system:
        back = system.spawn(Server)
        fronts = [system.spawn(Server, back) for _ in range(20)]
        asked = [front.call(Server.by_get, 3) for front in fronts]
        answers = []
        for future in asked:
            try:
                answers.append(future.get())
            except af.ThreadLimit:
                answers.append("limit")
        assert 7 in answers
        assert "limit" in answers
        assert fronts[-1].call(Server.by_await, 3).get() == 7


def test_hooks_may_wait_too(virtual_system):
    ends = []

    class Slow(af.Actor):
        async def on_start(self):
            await af.timer(30)
            self.ctx.sleep(30)

        def on_stop(self):
            self.ctx.sleep(30)
            ends.append(self.ctx.now())

    slow = virtual_system.spawn(Slow)
    assert virtual_system.now == 60
    slow.stop()
    assert virtual_system.now == 90
    assert len(ends) == 1
