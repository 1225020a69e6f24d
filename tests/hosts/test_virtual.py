"""Promises: on a virtual clock hosts are in this process, and messages and answers are pickled all the same."""

import os
import threading
from dataclasses import dataclass

import pytest

import actorflow as af
from tests.hosts.actors import Fragile, Here, Notes, hosted

pytestmark = pytest.mark.timeout(300)


class Keeps(Notes):
    def keep(self, value):
        self.kept = value
        return value

    def kept_value(self):
        return self.kept

    def lock(self):
        return threading.Lock()

    async def later(self, seconds):
        await af.timer(seconds)
        return self.ctx.now()


@pytest.fixture
def ref(virtual_system):
    return virtual_system.spawn(hosted(Keeps, name="x", restart="permanent"))


def test_a_host_is_in_this_process(ref):
    assert ref.call(Here.pid).get() == os.getpid()


def test_messages_are_not_shared(ref):
    message = [1, 2]
    answer = ref.ask(message)
    assert answer == [1, 2]
    assert answer is not message
    ref.call(Keeps.keep, message).get()
    message.append(3)
    assert ref.call(Keeps.kept_value).get() == [1, 2]
    ref.tell(message)
    message.clear()
    assert ref.call(Notes.read).get() == [[1, 2], [1, 2, 3]]


def test_an_actor_in_a_message_is_refused_with_the_cure(virtual_system, ref):
    class Leaks(af.Actor):
        def send_itself(self, to):
            to.tell({"from": self})

    with pytest.raises(af.PayloadError, match=r"the message\['from'\], a Leaks, .* send its ref, self.actor_ref"):
        virtual_system.spawn(Leaks).call(Leaks.send_itself, ref).get()


def test_answers_are_not_shared(ref):
    first = ref.call(Keeps.keep, [1]).get()
    first.append(2)
    assert ref.call(Keeps.kept_value).get() == [1]


def test_arguments_of_init_are_not_shared(virtual_system):
    seen = [1]
    ref = virtual_system.spawn(hosted(Keeps, [seen]))
    seen.append(2)
    assert ref.call(Notes.read).get() == [[1]]


def test_arguments_of_init_that_do_not_pickle_are_refused_at_spawn(virtual_system):
    with pytest.raises(af.PayloadError, match="a lock"):
        virtual_system.spawn(hosted(Keeps, [threading.Lock()], name="bad"))


def test_what_does_not_pickle_is_refused_at_the_sender(ref):
    for send in (ref.tell, ref.ask, lambda bad: ref.call(Keeps.keep, bad), lambda bad: ref.cast(Keeps.keep, bad)):
        with pytest.raises(af.PayloadError, match=r"\[0\], a lock"):
            send([threading.Lock()])


def test_an_answer_that_does_not_pickle_is_an_error_of_the_asker(ref):
    with pytest.raises(af.PayloadError, match="the answer, a lock"):
        ref.call(Keeps.lock).get()
    assert ref.is_alive()


def test_errors_arrive_as_from_another_process(virtual_system):
    error = ValueError("boom")
    with pytest.raises(ValueError, match="boom") as caught:
        virtual_system.spawn(hosted(Fragile)).call(Fragile.fail, error).get()
    assert caught.value is not error


def test_refs_cross(virtual_system, ref):
    other = virtual_system.spawn(hosted(Keeps))
    assert other.ask({"ref": ref})["ref"] == ref
    assert ref.call(Here.me).get() == ref


def test_a_crash_restarts_it(virtual_system, ref):
    class Broken(Keeps):
        def fail(self):
            raise ValueError("boom")

    broken = virtual_system.spawn(hosted(Broken, restart="permanent"))
    broken.tell("lost")
    broken.cast(Broken.fail)
    broken.tell("kept")
    assert broken.call(Notes.read).get() == ["kept"]


class Doomed(Keeps):
    """Keeps the error that it raises, where a test sees the object."""

    def __init__(self, *, starts=True):
        super().__init__()
        self.starts = starts

    def on_start(self):
        if not self.starts:
            self.fail()

    def fail(self):
        ERRORS.append(ValueError("boom"))
        raise ERRORS[-1]


def chain_of(error):
    """Return an error and all that it came from."""
    found = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


class Watcher(af.Actor):
    """Watches an actor, and keeps the errors of its ends."""

    def __init__(self, ref):
        super().__init__()
        self.ref, self.errors = ref, []

    def on_start(self):
        self.ctx.watch(self.ref)

    def on_receive(self, message):
        self.errors.append(message.reason)


