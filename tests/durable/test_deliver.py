"""`system.deliver`: a message from elsewhere, by the sender's id, is taken once."""

import threading

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import actorflow as af
from actorflow.durable.rows import ledger
from actorflow.testing import VirtualSystem
from tests.durable.actors import Account
from tests.durable.test_messages import rows, wait_for
from tests.durable.test_state import named


class Held(Account):
    """Waits before its gate."""

    gate = threading.Event()

    def on_receive(self, message):
        self.gate.wait(30)
        self.state.seen.append(message)


@pytest.fixture
def gate():
    Held.gate = threading.Event()
    yield Held.gate
    Held.gate.set()


def test_it_says_whether_the_message_was_taken(start):
    with start() as system:
        ref, other = (system.spawn(named(Account, name)) for name in "ab")
        assert system.deliver(ref, "x", id="m1")
        assert not system.deliver(ref, "y", id="m1")
        assert system.deliver(other, "y", id="m1")  # ids are the receiver's
        assert ref.call(Account.seen).get(timeout=30) == ["x"]
    with start() as system:
        ref = system.spawn(named(Account))
        assert not system.deliver(ref, "x", id="m1")


def test_of_many_that_deliver_the_same_one_is_taken(start):
    with start() as system, start() as other:
        ref, far = system.spawn(named(Account)), other.spawn(named(Account))
        taken = []

        def work(system, ref):
            taken.extend(number for number in range(30) if system.deliver(ref, number, id=f"m{number}"))

        threads = [threading.Thread(target=work, args=args) for args in ((system, ref), (system, ref), (other, far))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(taken) == list(range(30))
        wait_for(lambda: sorted(ref.call(Account.seen).get(timeout=30)) == list(range(30)))


def test_after_a_week_an_id_is_a_new_one(start):
    with start() as system:
        ref = system.spawn(named(Account))
        assert system.deliver(ref, "x", id="m1")
        later = system.store.now() + ledger.KEEP_MARK + 60
        system.store.write(lambda tx: ledger.prune(tx, later))
        assert system.deliver(ref, "x", id="m1")


def test_an_id_of_a_message_that_a_full_mailbox_refused_is_not_known(start, gate):
    with start() as system:
        ref = system.spawn(named(Held, capacity=1, overflow="fail"))
        assert system.deliver(ref, "x", id="m1")
        with pytest.raises(af.MailboxFull):
            system.deliver(ref, "y", id="m2")
        gate.set()
        wait_for(lambda: rows(system, "af_mail") == 0)
        assert system.deliver(ref, "y", id="m2")


def test_it_waits_for_room_in_a_mailbox_that_blocks(start, gate):
    with start() as system:
        ref = system.spawn(named(Held, capacity=1))
        system.deliver(ref, "x", id="m1")
        taken = []
        sender = threading.Thread(target=lambda: taken.append(system.deliver(ref, "y", id="m2")))
        sender.start()
        wait_for(lambda: ref._box.room)
        assert taken == []
        gate.set()
        sender.join(30)
        assert taken == [True]


@pytest.mark.slow
def test_who_has_found_room_waits_for_none(start, gate):
    with start() as system:
        ref = system.spawn(named(Held, capacity=5))
        for number in range(5):
            ref.tell(number)
        assert len(ref._box.room) == 0


def test_who_waits_for_room_hears_that_the_actor_has_ended(start, gate):
    with start() as system:
        ref = system.spawn(named(Held, capacity=1))
        ref.tell(0)
        errors = []

        def send():
            try:
                ref.tell(1)
            except af.ActorDeadError as error:
                errors.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        wait_for(lambda: ref._box.room)
        system.store.write(
            lambda tx: tx.run("actors.put", {"receiver": "a", "sender": None, "asker": None, "body": b"0"})
        )
        ref.stop(block=False)
        gate.set()
        sender.join(30)
        assert not sender.is_alive()
        assert len(errors) <= 1  # it may just have been let in


@pytest.mark.parametrize("id", ["", 7, None])
def test_an_id_is_text(start, id):
    with start() as system, pytest.raises(af.DefinitionError, match="id"):
        system.deliver(system.spawn(named(Account)), "x", id=id)


def test_only_durable_actors_know_ids(start):
    class Plain(af.Actor):
        pass

    with start() as system, pytest.raises(af.DefinitionError, match="ref of a durable actor"):
        system.deliver(system.spawn(Plain), "x", id="m1")


def test_a_durable_handler_is_told_to_tell(start):
    with start() as system:

        class Passing(Account):
            def on_receive(self, message):
                system.deliver(self.to, message, id="m1")

        ref = system.spawn(named(Passing, "p", system.spawn(named(Account))))
        with pytest.raises(af.DefinitionError, match="tell\\(\\) is part of its commit"):
            ref.ask("x", timeout=30)


def test_an_actor_that_has_ended_takes_nothing(start):
    with start() as system:
        ref = system.spawn(named(Account))
        ref.stop()
        with pytest.raises(af.ActorDeadError):
            system.deliver(ref, "x", id="m1")
        assert rows(system, "af_mark") == 0


STEPS = st.lists(st.one_of(st.sampled_from("abcdef"), st.just("restart")), max_size=20)


@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_what_is_seen_is_each_id_once_in_the_order_of_the_first(steps):
    with VirtualSystem("test") as system:
        ref = system.spawn(named(Account))
        expected: list[str] = []
        for number, step in enumerate(steps):
            if step == "restart":
                ref.stop()
                ref = system.spawn(named(Account))
            else:
                assert system.deliver(ref, [step, number], id=step) == (step not in [one for one, _ in expected])
                if step not in [one for one, _ in expected]:
                    expected.append([step, number])
        assert ref.call(Account.seen).get() == expected
