"""Stash and pipe: messages put aside come back in order, futures become messages."""

import pykka
import pytest

import actorflow as af
from actorflow.core.messages.execution import CURRENT
from tests.core.actors import Echo, Failing, Held, Log, hold, let_time_pass, until


class Stashing(Held, Failing):
    """Stashes all but "open", which brings the stash back and answers."""

    def __init__(self, seen=None):
        super().__init__(seen)
        self.open = False

    def on_receive(self, message):
        if message == "open":
            self.open = True
            self.ctx.unstash()
        elif not self.open:
            self.ctx.stash()
            return "not the answer"
        else:
            self.seen.append(message)
        return ("answer", message)


class StashingAsync(Stashing):
    async def on_receive(self, message):
        await af.timer(0)
        return super().on_receive(message)


@pytest.mark.parametrize("cls", [Stashing, StashingAsync])
def test_stashed_messages_come_back_in_order_before_what_is_queued(any_system, cls):
    ref = any_system.spawn(cls)
    for number in range(3):
        ref.tell(number)
    ref.tell("open")
    ref.tell(3)
    ref.tell(4)
    assert ref.call(Log.read).get(timeout=20) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("cls", [Stashing, StashingAsync])
def test_a_stashed_ask_stays_unanswered_until_it_is_handled(any_system, cls):
    ref = any_system.spawn(cls)
    stashed = ref.ask("later", block=False)
    assert ref.call(Log.read).get(timeout=20) == []
    assert not stashed.done()
    assert ref.ask("open", timeout=20) == ("answer", "open")
    assert stashed.get(timeout=20) == ("answer", "later")


def test_a_message_may_be_stashed_again(any_system):
    ref = any_system.spawn(Stashing)
    stashed = ref.ask("later", block=False)
    ref.proxy().open = True
    ref.ask("open", timeout=20)
    ref.proxy().open = False
    again = ref.ask("again", block=False)
    ref.call(Log.read).get(timeout=20)
    assert not again.done()
    ref.ask("open", timeout=20)
    assert (stashed.get(timeout=20), again.get(timeout=20)) == (("answer", "later"), ("answer", "again"))


class Clumsy(Stashing):
    def open_and_fail(self):
        self.open = True
        self.ctx.unstash()
        raise KeyError("after unstash")

    def stash_and_fail(self):
        if not self.open:
            self.ctx.stash()
            raise KeyError("after stash")
        return "handled"


def test_unstash_holds_though_the_handler_fails_after_it(any_system):
    ref = any_system.spawn(Clumsy)
    stashed = ref.ask("stashed", block=False)
    with pytest.raises(KeyError, match="after unstash"):
        ref.call(Clumsy.open_and_fail).get(timeout=20)
    assert stashed.get(timeout=20) == ("answer", "stashed")


def test_an_ask_is_answered_though_its_handler_fails_after_stash(any_system):
    ref = any_system.spawn(Clumsy)
    stashed = ref.call(Clumsy.stash_and_fail)
    let_time_pass(any_system, 0.01)
    ref.stop(timeout=20)
    with pytest.raises((KeyError, af.ActorDeadError)):
        stashed.get(timeout=20)


def test_unstash_of_nothing_is_nothing(any_system):
    ref = any_system.spawn(Stashing)
    assert ref.ask("open", timeout=20) == ("answer", "open")
    assert ref.ask(1, timeout=20) == ("answer", 1)


def test_stashed_messages_are_answered_or_dead_letters_at_the_end(any_system):
    ref = any_system.spawn(Stashing)
    asked = ref.ask("asked", block=False)
    ref.tell("told")
    assert ref.stop(timeout=20)
    with pytest.raises(af.ActorDeadError):
        asked.get(timeout=20)
    any_system.spawn(Echo).ask("one more round", timeout=20)
    assert any_system.dead_letters == 1


def test_stashed_messages_survive_a_restart_in_front_of_the_mailbox(any_system):
    ref = any_system.spawn(af.child(Stashing).options(restart="permanent"))
    stashed = ref.ask("stashed", block=False)
    gate, _ = hold(ref)
    ref.cast(Failing.fail, ZeroDivisionError())
    ref.tell("queued")
    gate.set()
    ref.ask("open", timeout=20)
    assert stashed.get(timeout=20) == ("answer", "stashed")
    assert ref.call(Log.read).get(timeout=20) == ["stashed", "queued"]


