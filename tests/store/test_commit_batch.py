"""Commit batch: members of any kind share a commit, and each hears what has become of it."""

import threading
from typing import ClassVar

import pytest

import actorflow as af
from actorflow.store import commit_batch
from actorflow.store.commit_batch import BatchMember, MemberRefused, batch_of
from actorflow.store.sqlite.connection import SqliteWriter
from tests.durable.actors import Account
from tests.durable.test_messages import wait_for
from tests.durable.test_state import named


class Note(BatchMember):
    """Marks a row; `fault` is raised as it is written."""

    def __init__(self, name, fault=None):
        self.name = name
        self.fault = fault
        self.writes = 0
        self.heard = []
        self.is_settled = threading.Event()

    def write(self, transaction):
        self.writes += 1
        transaction.run("actors.mark", {"receiver": "test", "id": self.name, "at": 1.0})
        if self.fault is not None:
            raise self.fault

    def settle(self, error):
        self.heard.append(error)
        self.is_settled.set()

    def result(self):
        assert self.is_settled.wait(30)
        (error,) = self.heard
        return error


class OtherNote(Note):
    """Another kind."""


@pytest.fixture
def system():
    with af.ActorSystem("test", store="memory:") as system:
        yield system


def held(system, monkeypatch):
    """Hold batches open; returns what commits all that was added."""
    batch = batch_of(system.scheduler, system.store)
    monkeypatch.setattr(batch, "look", lambda: None)

    def commit():
        batch._is_busy = False
        batch.do(batch.commit)

    return batch, commit


def commits(monkeypatch):
    """Count the commits from here on."""
    made, commit = [], SqliteWriter.commit

    def counted(writer):
        made.append(writer)
        commit(writer)

    monkeypatch.setattr(SqliteWriter, "commit", counted)
    return made


def is_there(system, name):
    """Say whether a mark is there: a second one of the same name adds no row."""
    return system.store.write(lambda tx: tx.run("actors.mark", {"receiver": "test", "id": name, "at": 1.0})) == 0


def test_members_of_any_kind_share_a_commit_with_messages_of_durable_actors(system, monkeypatch):
    refs = [system.spawn(named(Account, f"a{n}")) for n in range(3)]
    for ref in refs:
        ref.call(Account.total).get(timeout=100)
    batch, commit = held(system, monkeypatch)
    answers = [ref.call(Account.add, 2) for ref in refs]
    wait_for(lambda: len(batch._members) == 3)
    notes = [Note("one"), OtherNote("two"), Note("three")]
    for note in notes:
        batch.add(note)
    made = commits(monkeypatch)
    commit()
    assert [note.result() for note in notes] == [None] * 3
    assert [answer.get(timeout=100) for answer in answers] == [2, 2, 2]
    assert len(made) == 1
    assert all(is_there(system, note.name) for note in notes)


@pytest.mark.parametrize("fault", [MemberRefused("not mine"), ValueError("a defect")], ids=["refused", "defect"])
def test_a_refused_member_undoes_no_other(system, monkeypatch, fault):
    ref = system.spawn(named(Account))
    ref.call(Account.total).get(timeout=100)
    batch, commit = held(system, monkeypatch)
    answer = ref.call(Account.add, 2)
    wait_for(lambda: len(batch._members) == 1)
    good, bad, last = Note("good"), OtherNote("bad", fault), Note("last")
    for note in (good, bad, last):
        batch.add(note)
    commit()
    assert bad.result() is fault
    assert good.result() is None
    assert last.result() is None
    assert answer.get(timeout=100) == 2
    assert [is_there(system, name) for name in ("good", "bad", "last")] == [True, False, True]


@pytest.mark.parametrize("at", [1, 2])
def test_whatever_ends_a_commit_no_member_is_left_waiting(system, monkeypatch, at):
    """A SystemExit comes as a member is written: with the others, or for itself after a refusal of another."""
    batch, commit = held(system, monkeypatch)

    class Exiting(Note):
        def write(self, transaction):
            super().write(transaction)
            if self.writes == at:
                raise SystemExit

    notes = [Note("before"), Exiting("exit"), Note("after")]
    if at == 2:
        notes.append(OtherNote("refused", MemberRefused("no")))
    for note in notes:
        batch.add(note)
    commit()
    errors = [note.result() for note in notes]
    for note, error in zip(notes, errors, strict=True):
        assert is_there(system, note.name) is (error is None)
        assert error is None or "interrupted by SystemExit" in str(error)
    assert (errors[0] is None) is (at == 2)
    late = Note("late")
    batch.add(late)
    commit()
    assert late.result() is None


