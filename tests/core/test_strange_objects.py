"""Objects whose own methods raise: they take no more with them than the one who is concerned."""

import logging
import threading

import pykka._envelope
import pytest

import actorflow as af
from actorflow.core.log import logger
from actorflow.text import reason_of, text_of
from tests.core.actors import Echo, until


class Unusual(BaseException):
    """None of those that are contained."""


def strange(base, raised):
    """Make a class whose texts, comparisons and pickles all raise."""

    def fail(self, *_args):
        raise raised

    names = ("__repr__", "__str__", "__eq__", "__hash__", "__reduce__", "__format__", "__bool__", "__len__")
    return type("Strange", (base,), dict.fromkeys(names, fail))


KINDS = [ValueError, SystemExit, Unusual, RecursionError]
RAISED = [RuntimeError("no text"), SystemExit("no text"), Unusual(), KeyboardInterrupt()]


class Server(af.Actor):
    def take(self, message):
        return message

    def fail(self, error):
        raise error

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
