"""The end of a system: it drains newest first, within its grace time, and leaves nothing behind."""

import threading
import time

import pytest

import actorflow as af
from actorflow.core.running import drain
from tests.core.actors import Blocked, Echo, Held, Log, hold


class Ending(Held):
    def __init__(self, name, order, seen=None):
        super().__init__(seen)
        self.name = name
        self.order = order

    def on_stop(self):
        self.order.append(self.name)


def test_actors_stop_newest_first(system_class):
    order = []
    with system_class("test") as system:
        for name in "abc":
            system.spawn(Ending, name, order)
    assert order == ["c", "b", "a"]


def test_queued_messages_are_handled_first(system_class):
    seen, order = [], []
    with system_class("test") as system:
        ref = system.spawn(Ending, "a", order, seen)
        for number in range(500):
            ref.tell(number)
    assert seen == list(range(500))
    assert order == ["a"]
    assert system.dead_letters == 0


def test_a_newer_actor_may_use_an_older_one_while_it_drains(system_class):
    seen = []

    class Client(af.Actor):
        def __init__(self, server):
            super().__init__()
            self.server = server

        def on_receive(self, message):
            self.server.call(Log.note, message).get()

        def on_stop(self):
            self.server.tell("bye")

    with system_class("test") as system:
        client = system.spawn(Client, system.spawn(Log, seen))
        for number in range(10):
            client.tell(number)
    assert seen == [*range(10), "bye"]


def test_grace_bounds_the_end_and_what_is_left_is_abandoned_and_reported(caplog, monkeypatch):
    monkeypatch.setattr(drain, "HOOKS", 20.0)  # the other one ends by itself, on a busy machine, too
    event, order = threading.Event(), []
    with af.ActorSystem("test") as system:
        bystander = system.spawn(Ending, "bystander", order)
        ref = system.spawn(Blocked)
        ref.cast(Blocked.block, event)
        ref.tell("left over")
        assert system.spawn(Echo).ask("it blocks by now", timeout=20)
        system.stop(grace=0.1)
        assert not event.is_set()
        assert not ref.is_alive()
        assert not bystander.is_alive()
        event.set()
    assert system.scheduler.abandoned == 1
    assert system.dead_letters == 1
    assert f"{ref} did not end in time" in caplog.text
    assert order == ["bystander"]


def test_grace_bounds_the_whole_and_not_each_actor():
    event = threading.Event()
    with af.ActorSystem("test") as system:
        for _ in range(60):
            system.spawn(Blocked).cast(Blocked.block, event)
        assert system.spawn(Echo).ask("they block by now", timeout=20)
        start = time.monotonic()
        system.stop(grace=0.3)
        assert time.monotonic() - start < 15  # 18 s if each got it
        event.set()
    assert system.scheduler.abandoned == 60


@pytest.mark.usefixtures("unhurried_cut")
def test_a_waiting_handler_gets_time_to_clean_up(system_class):
    cleaned = []

    class Tidy(af.Actor):
        def wait(self, entered):
            entered.set()
            try:
                af.Future().get()
            except af.Stopping:
                cleaned.append(True)
                raise

        def on_stop(self):
            cleaned.append("on_stop")

    with system_class("test") as system:
        entered = af.Future()
        system.spawn(Tidy).cast(Tidy.wait, entered)
        entered.get(timeout=20)
        system.stop(grace=0.3)
    assert cleaned == [True, "on_stop"]
    assert system.scheduler.abandoned == 0


def test_late_sends_of_an_abandoned_handler_are_refused():
    event, done, errors = threading.Event(), threading.Event(), []

    class Late(af.Actor):
        def work(self, other, entered):
            entered.set()
            event.wait(20)
            sends = [
                lambda: other.tell("late"),
                lambda: other.ask("late", timeout=10),
                lambda: other.cast(Log.note, "late"),
                lambda: other.call(Log.note, "late").get(timeout=10),
                lambda: self.ctx.sleep(0),
                self.ctx.reply_later,
            ]
            for send in sends:
                try:
                    send()
                except Exception as error:
                    errors.append(type(error))
            done.set()

    with af.ActorSystem("other") as elsewhere:
        other, entered = elsewhere.spawn(Log), af.Future()
        with af.ActorSystem("test") as system:
            system.spawn(Late).cast(Late.work, other, entered)
            entered.get(timeout=20)
            system.stop(grace=0.05)
        event.set()
        assert done.wait(20)
        assert other.call(Log.read).get(timeout=20) == []
    assert errors == [af.Stopping] * 6


def test_what_an_abandoned_handler_returns_is_dropped():
    event = threading.Event()
    with af.ActorSystem("test") as system:
        ref = system.spawn(Blocked)
        answer = ref.call(Blocked.block, event)
        assert system.spawn(Echo).ask("it blocks by now", timeout=20)
        system.stop(grace=0.05)
        event.set()
    with pytest.raises(af.ActorDeadError):
        answer.get(timeout=20)


def test_stop_twice_and_from_many_threads_is_fine():
    system = af.ActorSystem("test")
    system.spawn(Log)
    threads = [threading.Thread(target=system.stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    system.stop()


def test_stop_in_a_handler_returns_at_once_and_ends_the_system(system_class):
    class Ends(af.Actor):
        def end(self, system):
            system.stop()
            return "went on"

    with system_class("test") as system:
        assert system.spawn(Ends).call(Ends.end, system).get(timeout=20) == "went on"
        system.ended.get(timeout=20)


def test_an_ended_system_takes_no_more_actors(system_class):
    with system_class("test") as system:
        pass
    with pytest.raises(af.ActorDeadError, match="/test is stopping"):
        system.spawn(Log)


def test_a_draining_system_takes_no_more_actors(system_class):
    errors = []

    class Spawning(af.Actor):
        def on_stop(self):
            try:
                self.ctx.spawn(Log)
            except af.ActorDeadError as error:
                errors.append(error)

    with system_class("test") as system:
        system.spawn(Spawning)
    assert len(errors) == 1


def test_a_draining_system_takes_no_more_actors_of_its_own(system_class):
    errors = []

    class Spawning(af.Actor):
        def __init__(self, system):
            super().__init__()
            self.system = system

        def on_stop(self):
            try:
                self.system.spawn(Log)
            except af.ActorDeadError as error:
                errors.append(str(error))

    with system_class("test") as system:
        system.spawn(Spawning, system)
    assert errors == ["/test is stopping and takes no more children"]


def test_an_error_in_the_with_block_drains_and_is_raised(system_class):
    seen = []
    with pytest.raises(KeyError, match="mine"):
        with system_class("test") as system:
            system.spawn(Log, seen).tell(1)
            raise KeyError("mine")
    assert seen == [1]


def test_children_of_the_draining_actors_stop_too(system_class):
    order = []

    class Parent(Ending):
        def on_start(self):
            for name in "xy":
                self.ctx.spawn(Ending, name, self.order)

    with system_class("test") as system:
        system.spawn(Parent, "parent", order)
    assert order == ["y", "x", "parent"]


def test_an_actor_that_waits_for_an_answer_at_the_end_still_gets_it(system_class):
    with system_class("test") as system:
        held = system.spawn(Held)
        gate, answer = hold(held)

        class Opens(af.Actor):
            def on_stop(self):
                gate.set("opened by the younger one")

        system.spawn(Opens)
    assert answer.get(timeout=20) == "opened by the younger one"
