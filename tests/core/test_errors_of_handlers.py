"""Who gets the error of a handler: the caller of an ask, or the supervisor; and which errors reach further."""

import asyncio
import logging
import signal

import pykka
import pytest

import actorflow as af
from tests.core.actors import Echo, Failing, Log, let_time_pass, until


class Unusual(BaseException):
    """None of those that are contained."""


class Loud(Failing):
    def __init__(self, failures, seen=None):
        super().__init__(seen)
        self.failures = failures

    def on_failure(self, kind, value, traceback):
        self.failures.append((kind, str(value), traceback is not None))

    async def fail_async(self, error):
        raise error

    def fail_later(self, error):
        self.ctx.after(0, self.fail, error)

    def fail_piped(self, future):
        self.ctx.pipe(future, self.note)

    def on_stop(self):
        self.seen.append("stopped")


@pytest.mark.parametrize("method", [Loud.fail, Loud.fail_async])
def test_an_error_in_an_ask_belongs_to_the_caller_and_the_actor_lives(any_system, method):
    failures = []
    ref = any_system.spawn(Loud, failures)
    with pytest.raises(ZeroDivisionError, match="boom"):
        ref.call(method, ZeroDivisionError("boom")).get(timeout=20)
    with pytest.raises(ZeroDivisionError):
        getattr(ref.proxy(), method.__name__)(ZeroDivisionError()).get(timeout=20)
    assert ref.call(Log.note, 1).get(timeout=20) == 1
    assert failures == []


def cast(ref, error):
    ref.cast(Loud.fail, error)


def cast_async(ref, error):
    ref.cast(Loud.fail_async, error)


def timer(ref, error):
    ref.cast(Loud.fail_later, error)


def pipe(ref, error):
    future = af.Future()
    ref.cast(Loud.fail_piped, future)
    future.set_exception((type(error), error, None))


def tell(ref, error):
    ref.tell(error)


class Raising(Loud):
    def on_receive(self, message):
        raise message


@pytest.mark.parametrize("way", [cast, cast_async, timer, pipe, tell])
def test_an_error_in_a_tell_cast_timer_or_pipe_is_a_crash(any_system, probe, way):
    failures = []
    any_system.subscribe(af.Crashed, probe.ref)
    ref = any_system.spawn(Raising, failures)
    way(ref, ZeroDivisionError("boom"))
    crashed = probe.expect(af.Crashed, within=30)
    assert crashed.ref == ref
    assert isinstance(crashed.reason, ZeroDivisionError)
    assert ref.actor_stopped.wait(20)
    assert failures == [(ZeroDivisionError, "boom", True)]


def test_a_crash_does_not_run_on_stop(any_system):
    seen = []
    ref = any_system.spawn(Loud, [], seen)
    ref.cast(Loud.fail, ZeroDivisionError())
    assert ref.actor_stopped.wait(20)
    assert seen == []


def test_af_crash_answers_the_caller_and_tells_the_supervisor(any_system, probe):
    class Crashing(af.Actor):
        def work(self):
            try:
                raise KeyError("cause")
            except KeyError as error:
                raise af.Crash from error

    any_system.subscribe(af.Crashed, probe.ref)
    ref = any_system.spawn(Crashing)
    with pytest.raises(KeyError, match="cause"):
        ref.call(Crashing.work).get(timeout=20)
    crashed = probe.expect(af.Crashed, within=30)
    assert (crashed.ref, str(crashed.reason)) == (ref, "'cause'")
    assert ref.actor_stopped.wait(20)


def test_the_message_of_a_crash_is_a_dead_letter_with_the_error(any_system, probe):
    any_system.subscribe(af.DeadLetter, probe.ref)
    ref = any_system.spawn(Failing)
    ref.cast(Failing.fail, ZeroDivisionError("boom"))
    letter = probe.expect(af.DeadLetter, within=30)
    assert letter.ref == ref
    assert isinstance(letter.reason, ZeroDivisionError)
    assert letter.reason.__traceback__ is not None


def test_an_error_in_on_failure_is_logged_and_the_crash_goes_on(any_system, caplog):
    class Worse(Failing):
        def on_failure(self, *_):
            raise KeyError("in the hook")

    ref = any_system.spawn(Worse)
    ref.cast(Failing.fail, ZeroDivisionError("boom"))
    assert ref.actor_stopped.wait(20)  # True as soon as no message is accepted, and the hook may run still
    until(lambda: "in the hook" in caplog.text, any_system)
    assert "boom" in caplog.text


def test_an_error_in_on_stop_is_logged_and_the_actor_ends(any_system, caplog):
    class Stubborn(af.Actor):
        def on_stop(self):
            raise KeyError("in on_stop")

    assert any_system.spawn(Stubborn).stop(timeout=20)
    assert "in on_stop" in caplog.text


