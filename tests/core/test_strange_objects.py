"""Objects whose own methods raise: they take no more with them than the one who is concerned."""

import contextlib
import logging
import threading
import weakref

import pykka._envelope
import pytest

import actorflow as af
from actorflow.core.log import logger
from actorflow.text import reason_of, text_of
from tests.core.actors import Echo, Held, hold, until


class Unusual(BaseException):
    """None of those that are contained."""


def strange(base, raised):
    """Make a class whose texts, comparisons and pickles all raise."""

    def fail(self, *_args):
        raise raised

    names = ("__repr__", "__str__", "__eq__", "__hash__", "__reduce__", "__format__", "__bool__", "__len__")
    return type("Strange", (base,), {**dict.fromkeys(names, fail), "__class__": property(fail)})


class Unhashable(type):
    """A class of this kind cannot be looked up in a table of classes."""

    def __hash__(cls):
        raise SystemExit("no hash")

    def __eq__(cls, other):
        raise SystemExit("no comparison")


KINDS = [ValueError, SystemExit, Unusual, RecursionError]
RAISED = [RuntimeError("no text"), SystemExit("no text"), Unusual(), KeyboardInterrupt()]


class Server(af.Actor):
    def take(self, message):
        return message

    def fail(self, error):
        raise error

    async def wait_for(self, awaitable):
        return await awaitable

    def fail_async_later(self, error):
        self.ctx.after(0, self.fail, error)


@pytest.mark.parametrize("raised", RAISED[:3], ids=lambda error: type(error).__name__)
def test_a_text_is_made_of_any_object_and_never_raises(raised):
    assert text_of(strange(object, raised)()) == f"<Strange, whose text cannot be made: {type(raised).__name__}>"
    assert type(raised).__name__ in text_of(strange(ValueError, raised)(), render=str)
    assert "Strange" in reason_of(strange(ValueError, raised)())


def test_a_text_is_cut_with_a_mark_and_has_nothing_that_a_database_refuses():
    assert len(text_of("x" * 10**7)) < 300
    assert len(text_of(["x" * 10**6], 50)) < 100
    assert text_of(ValueError("y" * 500), 10, str) == "y" * 10 + "... [500 characters in all]"
    assert text_of("lone \ud800 and \0", render=str) == "lone \\ud800 and \\x00"
    assert text_of("für") == "'für'"


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_without_a_text_is_answered_and_its_actor_goes_on_or_ends(kind, raised):
    error = strange(kind, raised)
    with af.ActorSystem("s", settings=af.Settings(intensity=10)) as system:
        server = system.spawn(af.child(Server).options(restart="permanent", name="server"))
        other = system.spawn(Echo)
        with pytest.raises((kind, af.Crash)):
            server.call(Server.fail, error()).get(timeout=20)
        if kind is not Unusual:  # that one stops all actors, as pykka has it
            assert server.call(Server.take, 1).get(timeout=20) == 1
            assert other.ask("still here", timeout=20) == "still here"
            server.cast(Server.fail, error())  # nobody gets it: it is logged, and the message is a dead letter
            until(lambda: system.dead_letters == 1)
            assert server.call(Server.take, 2).get(timeout=20) == 2


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
def test_a_message_without_a_text_is_handled_and_as_a_dead_letter_counted(raised):
    message = strange(object, raised)()
    with af.ActorSystem("s", settings=af.Settings(intensity=10)) as system:
        server, listener = system.spawn(Server), system.spawn(Echo)
        assert server.call(Server.take, message).get(timeout=20) is message
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        bounded = system.spawn(af.child(Server).options(capacity=1, overflow="drop_oldest"))
        for ref in (server, bounded):
            assert ref.call(Server.take, message).get(timeout=20) is message
        server.cast(Server.fail_async_later, strange(ValueError, raised)())
        until(lambda: letters)
        assert listener.ask(1, timeout=20) == 1


