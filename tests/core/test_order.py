"""Order: messages of one sender to one receiver arrive in the order they were sent."""

from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.core.actors import Held, Log, hold, run_in_threads


class Sender(af.Actor):
    """Sends numbered messages by turns as tell, cast, call and ask; now and then it waits in between."""

    def run(self, sends, *, pause=False):
        for number, receiver in sends:
            message = (self.actor_ref.uid, number)
            if number % 3 == 0:
                receiver.tell(message)
            elif number % 3 == 1:
                receiver.cast(Log.note, message)
            else:
                receiver.ask(message, block=False)
            if pause and number % 4 == 0:
                self.ctx.sleep(0)


class Parting(Log):
    """Sends a last word when it stops."""

    def on_stop(self):
        self.seen.tell("last word")


class Watcher(Log):
    def watch(self, ref):
        self.ctx.watch(ref)


def test_messages_of_one_sender_arrive_in_order(any_system):
    ref = any_system.spawn(Log)
    for number in range(1000):
        ref.tell(number)
    assert ref.call(Log.read).get(timeout=20) == list(range(1000))


def test_tell_cast_call_ask_and_proxy_share_one_order(any_system):
    ref = any_system.spawn(Log)
    proxy = ref.proxy()
    for number in range(0, 100, 5):
        ref.tell(number)
        ref.cast(Log.note, number + 1)
        ref.call(Log.note, number + 2)
        ref.ask(number + 3, block=False)
        proxy.note(number + 4)
    assert ref.call(Log.read).get(timeout=20) == list(range(100))


def test_messages_of_an_actor_arrive_in_order_though_it_waits_in_between(any_system):
    receivers = [any_system.spawn(Log) for _ in range(3)]
    sender = any_system.spawn(Sender)
    sender.call(Sender.run, [(n, receivers[n % 3]) for n in range(60)], pause=True).get(timeout=20)
    for index, receiver in enumerate(receivers):
        assert [n for _, n in receiver.call(Log.read).get(timeout=20)] == list(range(index, 60, 3))


def test_messages_of_each_thread_arrive_in_order(system):
    ref = system.spawn(Log)

    def send(thread):
        for number in range(1500):
            ref.tell((thread, number))

    run_in_threads(4, send)
    seen = ref.call(Log.read).get(timeout=20)
    for thread in range(4):
        assert [n for who, n in seen if who == thread] == list(range(1500))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    plan=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=40),
)
def test_order_per_pair_holds_under_any_seed(seed, plan):
    with VirtualSystem("test", seed=seed) as system:
        receivers = [system.spawn(Log) for _ in range(3)]
        senders = [system.spawn(Sender) for _ in range(3)]
        for index, sender in enumerate(senders):
            sends = [(n, receivers[to]) for n, (who, to) in enumerate(plan) if who == index]
            sender.cast(Sender.run, sends, pause=True)
        system.sleep(1)
        for to, receiver in enumerate(receivers):
            seen = receiver.call(Log.read).get(timeout=20)
            for index, sender in enumerate(senders):
                expected = [n for n, pair in enumerate(plan) if pair == (index, to)]
                assert [n for uid, n in seen if uid == sender.uid] == expected


def test_stop_comes_behind_what_was_queued(any_system):
    seen = []
    ref = any_system.spawn(Held, seen)
    gate, _ = hold(ref)
    ref.tell(1)
    ref.tell(2)
    stopped = ref.stop(block=False)
    ref.tell("too late")
    gate.set()
    assert stopped.get(timeout=20) is True
    assert seen == [1, 2]
    assert not ref.is_alive()


def test_an_actors_own_stop_comes_behind_what_was_queued(any_system):
    class Leaving(Held):
        def leave(self):
            self.stop()

    seen = []
    ref = any_system.spawn(Leaving, seen)
    gate, _ = hold(ref)
    ref.cast(Leaving.leave)
    ref.tell(1)
    gate.set()
    assert ref.actor_stopped.wait(20)
    assert seen == [1]


def test_terminated_never_overtakes_the_last_messages_of_the_dead(any_system):
    watcher = any_system.spawn(Watcher)
    parting = any_system.spawn(Parting, watcher)
    watcher.call(Watcher.watch, parting).get(timeout=20)
    assert parting.stop(timeout=20)
    assert any_system.spawn(Log).stop(timeout=20)  # one more round, so that all of it has arrived
    assert watcher.call(Log.read).get(timeout=20) == ["last word", af.Terminated(parting, None)]
