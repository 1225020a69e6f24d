"""A refusal or error of a machine's `call` or `send` that nobody reads is a dead letter."""

from __future__ import annotations

import asyncio
import gc

import pykka
import pytest

import actorflow as af
from actorflow.core.futures.unobserved import UnobservedFuture


class Door(af.StateMachine):
    shut, open = af.State(initial=True), af.State()

    @shut.to(open)
    def push(self) -> None: ...

    @open.to(shut)
    def pull(self) -> None: ...

    @shut.stay
    def kick(self) -> None:
        raise ValueError("it hurts")

    @open.defer
    @shut.stay
    def lock(self) -> None:
        raise ValueError("no key")

    def look(self) -> None:
        raise LookupError("dark")


class Asker(af.Actor):
    """Asks a machine and throws the future away, or not."""

    def ask(self, door, event):
        door.send(event)

    def read(self, door, event):
        with pytest.raises(af.TransitionRefused):
            door.send(event).get()

    async def wait_for(self, door, event):
        try:
            await door.send(event)
        except af.TransitionRefused:
            return "refused"

    def pipe(self, door, event):
        self.ctx.pipe(door.send(event).map(str), self.got)

    def got(self, _):
        raise AssertionError


@pytest.fixture(autouse=True)
def _no_collector():
    """What is dropped is reported at once, not when the collector comes by."""
    gc.disable()
    yield
    gc.enable()


def letters(system, probe):
    system.subscribe(af.DeadLetter, probe.ref)
    return lambda: probe.expect(af.DeadLetter, within=30)


def is_settled(door):
    """Have all that was sent handled, and what that has caused; there may be one more dead letter."""
    assert door.state in {"shut", "open"}
    assert door.state in {"shut", "open"}


@pytest.mark.parametrize(
    ("request_it", "kind", "text"),
    [
        (lambda door: door.call(Door.pull), af.TransitionRefused, "Door refuses 'pull' in state 'shut'"),
        (lambda door: door.send("pull", 1), af.TransitionRefused, "Door refuses 'pull' in state 'shut'"),
        (lambda door: door.send("nonsense"), af.TransitionRefused, "Door refuses 'nonsense'"),
        (lambda door: door.proxy().pull(), af.TransitionRefused, "Door refuses 'pull'"),
        (lambda door: door.call(Door.kick), ValueError, "it hurts"),
        (lambda door: door.call(Door.look), LookupError, "dark"),
        (lambda door: door.send("push", 1, 2), TypeError, "takes 1 positional argument"),
    ],
)
def test_an_error_that_nobody_reads_is_a_dead_letter_with_its_reason(any_system, probe, request_it, kind, text):
    letter = letters(any_system, probe)
    door = any_system.spawn(Door)
    request_it(door)
    found = letter()
    assert found.ref == door
    assert isinstance(found.reason, kind)
    assert text in str(found.reason)
    assert any_system.dead_letters == 1
    assert door.state == "shut"


def test_the_dead_letter_names_message_and_sender(any_system, probe):
    letter = letters(any_system, probe)
    door, asker = any_system.spawn(Door), any_system.spawn(Asker)
    asker.call(Asker.ask, door, "pull").get()
    found = letter()
    assert (repr(found.message), found.sender) == ("pull()", asker)


def test_an_error_of_a_deferred_event_that_nobody_reads_is_a_dead_letter(any_system, probe):
    letter = letters(any_system, probe)
    door = any_system.spawn(Door)
    door.call(Door.push).get()
    door.call(Door.lock)
    door.call(Door.pull).get()
    assert str(letter().reason) == "no key"


def test_a_request_to_a_dead_machine_that_nobody_reads_is_a_dead_letter(any_system, probe):
    letter = letters(any_system, probe)
    door = any_system.spawn(Door)
    door.stop()
    door.send("push")
    assert isinstance(letter().reason, af.ActorDeadError)
    door.call(Door.push)
    assert isinstance(letter().reason, af.ActorDeadError)


def test_what_a_machine_left_unhandled_and_nobody_reads_is_a_dead_letter(virtual_system, probe):
    letter = letters(virtual_system, probe)

    class Slow(Door):
        def wait(self):
            self.ctx.sleep(1)

    door = virtual_system.spawn(Slow)
    door.cast(Slow.wait)
    door.stop(block=False)
    door.send("push")
    assert isinstance(letter().reason, af.ActorDeadError)


def refused(read, *arguments, **keywords):
    """Read an error in some way."""
    with pytest.raises(af.TransitionRefused):
        read(*arguments, **keywords)