def test_members_that_come_during_a_commit_share_the_next_one_with_those_that_follow_from_it(system, monkeypatch):
    batch = batch_of(system.scheduler, system.store)
    monkeypatch.setattr(commit_batch, "BATCH_SECONDS", 60.0)
    monkeypatch.setattr(commit_batch, "BATCH", 1000)
    under_way, go_on = threading.Event(), threading.Event()
    made, commit = [], SqliteWriter.commit

    def slow(writer):
        made.append(writer)
        if len(made) == 1:
            under_way.set()
            assert go_on.wait(30)
        commit(writer)

    class Adder(af.Actor):
        def on_receive(self, note):
            batch.add(note)

    class Leading(Note):
        def settle(self, error):
            super().settle(error)
            adder.tell(following)

    adder = system.spawn(Adder)
    leading, meanwhile, following = Leading("leading"), Note("meanwhile"), Note("following")
    monkeypatch.setattr(SqliteWriter, "commit", slow)
    batch.add(leading)
    assert under_way.wait(30)
    batch.add(meanwhile)
    system.spawn(Adder).stop(timeout=100)  # the batch has had time to look
    go_on.set()
    assert [note.result() for note in (leading, meanwhile, following)] == [None] * 3
    assert len(made) == 2


def test_an_outcome_that_nobody_knows_is_heard_by_each_member_once(system, monkeypatch):
    batch, commit = held(system, monkeypatch)
    notes = [Note("one"), OtherNote("two")]
    for note in notes:
        batch.add(note)

    def lost(_writer):
        raise af.OutcomeUnknown("the server was lost during the commit")

    monkeypatch.setattr(SqliteWriter, "commit", lost)
    commit()
    assert [type(note.result()) for note in notes] == [af.OutcomeUnknown] * 2
    assert [note.writes for note in notes] == [1, 1]


@pytest.mark.parametrize("step", ["leave", "settle"])
def test_a_member_that_fails_to_go_on_keeps_no_other(system, monkeypatch, caplog, step):
    batch, commit = held(system, monkeypatch)
    left = []

    def fail(*_error):
        raise ValueError(step)

    class Failing(Note):
        def __repr__(self):
            raise ValueError("repr")

    class Leaving(Note):
        def leave(self):
            left.append(self.name)

    failing, last = Failing("failing"), Leaving("last")
    setattr(failing, step, fail)
    batch.add(failing)
    batch.add(last)
    commit()
    assert last.result() is None
    assert left == ["last"]
    assert "could not go on after a commit" in caplog.text


def test_the_strictest_member_says_how_long_a_commit_lasts(system, monkeypatch):
    batch, commit = held(system, monkeypatch)
    begun, begin = [], SqliteWriter.begin

    def noted(writer, durability):
        begun.append(durability)
        begin(writer, durability)

    monkeypatch.setattr(SqliteWriter, "begin", noted)
    monkeypatch.setattr(Note, "durability", "process")
    monkeypatch.setattr(OtherNote, "durability", "power")
    for kinds, durability in (((Note, Note), "process"), ((Note, OtherNote), "power")):
        notes = [kind(f"{durability}{n}") for n, kind in enumerate(kinds)]
        for note in notes:
            batch.add(note)
        begun.clear()
        commit()
        assert [note.result() for note in notes] == [None, None]
        assert begun == [durability]


class Counted(Note):
    """Notes that are written together, which takes one call."""

    together: ClassVar[list[int]] = []

    @classmethod
    def write_all(cls, members, transaction):
        cls.together.append(len(members))
        super().write_all(members, transaction)


@pytest.fixture
def _not_counted():
    Counted.together.clear()


@pytest.mark.usefixtures("_not_counted")
def test_work_of_one_kind_that_waits_for_one_commit_is_written_together(system, monkeypatch):
    made = commits(monkeypatch)
    notes = [Counted("one"), Note("other"), Counted("two"), Counted("three")]
    for future in system.store.submit_each([note.write for note in notes]):
        future.get(timeout=100)
    assert Counted.together == [3]
    assert len(made) == 1
    assert [note.writes for note in notes] == [1] * 4
    assert all(is_there(system, note.name) for note in notes)


@pytest.mark.usefixtures("_not_counted")
def test_work_that_is_refused_undoes_none_of_its_kind(system):
    fault = ValueError("a defect")
    good, bad, last = Counted("good"), Counted("bad", fault), Counted("last")
    futures = system.store.submit_each([note.write for note in (good, bad, last)])
    assert futures[0].get(timeout=100) is None
    with pytest.raises(ValueError, match="a defect"):
        futures[1].get(timeout=100)
    assert futures[2].get(timeout=100) is None
    assert Counted.together == [3]
    assert [is_there(system, name) for name in ("good", "bad", "last")] == [True, False, True]