# --- pipe -------------------------------------------------------------------------------------------------------------


class Piping(Held, Failing):
    def pipe(self, future):
        self.ctx.pipe(future, self.note)

    def pipe_with_errors(self, future):
        self.ctx.pipe(future, self.note, on_error=self.failed)

    def failed(self, error):
        self.note(("failed", str(error)))

    def pipe_foreign_error(self, future):
        self.ctx.pipe(future, self.note, on_error=print)

    def pipe_foreign(self, future, method):
        self.ctx.pipe(future, method)


def test_a_piped_future_becomes_a_message_and_the_actor_goes_on(any_system):
    ref, future = any_system.spawn(Piping), af.Future()
    ref.call(Piping.pipe, future).get(timeout=20)
    ref.tell("meanwhile")
    assert ref.call(Log.read).get(timeout=20) == ["meanwhile"]
    future.set("piped")
    any_system.spawn(Echo).ask("round", timeout=20)
    assert ref.call(Log.read).get(timeout=20) == ["meanwhile", "piped"]


def test_a_future_that_is_done_is_piped_at_once(any_system):
    ref, future = any_system.spawn(Piping), af.Future()
    future.set("done")
    ref.call(Piping.pipe, future).get(timeout=20)
    assert ref.call(Log.read).get(timeout=20) == ["done"]


def test_a_mapped_answer_can_be_piped(any_system):
    ref, echo = any_system.spawn(Piping), any_system.spawn(Echo)
    future = echo.ask(1, block=False).map(lambda n: n + 1)
    ref.call(Piping.pipe, future).get(timeout=20)
    assert future.get(timeout=20) == 2
    until(lambda: ref.call(Log.read).get(timeout=20) == [2])


def test_a_piped_error_crashes_the_actor(any_system, probe):
    any_system.subscribe(af.Crashed, probe.ref)
    ref, future = any_system.spawn(Piping), af.Future()
    ref.call(Piping.pipe, future).get(timeout=20)
    future.set_exception((KeyError, KeyError("piped"), None))
    assert str(probe.expect(af.Crashed, within=30).reason) == "'piped'"


def test_a_piped_error_goes_to_the_method_that_is_there_for_it(any_system):
    ref, failing, fine = any_system.spawn(Piping), af.Future(), af.Future()
    for future in (failing, fine):
        ref.call(Piping.pipe_with_errors, future).get(timeout=20)
    failing.set_exception((ValueError, ValueError("late"), None))
    fine.set(3)
    any_system.spawn(Echo).ask("round", timeout=20)
    assert ref.call(Log.read).get(timeout=20) == [("failed", "late"), 3]
    with pytest.raises(af.DefinitionError, match=r"self\.method"):
        ref.call(Piping.pipe_foreign_error, af.Future()).get(timeout=20)


def test_an_error_in_the_method_itself_is_none_of_the_futures(any_system, probe):
    class Odd(Piping):
        def note(self, message):
            raise LookupError(message)

    any_system.subscribe(af.Crashed, probe.ref)
    ref, future = any_system.spawn(Odd), af.Future()
    ref.call(Piping.pipe_with_errors, future).get(timeout=20)
    future.set("value")
    assert isinstance(probe.expect(af.Crashed, within=30).reason, LookupError)


def test_a_pipe_dies_with_its_incarnation(any_system):
    ref = any_system.spawn(af.child(Piping).options(restart="permanent"))
    future = af.Future()
    ref.call(Piping.pipe, future).get(timeout=20)
    ref.cast(Failing.fail, ZeroDivisionError())
    assert ref.call(Log.read).get(timeout=20) == []
    future.set("for the old one")
    any_system.spawn(Echo).ask("round", timeout=20)
    assert ref.call(Log.read).get(timeout=20) == []


def test_pipe_takes_a_method_of_the_actor_only(any_system):
    ref = any_system.spawn(Piping)
    with pytest.raises(af.DefinitionError, match=r"self\.method"):
        ref.call(Piping.pipe_foreign, af.Future(), print).get(timeout=20)