READERS = [
    pytest.param(lambda future: refused(future.get), id="get"),
    pytest.param(lambda future: refused(future.get, timeout=20), id="get with timeout"),
    pytest.param(lambda future: future.map(str), id="mapped"),
    pytest.param(lambda future: refused(future.map(str).get), id="mapped and read"),
    pytest.param(lambda future: refused(future.join(future).get), id="joined"),
    pytest.param(lambda future: future.filter(bool), id="filtered"),
    pytest.param(lambda future: future.reduce(max), id="reduced"),
    pytest.param(lambda future: future._add_waiter(lambda: None), id="callback"),
    pytest.param(lambda future: refused(pykka.get_all, [future]), id="pykka's get_all"),
]


@pytest.mark.parametrize("read", READERS)
def test_an_error_that_was_read_before_it_came_is_no_dead_letter(any_system, read):
    door = any_system.spawn(Door)
    read(door.send("pull"))
    is_settled(door)
    assert any_system.dead_letters == 0


@pytest.mark.parametrize("read", READERS)
def test_an_error_that_was_read_after_it_came_is_no_dead_letter(any_system, read):
    door = any_system.spawn(Door)
    future = door.send("pull")
    is_settled(door)
    assert type(future) is UnobservedFuture
    read(future)
    del future
    is_settled(door)
    assert any_system.dead_letters == 0


def test_of_joined_futures_none_is_a_dead_letter_though_only_the_first_error_is_raised(any_system):
    door = any_system.spawn(Door)
    first, *others = [door.send("pull") for _ in range(3)]
    with pytest.raises(af.TransitionRefused):
        first.join(*others).get()
    del first, others
    is_settled(door)
    assert any_system.dead_letters == 0


def test_errors_that_actors_read_await_or_pipe_are_no_dead_letters(any_system):
    door, asker = any_system.spawn(Door), any_system.spawn(Asker)
    asker.call(Asker.read, door, "pull").get()
    assert asker.call(Asker.wait_for, door, "pull").get() == "refused"
    is_settled(door)
    assert any_system.dead_letters == 0


def test_a_piped_error_crashes_its_actor_and_is_no_second_dead_letter(any_system, probe):
    letter = letters(any_system, probe)
    door, asker = any_system.spawn(Door), any_system.spawn(Asker)
    asker.cast(Asker.pipe, door, "pull")
    assert letter().ref == asker  # the piped message
    is_settled(door)
    assert any_system.dead_letters == 1


def test_an_error_awaited_in_asyncio_is_no_dead_letter(system):
    door = system.spawn(Door)

    async def wait_for():
        with pytest.raises(af.TransitionRefused):
            await door.send("pull")

    asyncio.run(wait_for())
    is_settled(door)
    assert system.dead_letters == 0


def test_an_error_that_came_after_its_asker_gave_up_is_a_dead_letter(virtual_system, probe):
    letter = letters(virtual_system, probe)

    class Slow(Door):
        def look(self) -> None:
            self.ctx.sleep(10)
            raise LookupError("late")

    door = virtual_system.spawn(Slow)
    future = door.call(Slow.look)
    with pytest.raises(af.AskTimeout):
        future.get(timeout=1)
    del future
    virtual_system.sleep(20)
    assert str(letter().reason) == "late"


def test_success_and_pending_futures_are_no_dead_letters_and_change_nothing(any_system):
    door = any_system.spawn(Door)
    done = door.call(Door.push)
    assert done.get() is None
    assert type(done) is not UnobservedFuture
    door.call(Door.pull)
    is_settled(door)
    assert any_system.dead_letters == 0


def test_errors_of_other_actors_are_their_callers_alone(any_system):
    class Plain(af.Actor):
        def fail(self):
            raise ValueError("mine")

    plain = any_system.spawn(Plain)
    plain.call(Plain.fail)
    with pytest.raises(ValueError, match="mine"):
        plain.call(Plain.fail).get()
    assert any_system.dead_letters == 0


def test_the_traceback_of_an_error_that_is_read_leads_to_the_users_code(any_system):
    door = any_system.spawn(Door)
    with pytest.raises(ValueError, match="hurts") as raised:
        door.call(Door.kick).get()
    assert raised.traceback[-1].name == "kick"


def test_a_system_that_has_ended_counts_what_is_dropped_then(system_class):
    with system_class("test") as system:
        door = system.spawn(Door)
        future = door.send("pull")
        is_settled(door)
    assert system.dead_letters == 0
    del future
    assert system.dead_letters == 1
