"""Deadlock: a wait that closes a cycle raises DeadlockError at once; any other wait is left alone."""

import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.core.actors import Echo, Held, hold, run_in_threads, until


class Node(af.Actor):
    """Asks the next one along a path of refs."""

    def pass_on(self, path, timeout=None):
        if not path:
            return "end"
        return path[0].call(Node.pass_on, path[1:], timeout).get(timeout=timeout)

    async def pass_on_async(self, path):
        if not path:
            return "end"
        return await path[0].call(Node.pass_on_async, path[1:])

    def pass_on_mapped(self, path):
        return path[0].call(Node.pass_on_mapped, path[1:]).map(str).get()

    def pass_on_asked(self, path):
        return path[0].ask(path[1:])

    def on_receive(self, path):
        return path[0].ask(path[1:], timeout=60) if path else "end"

    def stop_other(self, ref):
        return ref.stop()

    def ping(self):
        return "pong"


def cycle(system, names):
    nodes = [system.spawn(af.child(Node).options(name=name)) for name in names]
    return nodes, [*nodes[1:], nodes[0]]


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_cycle_of_gets_raises_at_once_and_shows_the_cycle(any_system, names, timeout):
    nodes, path = cycle(any_system, names)
    with pytest.raises(af.DeadlockError) as caught:
        nodes[0].call(Node.pass_on, path, timeout).get(timeout=20)
    shown = [f"/test/{name}" for name in (names[-1] + names)]
    assert str(caught.value) == " -> ".join(shown)
    assert all(node.call(Node.ping).get(timeout=20) == "pong" for node in nodes)


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
@pytest.mark.parametrize("method", [Node.pass_on_async, Node.pass_on_mapped, Node.pass_on_asked])
def test_a_cycle_of_awaits_asks_or_derived_futures_raises_at_once(any_system, names, method):
    nodes, path = cycle(any_system, names)
    with pytest.raises(af.DeadlockError, match="/test/a"):
        nodes[0].call(method, path).get(timeout=20)
    assert all(node.call(Node.ping).get(timeout=20) == "pong" for node in nodes)


def test_a_cycle_of_a_get_and_an_await_raises(any_system):
    class Mixed(Node):
        async def start(self, other, me):
            return await other.call(Node.pass_on, [me])

    mixed, node = any_system.spawn(Mixed), any_system.spawn(Node)
    with pytest.raises(af.DeadlockError):
        mixed.call(Mixed.start, node, mixed).get(timeout=20)


def test_a_deadlock_error_is_a_timeout_of_pykka_and_of_python(any_system):
    (node,), path = cycle(any_system, "a")
    with pytest.raises(pykka.Timeout) as caught:
        node.call(Node.pass_on, path).get(timeout=20)
    assert isinstance(caught.value, af.AskTimeout)
    assert isinstance(caught.value, TimeoutError)


def test_a_get_on_a_derived_future_of_several_counts(any_system):
    class Joining(Node):
        def join(self, echo, other, me):
            return echo.ask(1, block=False).join(other.call(Node.pass_on, [me])).get()

    joining, node, echo = any_system.spawn(Joining), any_system.spawn(Node), any_system.spawn(Echo)
    with pytest.raises(af.DeadlockError):
        joining.call(Joining.join, echo, node, joining).get(timeout=20)


def test_a_stop_of_oneself_that_waits_raises(any_system):
    node = any_system.spawn(Node)
    with pytest.raises(af.DeadlockError):
        node.call(Node.stop_other, node).get(timeout=20)


def test_a_wait_for_a_stop_counts(any_system):
    class Asks(Node):
        def on_stop(self):
            try:
                self.asks.call(Node.ping).get()
            except af.DeadlockError as error:
                self.errors.append(error)

        def prepare(self, asks, errors):
            self.asks, self.errors = asks, errors

    errors = []
    node, asking = any_system.spawn(Node), any_system.spawn(Asks)
    asking.call(Asks.prepare, node, errors).get(timeout=20)
    assert node.call(Node.stop_other, asking).get(timeout=20) is True
    assert len(errors) == 1


def test_a_childs_on_start_that_asks_the_parent_who_spawns_it_raises(any_system):
    class Child(af.Actor):
        def on_start(self):
            self.ctx.parent.call(Parent.ping).get()

    class Parent(Node):
        def start(self):
            return self.ctx.spawn(Child)

    parent = any_system.spawn(Parent)
    with pytest.raises(af.DeadlockError, match=parent.path):
        parent.call(Parent.start).get(timeout=20)
    assert parent.call(Node.ping).get(timeout=20) == "pong"
    assert parent._children is None or not list(parent._children)


def test_a_childs_on_start_that_asks_its_supervisor_raises(any_system):
    class Child(af.Actor):
        def on_start(self):
            self.ctx.parent.ask("hello", timeout=60)

    with pytest.raises(af.DeadlockError):
        any_system.spawn(af.child(af.Supervisor, af.child(Child)))


def test_a_tell_to_ones_own_full_mailbox_raises(any_system):
    class Full(Node):
        def fill(self):
            for _ in range(3):
                self.actor_ref.tell([])

    ref = any_system.spawn(af.child(Full).options(capacity=2))
    with pytest.raises(af.DeadlockError):
        ref.call(Full.fill).get(timeout=20)
    assert ref.call(Node.ping).get(timeout=20) == "pong"


class Filling(Held, Node):
    """Waits for a gate, then fills another one's mailbox."""

    def fill(self, full, entered, gate):
        self.hold(entered, gate)
        for _ in range(2):
            full.tell([])

    def ask_after(self, path, entered, gate):
        self.hold(entered, gate)
        return self.pass_on(path)


