"""Promises: a message of another node is heard of, in whatever order its commit and those of this node come."""

import threading

import pytest

from actorflow.durable.opening import runtime_of
from actorflow.durable.rows import ledger
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import Letter
from tests.core.actors import until
from tests.durable.actors import Account
from tests.durable.test_state import named


def runtime(system):
    return runtime_of(system.scheduler, lambda: system.store)


def put(transaction, there, name):
    """Put a message into the mailbox of an actor of another node."""
    ledger.put(transaction, there, Letter(name, pack("news", there.scheduler.payload_limit)))


@pytest.fixture
def pair(start):
    """Return the runtimes of two systems, and two actors of the second, who were told something."""
    one, two = start("one"), start("two")
    ann, ben = (two.spawn(named(Account, name=name)) for name in ("ann", "ben"))
    for ref in (ann, ben):
        ref.tell("begin")
    until(lambda: [ref.call(Account.seen).get(timeout=60) for ref in (ann, ben)] == [["begin"]] * 2)
    return runtime(one), runtime(two), ann, ben


def test_a_message_whose_commit_comes_behind_one_of_a_later_number_is_handled(pair):
    there, here, ann, ben = pair
    if there.store.dialect == "sqlite":
        pytest.skip("it has one writer at a time")
    is_put, may_commit = threading.Event(), threading.Event()

    def work(transaction):
        put(transaction, there, "ann")
        is_put.set()
        assert may_commit.wait(60)

    thread = threading.Thread(target=there.store.write, args=(work,))
    thread.start()
    try:
        assert is_put.wait(60)
        ben.tell("later")  # its number is higher, and its commit is earlier
        here.look()
    finally:
        may_commit.set()
        thread.join(60)
    ben.tell("last")
    here.look()
    until(lambda: ann._actor.state.seen == ["begin", "news"])  # a message to it would wake it


def test_a_message_that_is_put_while_this_node_looks_and_writes_is_handled(pair, monkeypatch):
    there, here, ann, ben = pair
    read = here.store.read

    def slow(work, **options):
        found = read(work, **options)
        monkeypatch.undo()
        there.store.write(lambda transaction: put(transaction, there, "ann"))
        ben.tell("later")
        return found

    monkeypatch.setattr(here.store, "read", slow)
    here.look()
    here.look()
    until(lambda: ann._actor.state.seen == ["begin", "news"])  # a message to it would wake it


class Refused(Exception):
    """Undoes a piece of work."""


@pytest.mark.parametrize("is_alone", [True, False], ids=["a transaction", "a part of one"])
@pytest.mark.parametrize("has_later", [True, False], ids=["before a later one", "at the end"])
def test_a_message_that_got_the_number_of_one_that_this_node_has_undone_is_handled(pair, is_alone, has_later):
    there, here, ann, ben = pair

    def work(transaction):
        put(transaction, here, "ben")
        raise Refused

    here.look()
    if is_alone:
        with pytest.raises(Refused):
            here.store.write(work)
    else:
        held = here.store.hold()
        with pytest.raises(Refused):
            here.store.write(work)
        held.commit()
    there.store.write(lambda transaction: put(transaction, there, "ann"))
    if has_later:
        ben.tell("later")
    here.look()
    until(lambda: ann._actor.state.seen == ["begin", "news"])  # a message to it would wake it