def test_an_error_in_on_start_is_raised_by_spawn_and_nothing_is_left(any_system):
    class Stillborn(af.Actor):
        def on_start(self):
            raise KeyError("no start")

    with pytest.raises(KeyError, match="no start"):
        any_system.spawn(af.child(Stillborn).options(name="x"))
    assert any_system.find("/test/x") is None
    assert any_system.tree().children == []


# --- BaseException ----------------------------------------------------------------------------------------------------

CONTAINED = [SystemExit("out"), asyncio.CancelledError("cancelled"), GeneratorExit("exit")]


@pytest.mark.parametrize("error", CONTAINED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", [Loud.fail, Loud.fail_async])
def test_contained_base_exceptions_crash_that_actor_only(any_system, probe, error, method):
    any_system.subscribe(af.Crashed, probe.ref)
    ref, bystander = any_system.spawn(Loud, []), any_system.spawn(Echo)
    ref.cast(method, error)
    assert probe.expect(af.Crashed, within=30).reason is error
    assert ref.actor_stopped.wait(20)
    assert bystander.ask("alive", timeout=20) == "alive"


@pytest.mark.parametrize("error", CONTAINED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", [Loud.fail, Loud.fail_async])
def test_the_caller_of_a_contained_base_exception_gets_a_crash(any_system, error, method):
    ref = any_system.spawn(Loud, [])
    with pytest.raises(af.Crash, match=ref.path) as caught:
        ref.call(method, error).get(timeout=20)
    assert caught.value.__cause__ is error
    assert ref.actor_stopped.wait(20)


@pytest.mark.parametrize("error", CONTAINED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("hook", ["on_stop", "on_failure"])
def test_contained_base_exceptions_in_a_last_hook_end_that_actor_only(any_system, error, hook):
    class Hooked(Failing):
        def fail(self, _error):
            raise ZeroDivisionError

    def raises(*_):
        raise error

    hooked = type("Raising", (Hooked,), {hook: raises})
    ref, bystander = any_system.spawn(hooked), any_system.spawn(Echo)
    if hook == "on_stop":
        ref.stop(block=False)
    else:
        ref.cast(Failing.fail, None)
    assert ref.actor_stopped.wait(20)
    until_gone(any_system, ref)
    assert bystander.ask("alive", timeout=20) == "alive"


def until_gone(system, ref):
    for _ in range(1000):
        if system.find(ref.path) is None:
            return
        let_time_pass(system, 0.01)
    raise AssertionError(f"{ref.path} is still there")


@pytest.mark.parametrize("error", CONTAINED, ids=lambda error: type(error).__name__)
def test_contained_base_exceptions_in_on_start_fail_the_spawn(any_system, error):
    class Stillborn(af.Actor):
        def on_start(self):
            raise error

    with pytest.raises(af.Crash) as caught:
        any_system.spawn(Stillborn)
    assert caught.value.__cause__ is error
    assert any_system.spawn(Echo).ask("alive", timeout=20) == "alive"


def test_keyboard_interrupt_drains_the_system(system_class):
    seen = []
    with system_class("test") as system:
        other = system.spawn(Loud, [], seen)
        ref = system.spawn(Failing)
        with pytest.raises(af.Crash) as caught:
            ref.call(Failing.fail, KeyboardInterrupt()).get(timeout=20)
        assert isinstance(caught.value.__cause__, KeyboardInterrupt)
        system.ended.get(timeout=20)
        assert not other.is_alive()
        assert not ref.is_alive()
    assert seen == ["stopped"]


def test_any_other_base_exception_stops_all_actors_as_in_pykka(any_system):
    class Bystander(pykka.ThreadingActor):
        use_daemon_thread = True

    foreign = Bystander.start()
    other, ref = any_system.spawn(Echo), any_system.spawn(Failing)
    with pytest.raises(af.Crash) as caught:
        ref.call(Failing.fail, Unusual("odd")).get(timeout=20)
    assert isinstance(caught.value.__cause__, Unusual)
    assert ref.actor_stopped.wait(20)
    assert other.actor_stopped.wait(20)
    any_system.stop()  # on virtual time, a wait for a foreign actor would stand still
    assert foreign.actor_stopped.wait(20)


def test_run_in_the_main_thread_ends_at_a_handlers_keyboard_interrupt():
    before = signal.getsignal(signal.SIGINT)
    with af.ActorSystem("test") as system:
        system.spawn(Failing).cast(Failing.fail, KeyboardInterrupt())
        system.run()
    assert signal.getsignal(signal.SIGINT) is before


def test_errors_in_asks_are_logged_as_info_and_crashes_as_errors(any_system, caplog):
    ref = any_system.spawn(Failing)
    with caplog.at_level(logging.INFO, "actorflow"):
        with pytest.raises(ZeroDivisionError):
            ref.call(Failing.fail, ZeroDivisionError()).get(timeout=20)
        assert [record.levelname for record in caplog.records] == ["INFO"]
        ref.cast(Failing.fail, ZeroDivisionError())
        assert ref.actor_stopped.wait(20)
        until(lambda: any(record.levelname == "ERROR" for record in caplog.records))
