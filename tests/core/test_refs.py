"""Refs: addresses that pickle, compare, and stay valid over restarts."""

import copy
import pickle
import subprocess
import sys

import cloudpickle
import pytest

import actorflow as af
from tests.core.actors import Echo, Failing, Held, Log


class Other(Log):
    pass


PICKLES = [pickle.dumps, cloudpickle.dumps, lambda ref: pickle.dumps(ref, protocol=0)]


@pytest.mark.parametrize("dumps", PICKLES)
def test_a_ref_that_is_pickled_in_this_process_is_the_same_ref(any_system, dumps):
    ref = any_system.spawn(Log)
    again = pickle.loads(dumps(ref))
    assert again is ref
    again.tell("through the pickle")
    assert ref.call(Log.read).get(timeout=20) == ["through the pickle"]


def test_copies_of_refs_are_the_ref(any_system):
    ref = any_system.spawn(Log)
    assert copy.copy(ref) is ref
    assert copy.deepcopy({"ref": [ref]})["ref"][0] is ref


@pytest.mark.parametrize("name", [None, "named"])
def test_a_pickled_ref_of_a_dead_actor_is_a_dead_ref_equal_to_the_old(any_system, name):
    ref = any_system.spawn(af.child(Log).options(name=name) if name else Log)
    data = pickle.dumps(ref)
    assert ref.stop(timeout=20)
    for again in (pickle.loads(data), pickle.loads(pickle.dumps(ref))):
        assert again == ref
        assert hash(again) == hash(ref)
        assert again.path == ref.path
        assert again.name == ref.name
        assert again.actor_urn == ref.actor_urn
        assert again.actor_class is Log
        assert not again.is_alive()
        assert again.stop(timeout=20) is False
        with pytest.raises(af.ActorDeadError):
            again.tell(1)
        with pytest.raises(af.ActorDeadError):
            again.ask(1)
        assert pickle.loads(pickle.dumps(again)) == ref


def test_a_new_actor_under_an_old_name_is_not_what_an_old_pickle_means(any_system):
    old = any_system.spawn(af.child(Log).options(name="x"))
    data = pickle.dumps(old)
    old.stop(timeout=20)
    new = any_system.spawn(af.child(Log).options(name="x"))
    assert pickle.loads(data) == old != new
    assert not pickle.loads(data).is_alive()


def test_a_restart_keeps_the_ref(any_system):
    ref = any_system.spawn(af.child(Failing).options(restart="permanent"))
    data, proxy = pickle.dumps(ref), ref.proxy()
    ref.tell(1)
    first = ref._actor
    ref.cast(Failing.fail, ZeroDivisionError())
    assert ref.call(Log.read).get(timeout=20) == []
    assert ref._actor is not first
    assert pickle.loads(data) is ref
    assert proxy.read().get(timeout=20) == []


def test_refs_travel_in_messages_and_as_keys(any_system):
    ref, echo = any_system.spawn(Log), any_system.spawn(Echo)
    assert echo.ask({ref: [ref]}, timeout=20) == {ref: [ref]}
    assert len({ref, pickle.loads(pickle.dumps(ref))}) == 1
    assert ref != echo
    assert ref != "something else"


def test_a_ref_in_another_process_is_dead_there_and_keeps_its_address(system):
    ref = system.spawn(af.child(af.Supervisor).options(name="named"))  # a class that the other process can import
    code = """
import pickle, sys
ref = pickle.loads(sys.stdin.buffer.read())
print(ref.path, ref.is_alive(), ref.actor_urn)
sys.stdout.flush()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(ref), capture_output=True, timeout=20, check=True
    )
    assert done.stdout.decode().split() == ["/test/named", "False", ref.actor_urn]


def test_a_ref_of_another_process_is_not_taken_for_the_local_actor_with_its_number(any_system):
    ref = any_system.spawn(Log)
    resolve, (key, *address) = ref.__reduce__()
    assert resolve(key, *address) is ref
    other = resolve("the key of a system elsewhere", *address)
    assert other != ref
    assert not other.is_alive()


def test_refs_of_two_systems_are_different(system_class):
    with system_class("one") as one:
        first = one.spawn(Log)
        data = pickle.dumps(first)
    with system_class("one") as two:
        assert two.spawn(Log) != first
        assert not pickle.loads(data).is_alive()


def test_an_actor_knows_its_ref_in_its_constructor(any_system):
    class Early(af.Actor):
        def __init__(self, told):
            super().__init__()
            told.append(self.actor_ref)

    told = []
    ref = any_system.spawn(Early, told)
    assert told == [ref]
    assert told[0] is ref


def test_errors_pickle(any_system):
    ref = any_system.spawn(Held)
    errors = [
        af.ActorDeadError("dead"),
        af.AskTimeout("late"),
        af.Crash("crash"),
        af.DeadlockError("a -> b -> a"),
        af.DefinitionError("wrong"),
        af.MailboxFull("full"),
        af.Stopping("stopping"),
        af.ThreadLimit("threads"),
        af.RestartLimitReached("/test/x", ((1.0, ref.path, KeyError("k")),)),
    ]
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
