"""Refs of actors that are not in this process: what they are asked is answered by their home, which is no scheduler."""

import pickle
from types import SimpleNamespace

import pytest

import actorflow as af
from actorflow.core.refs.address import Address
from actorflow.core.refs.cell import Cell
from actorflow.core.refs.home import Home, Lineage
from actorflow.core.refs.resolve import Gone, gone_ref, unstarted
from actorflow.core.running.scheduler import Scheduler
from actorflow.process.hosts.link.remote_ref import Elsewhere, RemoteRef


class Counter(af.Actor):
    def on_receive(self, message):
        return message


class Switch(af.StateMachine):
    off, on = af.State(initial=True), af.State(final=True)

    @off.to(on)
    def flip(self):
        """Switch it on."""


@pytest.fixture
def strict(monkeypatch):
    """Fail whoever takes the home of a ref for a scheduler though it is none."""

    def scheduler_of(ref):
        home = Address._home.__get__(ref)
        assert isinstance(home, Scheduler), f"{type(home).__name__} is no scheduler"
        return home

    monkeypatch.setattr(Cell, "_scheduler", property(scheduler_of))


def here(system):
    """Return what a node of this process would be, for refs of a process that is gone."""
    node = SimpleNamespace(
        name="", key=system.scheduler.key, scheduler=system.scheduler, ended={}, flow=SimpleNamespace(full=())
    )
    node.way_to = lambda _node: None
    node.note_end = lambda _uid: None
    return node


def dead_refs(system, cls):
    yield unstarted(cls)
    yield gone_ref(Gone("some-key", 1, "/old/parent"), 7, cls, "name")
    yield RemoteRef(7, Elsewhere(here(system), "1", 1, "/old/parent"), cls._traits, "name")


@pytest.mark.parametrize("home", [Scheduler, Gone, Elsewhere])
def test_each_home_has_all_that_a_ref_may_ask(home):
    asked = {name for name in vars(Home) if not name.startswith("_")}
    assert {"key", "node", "first_uid", "ask_timeout", "check_usable", "post"} <= asked
    made = {*home.__init__.__code__.co_names, *getattr(home, "__slots__", ())}  # what its constructor sets
    assert {name for name in asked if not hasattr(home, name)} <= made


@pytest.mark.parametrize("lineage", [Gone, Elsewhere])
def test_each_home_stands_for_a_parent_too(lineage):
    made = {*lineage.__init__.__code__.co_names, *getattr(lineage, "__slots__", ())}
    assert {name for name in ("path", "owner") if not hasattr(lineage, name)} <= made
    assert {"path", "owner"} <= set(vars(Lineage))


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("cls", [Counter, Switch])
def test_a_ref_of_an_actor_that_is_dead_or_elsewhere_asks_its_home_alone(system, strict, kind, cls):
    ref = list(dead_refs(system, cls))[kind]
    with pytest.raises(af.ActorDeadError):
        ref.tell(1)
    with pytest.raises(af.ActorDeadError):
        ref.ask(1, timeout=20)
    with pytest.raises(af.ActorDeadError):
        ref.ask(1, block=False).get(timeout=20)
    assert not ref.stop(timeout=20)
    assert not ref.is_alive()
    assert ref == ref
    assert ref != system.spawn(Counter)
    assert hash(ref) is not None
    assert ref.actor_urn in str(ref)
    assert ref.path in repr(ref)
    assert ref.parent is None
    assert pickle.loads(pickle.dumps(ref)) == ref
    assert ref._home.end_of(ref)._done


class Watcher(af.Actor):
    def __init__(self, ref, seen):
        super().__init__()
        self.ref, self.seen = ref, seen

    def on_start(self):
        self.ctx.watch(self.ref)

    def on_receive(self, message):
        self.seen.set(message)


@pytest.mark.parametrize("kind", range(3))
def test_a_watcher_of_an_actor_that_is_dead_or_elsewhere_is_told_at_once(system, strict, kind):
    ref = list(dead_refs(system, Counter))[kind]
    seen = af.Future()
    system.spawn(Watcher, ref, seen)
    told = seen.get(timeout=20)
    assert isinstance(told, af.Terminated)
    assert told.ref == ref


@pytest.mark.parametrize("kind", range(3))
def test_a_request_to_a_machine_that_is_dead_or_elsewhere_is_no_trouble_when_it_is_dropped(system, strict, kind):
    ref = list(dead_refs(system, Switch))[kind]
    future = ref.call(Switch.flip)
    del future
    ref._home.report_unread(ref, "flip", None, af.ActorDeadError("gone"))


def test_an_actor_that_was_made_by_its_class_stops_without_a_scheduler(strict):
    counter = Counter()
    counter.stop()
    assert not counter.actor_ref.is_alive()
