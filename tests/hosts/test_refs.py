"""Promises: refs cross processes in both directions, inside messages and answers."""

import os
import pickle

import pytest

import actorflow as af
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Here, Notes, call, hosted, pid_of

pytestmark = pytest.mark.timeout(300)


class Parent(Notes):
    """Has children, in its own process or in one of their own."""

    def start(self, recipe):
        return self.ctx.spawn(recipe)

    def start_many(self, cls, count):
        self.children = {f"c{number}": self.ctx.spawn(cls) for number in range(count)}
        return self.children

    def tell(self, ref, message):
        ref.tell(message)

    def ask(self, ref, message):
        return ref.ask(message, timeout=LIMIT)

    def call_pid(self, ref):
        return call(ref, Here.pid)

    def who_asks(self, ref):
        return call(ref, Here.sender)

    def knows(self, ref):
        return ref == self.actor_ref, hash(ref) == hash(self.actor_ref), len({ref, self.actor_ref}) == 1

    def same(self, one, other):
        return one == other, len({one, other})

    def stop_it(self, ref):
        return ref.stop(timeout=LIMIT)

    def alive(self, ref):
        return ref.is_alive()

    def proxied(self, ref):
        return ref.proxy().count().get(timeout=LIMIT)


@pytest.fixture
def there(system):
    return system.spawn(hosted(Parent, name="there"))


def test_a_ref_of_this_process_works_in_a_host(system, there):
    here = system.spawn(Notes)
    call(there, Parent.tell, here, "told")
    assert call(there, Parent.ask, here, "asked") == "asked"
    assert call(there, Parent.call_pid, here) == os.getpid()
    assert call(there, Parent.proxied, here) == 2
    assert call(here, Notes.read) == ["told", "asked"]


def test_a_hosted_actor_gives_out_its_own_ref(system, there):
    me = call(there, Here.me)
    assert me == there
    assert hash(me) == hash(there)
    assert me.path == "/test/there"
    assert me.actor_urn == there.actor_urn
    assert pid_of(me) == pid_of(there)
    assert repr(me) == repr(there)


def test_a_hosted_actor_knows_its_own_ref_when_it_comes_back(there):
    assert call(there, Parent.knows, there) == (True, True, True)


def test_a_child_that_was_started_in_the_host_works_from_here(system, there):
    child = call(there, Parent.start, af.child(Notes).options(name="kid"))
    assert child.path == "/test/there/kid"
    assert child.actor_class is Notes
    child.tell("a")
    assert child.ask("b", timeout=LIMIT) == "b"
    assert call(child, Notes.read) == ["a", "b"]
    assert child.proxy().count().get(timeout=LIMIT) == 2
    assert pid_of(child) == pid_of(there)
    assert call(child, Here.parent) == there
    assert child.is_alive()
    assert child.stop(timeout=LIMIT) is True
    assert not child.is_alive()


def test_children_of_a_host_die_with_it(there, probe):
    children = call(there, Parent.start_many, Notes, 5)
    assert {ref.path for ref in children.values()} == {f"/test/there/{ref.name}" for ref in children.values()}
    there.stop(timeout=LIMIT)
    for child in children.values():
        assert not child.is_alive()
        with pytest.raises(af.ActorDeadError):
            child.ask("?", timeout=LIMIT)


def test_a_child_of_one_host_works_in_another(system, there):
    child = call(there, Parent.start, af.child(Notes).options(name="kid"))
    other = system.spawn(hosted(Parent))
    call(other, Parent.tell, child, "told")
    assert call(other, Parent.ask, child, "asked") == "asked"
    assert call(other, Parent.call_pid, child) == pid_of(there)
    assert call(other, Parent.same, child, child) == (True, 1)
    assert call(child, Notes.read) == ["told", "asked"]
    assert call(other, Parent.stop_it, child) is True
    assert call(other, Parent.alive, child) is False
    assert not child.is_alive()


def test_hosts_reach_each_other(system, there):
    other = system.spawn(hosted(Parent))
    assert call(other, Parent.ask, there, [1, 2]) == [1, 2]
    assert call(there, Parent.ask, other, [3]) == [3]
    assert call(other, Parent.call_pid, there) == pid_of(there)
    assert call(other, Parent.proxied, there) == 1
    assert call(there, Parent.alive, other) is True
    assert call(there, Parent.stop_it, other) is True
    assert call(there, Parent.alive, other) is False


def test_two_guests_of_one_host_reach_each_other_without_the_parent(system):
    shared = af.Process(name="shared")
    one, two = (system.spawn(hosted(Parent, process=shared)) for _ in range(2))
    assert pid_of(one) == pid_of(two)
    assert call(one, Parent.ask, two, "hello") == "hello"
    assert call(one, Parent.call_pid, two) == pid_of(two)
    assert call(two, Parent.who_asks, one) == two


def test_the_sender_is_known_in_both_directions(system, there):
    here = system.spawn(Parent)
    assert call(here, Parent.who_asks, there) == here
    assert call(there, Parent.who_asks, here) == there
    other = system.spawn(hosted(Parent))
    assert call(other, Parent.who_asks, there) == other
    assert call(there, Here.sender) is None