class BrokenHandler(logging.Handler):
    def __init__(self, raised):
        super().__init__()
        self.raised = raised

    def handle(self, record):
        raise self.raised


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
def test_a_log_handler_that_raises_takes_its_own_line_only(raised, capsys):
    handler = BrokenHandler(raised)
    logger.logger.addHandler(handler)
    try:
        with af.ActorSystem("s") as system:
            server = system.spawn(af.child(Server).options(restart="permanent", name="server"))
            with pytest.raises(ZeroDivisionError):
                server.call(Server.fail, ZeroDivisionError()).get(timeout=20)
            server.cast(Server.fail, ZeroDivisionError())
            until(lambda: system.dead_letters == 1)
            assert server.call(Server.take, 1).get(timeout=20) == 1
    finally:
        logger.logger.removeHandler(handler)
    assert "could not be logged" in capsys.readouterr().err


@pytest.mark.parametrize("raised", RAISED[:3], ids=lambda error: type(error).__name__)
def test_a_listener_that_raises_is_logged_and_the_others_hear_the_event(raised):
    def fail(_event):
        raise raised

    heard = []
    with af.ActorSystem("s") as system:
        system.subscribe(af.Started, fail)
        system.subscribe(af.Started, heard.append)
        for _ in range(3):
            ref = system.spawn(Server)
        until(lambda: len(heard) == 3)
        assert heard[-1].ref is ref


@pytest.mark.parametrize("raised", RAISED[:3], ids=lambda error: type(error).__name__)
def test_a_foreign_future_that_raises_when_it_is_set_keeps_nobody_else_waiting(raised):
    class Foreign:
        def set(self, _value):
            raise raised

    future = af.Future()
    with af.ActorSystem("s") as system:
        server = system.spawn(Server)
        server.actor_inbox.put(pykka._envelope.Envelope("hello", reply_to=Foreign()))
        assert server.call(Server.take, 1).get(timeout=20) == 1
        future._add_waiter(Foreign().set)  # called without a value: TypeError
        waiting = threading.Thread(target=future.get, kwargs={"timeout": 20})
        waiting.start()
        until(lambda: len(future._wakes) == 2)
        future.set(1)
        waiting.join(20)
        assert not waiting.is_alive()


def gone():
    """Make a weak proxy of a dead object."""
    return weakref.proxy(type("Short", (), {})())


MAKERS = {
    "a dead proxy": gone,
    "no class": lambda: strange(object, SystemExit())(),
    "a class without a hash": lambda: Unhashable("Odd", (), {})(),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_an_object_that_does_not_tell_its_class_concerns_one_actor_only(any_system, kind):
    """As a message, as a result, and as a dead letter; handled straight, queued, and in a bounded mailbox."""
    thing = MAKERS[kind]()

    class Answers(af.Actor):
        def on_receive(self, _message):
            return thing

        def method(self):
            return thing

    answers, echo, held = any_system.spawn(Answers), any_system.spawn(Echo), any_system.spawn(Held)
    bounded = any_system.spawn(af.child(Server).options(capacity=1, overflow="drop_oldest"))
    gate, _ = hold(held)
    asked = [
        held.ask(thing, block=False),
        held.ask("behind", block=False),
        answers.ask(1, block=False),
        answers.call(Answers.method),
        echo.ask(thing, block=False),
        bounded.ask(thing, block=False),
    ]
    gate.set()
    for future in asked:  # each is answered, if only with an error
        with contextlib.suppress(ReferenceError, SystemExit, af.Crash, af.ActorDeadError):
            future.get(timeout=20)
    for ref in (answers, echo, held, bounded):
        with contextlib.suppress(af.ActorDeadError):  # a tell may crash it
            ref.tell(thing)
            ref.stop(block=False)
            ref.tell(thing)  # a dead letter
    assert any_system.spawn(Echo).ask("all is well", timeout=20) == "all is well"
    assert len(any_system.scheduler.slot) <= 1


def test_an_await_of_a_strange_object_is_the_handlers_error(any_system):
    class Yields:
        def __init__(self, thing):
            self.thing = thing

        def __await__(self):
            yield self.thing

    server = any_system.spawn(Server)
    for thing in (gone(), strange(object, SystemExit())()):
        with pytest.raises(af.DefinitionError, match="asyncio loop"):
            server.call(Server.wait_for, Yields(thing)).get(timeout=20)