def renamed(method):
    """Decorate a method without functools.wraps."""

    def inner(self, *args):
        return method(self, *args)

    return inner


class Hidden(Log):
    """Has methods that are not found by their names."""

    def __private(self, message): ...

    @renamed
    def decorated(self, message): ...

    def act(self, way, kind):
        method = self.__private if kind == "private" else self.decorated
        if way == "pipe":
            self.ctx.pipe(af.Future(), method)
        elif way == "on_error":
            self.ctx.pipe(af.Future(), self.on_receive, on_error=method)
        else:
            self.ctx.after(60, method, 1)


@pytest.mark.parametrize("way", ["pipe", "on_error", "after"])
@pytest.mark.parametrize("kind", ["private", "decorated"])
def test_a_method_that_is_not_found_by_its_name_is_refused_at_once(any_system, way, kind):
    ref = any_system.spawn(Hidden)
    with pytest.raises(af.DefinitionError, match="called by their names"):
        ref.call(Hidden.act, way, kind).get(timeout=20)


@pytest.mark.parametrize("other", [None, 5, pykka.ThreadingFuture()], ids=["none", "number", "pykka"])
def test_pipe_takes_a_future_only(any_system, other):
    ref = any_system.spawn(Piping)
    with pytest.raises(af.DefinitionError, match="give a future of actorflow"):
        ref.call(Piping.pipe, other).get(timeout=20)


class Bounded(Log):
    """Pipes what it is given, and notes the value or the class of the error."""

    def take(self, future, timeout):
        self.ctx.pipe(future, self.on_receive, on_error=self.missed, timeout=timeout)

    def bare(self, future, timeout):
        self.ctx.pipe(future, self.on_receive, timeout=timeout)

    def missed(self, error):
        self.seen.append(type(error).__name__)


def test_a_pipe_with_a_timeout_gives_the_value_or_asktimeout_and_nothing_later(any_system):
    ref = any_system.spawn(Bounded)
    quick, slow = af.Future(), af.Future()
    quick.set("there")
    ref.call(Bounded.take, quick, 60.0).get(timeout=20)
    ref.call(Bounded.take, slow, 0.0).get(timeout=20)
    until(lambda: ref.call(Log.read).get(timeout=20) == ["there", "AskTimeout"], any_system)
    slow.set("late")
    assert ref.call(Log.read).get(timeout=20) == ["there", "AskTimeout"]
    assert not slow._wakes


def test_a_pipe_whose_time_is_over_crashes_an_actor_that_takes_no_errors(any_system, probe):
    ref = any_system.spawn(Bounded)
    any_system.subscribe(af.Crashed, probe.ref)
    ref.call(Bounded.bare, af.Future(), 0.01).get(timeout=20)
    assert isinstance(probe.expect(af.Crashed, within=20).reason, af.AskTimeout)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_pipe_with_a_timeout_below_zero_is_refused(any_system, timeout):
    ref = any_system.spawn(Bounded)
    with pytest.raises(af.DefinitionError, match="timeout"):
        ref.call(Bounded.take, af.Future(), timeout).get(timeout=20)


@pytest.mark.parametrize("kind", ["mapped", "joined", "chained"])
def test_a_pipe_of_a_computed_future_has_its_timeout_too(any_system, kind):
    ref, never, there = any_system.spawn(Bounded), af.Future(), af.Future()
    there.set("there")
    if kind == "mapped":
        future = never.map(str)
    else:
        future = there.join(never) if kind == "joined" else there.join(never).map(list).map(str)
    ref.call(Bounded.take, future, 0.01).get(timeout=20)
    until(lambda: ref.call(Log.read).get(timeout=20) == ["AskTimeout"], any_system)
    assert not never._wakes
    never.set("late")
    assert ref.call(Log.read).get(timeout=20) == ["AskTimeout"]


def test_a_computed_future_is_computed_by_the_actor_that_it_is_piped_to_with_a_timeout_too(any_system):
    ref, future, where = any_system.spawn(Bounded), af.Future(), []

    def compute(value):
        where.append(CURRENT.get().receiver)
        return value

    ref.call(Bounded.take, future.map(compute), 60.0).get(timeout=20)
    future.set("value")
    until(lambda: ref.call(Log.read).get(timeout=20) == ["value"], any_system)
    assert where == [ref]