def test_a_tell_into_a_full_mailbox_may_close_a_cycle(any_system):
    full, filling = any_system.spawn(af.child(Node).options(capacity=1)), any_system.spawn(Filling)
    entered, gate = af.Future(), af.Future()
    fills = filling.call(Filling.fill, full, entered, gate)
    entered.get(timeout=20)
    asks = full.call(Node.pass_on, [filling])
    until(lambda: full._waiting is not None, any_system)
    gate.set()
    with pytest.raises(af.DeadlockError, match=f"{filling.path} -> {full.path} -> {filling.path}"):
        fills.get(timeout=20)
    assert asks.get(timeout=20) == "end"


def test_a_get_may_close_a_cycle_with_a_tell_into_a_full_mailbox(any_system):
    full, filling = any_system.spawn(af.child(Filling).options(capacity=1)), any_system.spawn(Filling)
    entered, gate = af.Future(), af.Future()
    asks = full.call(Filling.ask_after, [filling], entered, gate)
    entered.get(timeout=20)
    fills = filling.call(Filling.fill, full, af.Future(), gate_that_is_open())
    until(lambda: filling._waiting is not None, any_system)
    assert not fills.done()
    gate.set()
    with pytest.raises(af.DeadlockError, match=f"{full.path} -> {filling.path} -> {full.path}"):
        asks.get(timeout=20)
    fills.get(timeout=20)


def gate_that_is_open():
    gate = af.Future()
    gate.set()
    return gate


def test_waits_that_close_a_cycle_from_both_ends_at_once_never_hang(system):
    for _ in range(100):
        nodes, _path = cycle(system, "ab")
        first = nodes[0].call(Node.pass_on, [nodes[1]])
        second = nodes[1].call(Node.pass_on, [nodes[0]])
        results = []
        for future in (first, second):
            try:
                results.append(future.get(timeout=20))
            except af.DeadlockError:
                results.append("deadlock")
        assert "end" in results
        for node in nodes:
            assert node.stop(timeout=20)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32), edges=st.lists(st.integers(-1, 5), min_size=6, max_size=6), asynchronous=st.booleans()
)
def test_exactly_the_waits_that_close_a_cycle_raise(seed, edges, asynchronous):
    method = Node.pass_on_async if asynchronous else Node.pass_on
    with VirtualSystem("test", seed=seed) as system:
        nodes = [system.spawn(Node) for _ in edges]
        futures = [nodes[i].call(method, [nodes[to]] if to >= 0 else []) for i, to in enumerate(edges)]
        raised = set()
        for index, future in enumerate(futures):
            try:
                assert future.get(timeout=20) == "end"
            except af.DeadlockError:
                raised.add(index)
    cycles = cycles_of(edges)
    for members in cycles:
        assert len(members & raised) == 1
    assert len(raised) == len(cycles)


def cycles_of(edges):
    found = set()
    for start in range(len(edges)):
        seen, at = [], start
        while at >= 0 and at not in seen:
            seen.append(at)
            at = edges[at]
        if at >= 0:
            found.add(frozenset(seen[seen.index(at) :]))
    return found


# --- no false positives -----------------------------------------------------------------------------------------------


def test_a_promised_reply_is_no_edge(any_system):
    class Desk(Node):
        def take(self):
            self.reply = self.ctx.reply_later()

        def give(self):
            return self.reply

    class Client(Node):
        def wait(self, desk, entered):
            future = desk.call(Desk.take)
            entered.set()
            return future.get()

    desk, client = any_system.spawn(Desk), any_system.spawn(Client)
    entered = af.Future()
    answer = client.call(Client.wait, desk, entered)
    entered.get(timeout=20)
    reply = desk.call(Desk.give).get(timeout=20)
    back = desk.call(Node.pass_on, [client])  # the desk waits for the client, who waits for a third one's reply
    until(lambda: desk._waiting is not None, any_system)
    assert not back.done()
    reply.set("served")
    assert answer.get(timeout=20) == "served"
    assert back.get(timeout=20) == "end"


def test_an_outside_future_is_no_edge(any_system):
    held, node = any_system.spawn(Held), any_system.spawn(Node)
    gate, answer = hold(held)
    waits = node.call(Node.pass_on_asked, [held])
    until(lambda: node._waiting is not None, any_system)
    assert not waits.done()
    gate.set("outside")
    assert answer.get(timeout=20) == "outside"
    waits.get(timeout=20)


def test_a_thread_outside_gets_the_error_when_the_actor_it_asked_passes_it_on(system):
    nodes, path = cycle(system, "ab")

    def ask(_index):
        with pytest.raises(af.DeadlockError):
            nodes[0].ask(path, timeout=20)

    run_in_threads(1, ask)


def test_an_ask_without_a_wait_is_no_edge(any_system):
    class Careful(Node):
        def start(self, other, me):
            other.call(Node.pass_on, [me]).map(str)
            return "not waiting"

    careful, node = any_system.spawn(Careful), any_system.spawn(Node)
    assert careful.call(Careful.start, node, careful).get(timeout=20) == "not waiting"
    assert node.call(Node.ping).get(timeout=20) == "pong"


def test_a_long_chain_of_waits_without_a_cycle_is_fine(any_system):
    nodes = [any_system.spawn(Node) for _ in range(30)]
    assert nodes[0].call(Node.pass_on, nodes[1:]).get(timeout=20) == "end"
    assert nodes[0].call(Node.pass_on_async, nodes[1:]).get(timeout=20) == "end"