@pytest.mark.parametrize("event", [af.Crashed, af.Stopped, af.DeadLetter, af.Restarted])
def test_who_hears_of_a_crash_in_another_host_gets_a_copy_of_its_error(virtual_system, event):
    heard = []
    virtual_system.subscribe(event, heard.append)
    ref = virtual_system.spawn(hosted(Doomed, restart="permanent" if event is af.Restarted else "temporary"))
    ref.cast(Doomed.fail)
    virtual_system.sleep(5)
    (error,) = [one.reason for one in heard]
    assert str(error) == "boom"
    assert all(one is not ERRORS[-1] for one in chain_of(error))


def test_a_watcher_of_an_actor_in_another_host_gets_a_copy_of_its_error(virtual_system):
    ref = virtual_system.spawn(hosted(Doomed, restart="temporary"))
    watcher = virtual_system.spawn(Watcher, ref)
    ref.cast(Doomed.fail)
    virtual_system.sleep(5)
    (error,) = watcher.proxy().errors.get()
    assert str(error) == "boom"
    assert error is not ERRORS[-1]


def test_a_supervisor_gets_copies_of_the_errors_of_children_in_hosts(virtual_system):
    inner = af.child(af.Supervisor, hosted(Doomed, name="x"), intensity=0).options(name="inner", restart="temporary")
    virtual_system.spawn(af.child(af.Supervisor, inner).options(name="outer"))
    watcher = virtual_system.spawn(Watcher, virtual_system.find("/test/outer/inner"))
    virtual_system.find("/test/outer/inner/x").cast(Doomed.fail)
    virtual_system.sleep(5)
    (limit,) = watcher.proxy().errors.get()
    assert isinstance(limit, af.RestartLimitReached)
    (_, _, error), *_ = limit.history
    assert str(error) == "boom"
    assert all(one is not ERRORS[-1] for one in [error, *chain_of(limit)])


class Sleeper(Keeps):
    def on_receive(self, message):
        self.ctx.sleep(1000)


class Asker(Keeps):
    def ask_it(self, ref):
        try:
            ref.ask("x", timeout=500)
        except af.ActorDeadError as error:
            self.kept = error.__cause__ is ERRORS[-1], str(error.__cause__)


class Crashes(Doomed):
    def make(self):
        return self.ctx.spawn(hosted(Sleeper, process=af.Process(name="h")))


def test_an_actor_in_a_host_gets_a_copy_of_the_error_of_its_parent_which_ends_it(virtual_system):
    parent = virtual_system.spawn(Crashes)
    child = parent.call(Crashes.make).get()
    asker = virtual_system.spawn(hosted(Asker, process=af.Process(name="h")))
    asker.cast(Asker.ask_it, child)
    virtual_system.sleep(1)
    parent.cast(Doomed.fail)
    virtual_system.sleep(10)
    assert asker.call(Keeps.kept_value).get() == (False, "boom")


def test_who_starts_an_actor_in_a_host_gets_a_copy_of_the_error_of_its_on_start(virtual_system):
    with pytest.raises(ValueError, match="boom") as caught:
        virtual_system.spawn(af.child(Doomed, starts=False).options(host=af.Process()))
    assert all(one is not ERRORS[-1] for one in chain_of(caught.value))


def test_time_is_virtual(virtual_system, ref):
    before = virtual_system.now
    ref.call(Keeps.later, 3600).get()
    assert virtual_system.now - before >= 3600


def test_bounded_mailboxes_keep_their_bound(virtual_system):
    ref = virtual_system.spawn(hosted(Keeps, capacity=2, overflow="fail"))
    ref.tell(1)
    ref.tell(2)
    with pytest.raises(af.MailboxFull):
        ref.tell(3)
    virtual_system.sleep(0)
    assert ref.call(Notes.read).get() == [1, 2]


def test_proxies_work(ref):
    proxy = ref.proxy()
    proxy.note("a").get()
    seen = proxy.seen.get()
    seen.append("b")
    assert proxy.seen.get() == ["a"]


def test_the_same_seed_gives_the_same_run():
    from actorflow.testing import VirtualSystem

    class Sender(Here):
        def send(self, to, count):
            for number in range(count):
                to.tell((self.actor_ref.name, number))
                self.ctx.sleep(0)

    def run():
        with VirtualSystem("test", seed=5) as system:
            notes = system.spawn(hosted(Keeps))
            futures = [system.spawn(hosted(Sender, name=name)).call(Sender.send, notes, 5) for name in "abc"]
            for future in futures:
                future.get()
            return notes.call(Notes.read).get()

    assert run() == run()


