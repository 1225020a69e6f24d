"""Promises: an error comes to the one whose it is, whichever process it was raised in."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import actorflow as af
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Fragile, Here, Notes, call, events, hosted

pytestmark = pytest.mark.timeout(300)


class TwoArguments(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class KeywordOnly(Exception):
    def __init__(self, *, reason):
        super().__init__(reason)
        self.reason = reason


class Unpicklable(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class Chained(Here):
    def fail(self):
        try:
            {}["absent"]
        except KeyError as error:
            raise ValueError("outer") from error

    def fail_local(self):
        class Local(Exception):
            pass

        raise Local("only here")

    def lock(self):
        return {"a": [threading.Lock()]}

    async def fail_async(self):
        await af.timer(0)
        raise LookupError("async")

    def fail_later(self):
        reply = self.ctx.reply_later()
        reply.fail(OSError(5, "later"))

    def fail_by_keyword(self):
        raise KeywordOnly(reason="why")

    def crash(self):
        raise af.Crash from ValueError("both")

    def cancelled(self):
        raise asyncio.CancelledError


class NoInit(Here):
    def __init__(self, what):
        super().__init__()
        raise TwoArguments(7, what)


class NoStart(Here):
    def on_start(self):
        raise LookupError("on_start")


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y


class Poison:
    """Pickles, and does not unpickle."""

    def __reduce__(self):
        return explode, ()


def explode():
    raise ZeroDivisionError("does not unpickle")


@pytest.fixture
def ref(system):
    return system.spawn(hosted(Fragile, name="x"))


def test_an_asker_gets_the_error_with_the_remote_traceback_and_the_actor_lives(ref):
    with pytest.raises(ValueError, match="boom") as caught:
        call(ref, Fragile.fail, ValueError("boom"))
    notes = "\n".join(caught.value.__notes__)
    assert "Traceback in process" in notes
    assert "in fail" in notes
    assert "actors.py" in notes
    assert call(ref, Notes.count) == 0


def test_a_cause_travels_along(system):
    with pytest.raises(ValueError, match="outer") as caught:
        call(system.spawn(hosted(Chained)), Chained.fail)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("kind", ["fail_async", "fail_later"])
def test_errors_of_async_handlers_and_late_replies_reach_the_asker(system, kind):
    ref = system.spawn(hosted(Chained))
    with pytest.raises((LookupError, OSError)):
        call(ref, getattr(Chained, kind))
    assert ref.is_alive()


def test_an_error_whose_init_takes_other_arguments_keeps_its_class(ref):
    with pytest.raises(TwoArguments) as caught:
        call(ref, Fragile.fail_of, TwoArguments, 3, "text")
    assert (caught.value.code, caught.value.text, str(caught.value)) == (3, "text", "3: text")


def test_an_error_whose_init_takes_keywords_only_keeps_its_class(system):
    with pytest.raises(KeywordOnly, match="why") as caught:
        call(system.spawn(hosted(Chained)), Chained.fail_by_keyword)
    assert caught.value.reason == "why"


def test_an_error_that_does_not_pickle_keeps_class_and_text(ref):
    with pytest.raises(Unpicklable, match="locked"):
        call(ref, Fragile.fail_of, Unpicklable, "locked")


def test_an_error_of_a_local_class_arrives(system):
    ref = system.spawn(hosted(Chained))
    with pytest.raises(Exception, match="only here") as caught:
        call(ref, Chained.fail_local)
    assert type(caught.value).__name__ in {"Local", "RemoteError"}


def test_errors_pass_through_several_processes(system, ref):
    class Between(Here):
        def ask(self, other):
            return call(other, Fragile.fail_of, KeyError, "far")

    other = system.spawn(hosted(Between))
    with pytest.raises(KeyError, match="far") as caught:
        call(other, Between.ask, ref)
    assert "\n".join(caught.value.__notes__).count("Traceback in process") == 2


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, asyncio.CancelledError])
def test_a_base_exception_crashes_that_actor_only_and_answers(system, kind):
    shared = af.Process(name="shared")
    one, other = (system.spawn(hosted(Fragile, process=shared)) for _ in range(2))
    with pytest.raises(af.Crash):
        call(one, Fragile.fail_of, kind, 3)
    one.stop(timeout=LIMIT)
    assert not one.is_alive()
    assert call(other, Notes.count) == 0


def test_crash_from_answers_and_crashes(system):
    ref = system.spawn(hosted(Chained, name="x", restart="permanent"))
    with events(system, af.Restarted) as seen:
        with pytest.raises(ValueError, match="both"):
            call(ref, Chained.crash)
        call(ref, Here.pid)
        until(lambda: seen)
    assert [name for _, name, _ in seen] == ["x"]


# --- spawn -----------------------------------------------------------------------------------------------------------


def test_spawn_raises_what_init_raises(system):
    with pytest.raises(TwoArguments, match="7: x") as caught:
        system.spawn(hosted(NoInit, "x", name="broken"))
    assert "__init__" in "\n".join(caught.value.__notes__)
    assert system.find("/test/broken", NoInit) is None


def test_spawn_raises_what_on_start_raises(system):
    with pytest.raises(LookupError, match="on_start"):
        system.spawn(hosted(NoStart, name="broken"))
    assert system.find("/test/broken", NoStart) is None


def test_a_failed_start_leaves_no_process_and_no_name_behind(system):
    import psutil

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(LookupError):
        system.spawn(hosted(NoStart, name="broken"))
    from tests.core.actors import until

    until(lambda: {child.pid for child in psutil.Process().children(recursive=True)} <= before)
    assert call(system.spawn(hosted(Here, name="broken")), Here.pid) != os.getpid()


def test_a_failed_start_in_a_shared_process_leaves_the_others_alone(system):
    shared = af.Process(name="shared")
    one = system.spawn(hosted(Notes, process=shared))
    with pytest.raises(TwoArguments):
        system.spawn(hosted(NoInit, "x", process=shared))
    assert one.ask(1, timeout=LIMIT) == 1


def test_spawn_within_a_host_raises_what_init_raises(system):
    class Parent(Here):
        def start(self, recipe):
            self.ctx.spawn(recipe)

    parent = system.spawn(hosted(Parent))
    for recipe in (af.child(NoInit, "y"), hosted(NoInit, "y")):
        with pytest.raises(TwoArguments, match="7: y"):
            call(parent, Parent.start, recipe)


def test_wrong_arguments_of_init_are_told_at_spawn(system):
    with pytest.raises((af.DefinitionError, TypeError), match="what"):
        system.spawn(hosted(NoInit))


# --- what does not pickle --------------------------------------------------------------------------------------------


def test_a_message_that_does_not_pickle_is_refused_at_the_sender(ref):
    bad = Point(1, {"deep": [threading.Lock()]})
    for send in (
        lambda: ref.tell(bad),
        lambda: ref.ask(bad, timeout=LIMIT),
        lambda: ref.cast(Notes.note, bad),
        lambda: ref.call(Notes.note, bad),
        lambda: ref.proxy().note(bad),
    ):
        with pytest.raises(af.PayloadError, match=r"\.y\['deep'\]\[0\], a lock"):
            send()
    assert call(ref, Notes.read) == []


def test_a_future_in_a_message_is_refused_with_the_cure(system, ref):
    class Gives(Here):
        def give(self, other):
            return [other.ask("?", block=False)]

    with pytest.raises(af.PayloadError, match="the message, a Future, .* send its value"):
        ref.tell(af.Future())
    with pytest.raises(af.PayloadError, match=r"the answer\[0\], a RemoteFuture, .* send its value"):
        call(system.spawn(hosted(Gives)), Gives.give, ref)


class Leaks(Here):
    """Sends itself instead of its ref."""

    def itself(self):
        return {"me": self}

    def its_context(self):
        return [self.ctx]

    def send_itself(self, to):
        to.tell({"from": self})

    def send_method(self, to):
        to.tell(lambda: self.itself())


@pytest.mark.parametrize("host", [None, af.Process()], ids=["here", "hosted"])
def test_an_actor_in_a_message_is_refused_with_the_cure(system, ref, host):
    leaks = system.spawn(af.child(Leaks).options(host=host))
    with pytest.raises(af.PayloadError, match=r"the message\['from'\], a Leaks, .* send its ref, self.actor_ref"):
        call(leaks, Leaks.send_itself, ref)
    with pytest.raises(af.PayloadError, match=r"the message.*'self'.*, a Leaks, .* send its ref"):
        call(leaks, Leaks.send_method, ref)


def test_an_actor_in_an_answer_is_refused_with_the_cure(system):
    leaks = system.spawn(hosted(Leaks))
    with pytest.raises(af.PayloadError, match=r"the answer\['me'\], a Leaks, .* send its ref"):
        call(leaks, Leaks.itself)
    with pytest.raises(af.PayloadError, match=r"the answer\[0\], a Context, .* send the actor's ref"):
        call(leaks, Leaks.its_context)


def test_arguments_of_init_that_do_not_pickle_are_refused_at_spawn(system):
    with pytest.raises(af.PayloadError, match=r"\['deep'\]\[0\], a lock"):
        system.spawn(hosted(Notes, {"deep": [threading.Lock()]}, name="x"))
    assert system.find("/test/x", Notes) is None


def test_a_hosted_sender_is_told_likewise(system):
    class Sender(Here):
        def send(self, to):
            to.tell(Point(1, threading.Lock()))

    here, sender = system.spawn(Notes), system.spawn(hosted(Sender))
    with pytest.raises(af.PayloadError, match=r"\.y, a lock"):
        call(sender, Sender.send, here)


def test_an_answer_that_does_not_pickle_is_an_error_of_the_asker(system):
    ref = system.spawn(hosted(Chained))
    with pytest.raises(af.PayloadError, match=r"the answer\['a'\]\[0\], a lock"):
        call(ref, Chained.lock)
    assert ref.is_alive()


def test_a_message_that_does_not_unpickle_is_the_askers_error(ref):
    with pytest.raises(ZeroDivisionError):
        ref.ask(Poison(), timeout=LIMIT)
    assert ref.ask(1, timeout=LIMIT) == 1


def test_a_told_message_that_does_not_unpickle_is_a_dead_letter(system, ref):
    with events(system, af.DeadLetter) as seen:
        ref.tell(Poison())
        ref.tell("after")
        assert call(ref, Notes.read) == ["after"]
        call(ref, Notes.count)
        until(lambda: seen)
    assert [(name, type(reason)) for _, name, reason in seen] == [("x", ZeroDivisionError)]


def test_an_answer_that_does_not_unpickle_is_an_error_of_the_asker(system):
    class Poisoner(Here):
        def poison(self):
            return Poison()

    with pytest.raises(ZeroDivisionError):
        call(system.spawn(hosted(Poisoner)), Poisoner.poison)


def test_an_answer_that_does_not_unpickle_leaves_the_others_in_the_frame_alone(system):
    class Poisoner(Here):
        def on_receive(self, message):
            return Poison() if message == 50 else message

    ref = system.spawn(hosted(Poisoner))
    futures = [ref.ask(number, block=False) for number in range(100)]
    for number, future in enumerate(futures):
        if number == 50:
            with pytest.raises(ZeroDivisionError):
                future.get(timeout=LIMIT)
        else:
            assert future.get(timeout=LIMIT) == number


def test_closures_lambdas_and_local_classes_cross(system):
    offset = 5

    class Local(Here):
        def apply(self, function, value):
            return function(value)

    ref = system.spawn(hosted(Local))
    assert call(ref, Local.apply, lambda n: n + offset, 2) == 7
    assert call(ref, Local.pid) != os.getpid()


def test_a_method_that_the_class_has_not_is_refused_here(ref):
    with pytest.raises(af.DefinitionError):
        ref.call(Chained.lock)


class Exits:
    """Exits as it is pickled, once it is told to."""

    def __init__(self, kind):
        self.kind = kind
        self.is_armed = False

    def __reduce__(self):
        if self.is_armed:
            raise self.kind("not I")
        return Exits, (self.kind,)


class Returns(Fragile):
    def returns(self, answer):
        answer.is_armed = True
        return answer


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_answer_that_exits_as_it_is_pickled_is_an_error_of_the_asker_and_the_actor_lives(system, kind):
    ref = system.spawn(hosted(Returns))
    with pytest.raises(af.errors.PayloadError, match="an answer does not pickle: .*not I"):
        call(ref, Returns.returns, Exits(kind))
    assert call(ref, Returns.count) == 0


class Wordless(SystemExit):
    """An exit that cannot even be described."""

    def __str__(self):
        raise LookupError("no words")

    __repr__ = __str__


def exits():
    raise Wordless


class ExitsThere:
    """Exits as it is unpickled."""

    def __reduce__(self):
        return exits, ()


class Receives(Fragile):
    def wordless(self):
        answer = Exits(Wordless)
        answer.is_armed = True
        return answer

    def makes(self):
        return ExitsThere()

    def takes(self, argument):
        return argument


@pytest.mark.parametrize(
    ("method", "args", "text"),
    [
        (Receives.wordless, (), "an answer does not pickle: .*Wordless"),
        (Receives.makes, (), "an answer does not unpickle: .*Wordless"),
        (Receives.takes, (ExitsThere(),), "a message does not unpickle: .*Wordless"),
    ],
)
def test_an_exit_without_words_on_the_way_is_an_error_of_the_asker_and_not_an_ask_without_answer(
    system, method, args, text
):
    ref = system.spawn(hosted(Receives))
    asker = ThreadPoolExecutor(1)  # in the main thread an exit might be that of a signal's handler
    with asker, pytest.raises(af.errors.PayloadError, match=text):
        asker.submit(ref.call(method, *args).get, timeout=LIMIT).result()
    assert call(ref, Receives.count) == 0