def test_the_sender_can_be_answered_by_a_tell(system, there, probe):
    class Polite(Notes):
        def on_receive(self, message):
            self.ctx.sender.tell(("thanks for", message))

    class Asker(Notes):
        def __init__(self, report):
            super().__init__()
            self.report = report

        def send(self, ref, message):
            ref.tell(message)

        def on_receive(self, message):
            self.report.tell(message)

    polite = system.spawn(hosted(Polite))
    asker = system.spawn(Asker, probe.ref)
    call(asker, Asker.send, polite, 1)
    assert probe.expect(within=LIMIT) == ("thanks for", 1)
    far = system.spawn(hosted(Asker, probe.ref))
    call(far, Asker.send, polite, 2)
    assert probe.expect(within=LIMIT) == ("thanks for", 2)


def test_many_senders_are_introduced_and_forgotten(system, there):
    senders = [system.spawn(Parent) for _ in range(1200)]
    futures = [sender.call(Parent.who_asks, there) for sender in senders]
    assert [future.get(timeout=LIMIT) for future in futures] == senders


def test_the_parent_of_a_guest_is_that_in_the_tree(system, there):
    assert call(there, Here.parent) is None
    here = system.spawn(Parent)
    child = call(here, Parent.start, hosted(Parent, name="far"))
    assert child.path == f"{here.path}/far"
    assert call(child, Here.parent) == here


def test_refs_pickle_to_themselves(system, there):
    copy = pickle.loads(pickle.dumps(there))
    assert copy == there
    assert copy.ask(1, timeout=LIMIT) == 1
    child = call(there, Parent.start, af.child(Notes))
    copy = pickle.loads(pickle.dumps(child))
    assert copy == child
    assert copy.ask(2, timeout=LIMIT) == 2


def test_refs_in_the_midst_of_messages_work(system, there):
    here = system.spawn(Notes)
    answer = there.ask({"deep": [("ref", here), {there}]}, timeout=LIMIT)
    assert answer == {"deep": [("ref", here), {there}]}
    assert answer["deep"][0][1].ask("x", timeout=LIMIT) == "x"


def test_arguments_of_init_may_be_refs(system, probe):
    class Greeter(Here):
        def __init__(self, to):
            super().__init__()
            to.tell("made")

    system.spawn(hosted(Greeter, probe.ref))
    assert probe.expect(within=LIMIT) == "made"


# --- hosts within hosts ----------------------------------------------------------------------------------------------


def test_a_hosted_actor_starts_a_child_in_a_host_of_its_own(system, there):
    child = call(there, Parent.start, hosted(Parent, name="inner"))
    assert child.path == "/test/there/inner"
    assert len({os.getpid(), pid_of(there), pid_of(child)}) == 3
    assert child.ask("hello", timeout=LIMIT) == "hello"
    assert call(child, Here.parent) == there
    assert call(child, Here.me) == child
    assert call(there, Parent.ask, child, 1) == 1
    assert call(child, Parent.ask, there, 2) == 2


def test_hosts_three_deep_reach_all(system, there, probe):
    middle = call(there, Parent.start, hosted(Parent, name="middle"))
    inner = call(middle, Parent.start, hosted(Parent, name="inner"))
    aside = system.spawn(hosted(Parent))
    everybody = [system.spawn(Parent), there, middle, inner, aside]
    assert len({pid_of(ref) for ref in everybody}) == 5
    for one in everybody:
        for other in everybody:
            if one != other:
                assert call(one, Parent.ask, other, (one, other)) == (one, other)
                assert call(one, Parent.who_asks, other) == one


def test_order_holds_through_several_hosts(system, there):
    class Burst(Notes):
        def send(self, to, count):
            for number in range(count):
                to.tell(number)

    inner = call(there, Parent.start, hosted(Burst, name="inner"))
    aside = system.spawn(hosted(Notes))
    inner.call(Burst.send, aside, 2000).get(timeout=LIMIT)
    assert call(inner, Parent.pid) != pid_of(there)
    assert call(aside, Notes.read) == list(range(2000))


def test_the_end_of_the_outer_actor_ends_the_inner_host(system, there):
    from tests.hosts.actors import until_gone

    inner = call(there, Parent.start, hosted(Parent, name="inner"))
    pids = pid_of(there), pid_of(inner)
    there.stop(timeout=LIMIT)
    until_gone(*pids)
    assert not inner.is_alive()


class Watcher(Notes):
    """Watches an actor, and tells `to` of its end."""

    def follow(self, ref, to):
        self.to = to
        self.ctx.watch(ref)

    def on_receive(self, message):
        if isinstance(message, af.Terminated):
            self.to.tell("ended")


def stopped(system, child, probe):
    assert child.stop(timeout=LIMIT)


def asked(system, child, probe):
    call(child, Notes.end)
    until(lambda: not child.is_alive())


def watched(system, child, probe):
    call(system.spawn(Watcher), Watcher.follow, child, probe.ref)
    call(child, Notes.end)
    probe.expect("ended", within=LIMIT)


@pytest.mark.parametrize("learn", [stopped, asked, watched])
def test_a_tell_to_an_actor_of_another_process_whose_end_is_known_here_raises(system, there, probe, learn):
    child = call(there, Parent.start, af.child(Notes))
    child.tell("alive")
    learn(system, child, probe)
    for send in (child.tell, lambda message: child.cast(Notes.note, message), child.ask):
        with pytest.raises(af.ActorDeadError):
            send("too late")
    assert there.is_alive()