class Parent(Keeps):
    """Spawns children in its host, and sends to actors of its own host and of others."""

    def kid(self, capacity=None):
        return self.ctx.spawn(af.child(Keeps).options(capacity=capacity))

    def send_and_change(self, to, how):
        message = [1]
        getattr(to, how)(message)
        message.append(2)

    def send_lock(self, to):
        to.tell(threading.Lock())

    def gets_the_same(self, ref):
        return ref.call(Keeps.kept_value).get() is ref.call(Keeps.kept_value).get()

    def error_of(self, ref, error):
        try:
            ref.call(Parent.raise_it, error).get()
        except ValueError as raised:
            return raised is ERRORS[-1]

    def raise_it(self, error):
        ERRORS.append(error)
        raise error


ERRORS = []


def received(ref):
    return [message for message in ref.call(Notes.read).get() if isinstance(message, list)]


@pytest.mark.parametrize("capacity", [None, 10])
@pytest.mark.parametrize("how", ["tell", "ask"])
def test_a_message_of_a_hosted_actor_is_not_shared(virtual_system, how, capacity):
    sender = virtual_system.spawn(hosted(Parent))
    plain = virtual_system.spawn(af.child(Keeps).options(capacity=capacity))
    sender.call(Parent.send_and_change, plain, how).get()
    assert received(plain) == [[1]]


@pytest.mark.parametrize("capacity", [None, 10])
def test_what_a_hosted_actor_sends_and_cannot_pickle_is_refused(virtual_system, capacity):
    sender = virtual_system.spawn(hosted(Parent))
    plain = virtual_system.spawn(af.child(Keeps).options(capacity=capacity))
    with pytest.raises(af.PayloadError, match="a lock"):
        sender.call(Parent.send_lock, plain).get()


@pytest.mark.parametrize("capacity", [None, 10])
def test_a_child_of_a_hosted_actor_is_in_its_host(virtual_system, capacity):
    kid, message = virtual_system.spawn(hosted(Parent)).call(Parent.kid, capacity).get(), [1]
    kid.tell(message)
    message.append(2)
    assert received(kid) == [[1]]
    with pytest.raises(af.PayloadError, match="a lock"):
        kid.tell(threading.Lock())
    with pytest.raises(af.PayloadError, match="the answer, a lock"):
        kid.call(Keeps.lock).get()


def test_within_a_host_messages_and_answers_are_shared(virtual_system):
    parent = virtual_system.spawn(hosted(Parent))
    kid = parent.call(Parent.kid).get()
    parent.call(Parent.send_and_change, kid, "tell").get()
    assert received(kid) == [[1, 2]]
    kid.call(Keeps.keep, [1]).get()
    assert parent.call(Parent.gets_the_same, kid).get()
    parent.call(Parent.send_lock, kid).get()


def test_actors_of_one_named_process_share_what_they_send(virtual_system):
    here = af.Process(name="shared")
    one, two = (virtual_system.spawn(af.child(Parent).options(host=here)) for _ in range(2))
    one.call(Parent.send_and_change, two, "tell").get()
    assert received(two) == [[1, 2]]


def test_answers_and_errors_of_plain_actors_are_not_shared_with_a_hosted_one(virtual_system):
    hosted_one, plain = virtual_system.spawn(hosted(Parent)), virtual_system.spawn(Parent)
    plain.call(Keeps.keep, [1]).get()
    assert not hosted_one.call(Parent.gets_the_same, plain).get()
    assert hosted_one.call(Parent.error_of, plain, ValueError("boom")).get() is False
    assert plain.call(Parent.error_of, virtual_system.spawn(Parent), ValueError("boom")).get() is True


def test_a_durable_actor_in_a_host_shares_nothing_with_plain_ones(virtual_system):
    plain = virtual_system.spawn(Keeps)
    durable = virtual_system.spawn(af.child(Held).options(name="d", durable=True, host=af.Process()))
    durable.call(Held.send_and_change, plain).get()
    assert received(plain) == [[1]]


@dataclass
class Sent:
    count: int = 0


class Held(af.Actor):
    def __init__(self):
        super().__init__()
        self.state = Sent()

    def send_and_change(self, to):
        message = [1]
        to.tell(message)
        message.append(2)
