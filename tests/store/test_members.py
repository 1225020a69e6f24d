"""Promises: a node beats, and what the dead have left is taken over, by whoever is on the store."""

import pytest

from actorflow.store.members import AGAIN_SECONDS, LEASE_SECONDS, PERIOD_SECONDS
from tests.store.rows import ids, row


def with_dead(store, monkeypatch, *dead):
    """Have nodes that have died."""
    store.write(lambda transaction: transaction.many("nodes.add", [row(id_) for id_ in dead]))
    monkeypatch.setattr(store.node, "dead", lambda: [id_ for id_ in dead if id_ in ids(store)])
    return store.members


def test_what_a_dead_node_has_left_is_taken_over_by_kind_in_one_transaction_and_its_row_goes(store, monkeypatch):
    members, seen = with_dead(store, monkeypatch, "a"), []

    def heir(kind):
        def prepare(node):
            def work(transaction):
                seen.append((kind, node, transaction.one("nodes.get", {"id": node}) is not None))
                return lambda: seen.append((kind, "after", sorted(ids(store))))

            return work

        return prepare

    members.register("jobs", lambda _: pytest.fail("it was replaced"))
    members.register("jobs", heir("jobs"))
    members.register("actors", heir("actors"))
    members.register("nothing left", lambda _: None)
    members.bury_dead()
    left = [store.node.id]
    assert seen == [("jobs", "a", True), ("actors", "a", True), ("jobs", "after", left), ("actors", "after", left)]
    members.bury_dead()
    assert len(seen) == 4
    assert members.buried == 1
    assert members.dead == frozenset()


def test_a_burial_that_fails_is_undone_and_tried_again_and_the_other_dead_are_buried(store, monkeypatch, caplog):
    members, tries, now = with_dead(store, monkeypatch, "a", "b"), [], [0.0]
    monkeypatch.setattr("actorflow.core.clock.SystemClock.monotonic", lambda *_: now[0])

    def prepare(node):
        def work(transaction):
            tries.append(node)
            transaction.run("nodes.beat", {"id": node, "beat": 77.0})
            if node == "a" and len(tries) < 3:
                raise KeyError("damaged")

        return work

    members.register("jobs", prepare)
    members.bury_dead()
    assert ids(store) == {store.node.id, "a"}
    assert store.read(lambda transaction: transaction.one("nodes.get", {"id": "a"}))[5] != 77.0
    assert "could not be taken over" in caplog.text
    members.bury_dead()
    assert tries == ["a", "b"]  # not at once
    now[0] += AGAIN_SECONDS
    members.bury_dead()
    assert tries == ["a", "b", "a"]
    assert ids(store) == {store.node.id}


def test_a_failure_after_a_burial_keeps_nothing_from_others(store, monkeypatch, caplog):
    members, told = with_dead(store, monkeypatch, "a", "b"), []
    members.register("one", lambda node: lambda _: lambda: {}[node])
    members.register("two", lambda node: lambda _: lambda: told.append(node))
    members.bury_dead()
    assert told == ["a", "b"]
    assert "KeyError" in caplog.text


def test_two_looks_in_one_period_are_one(store, monkeypatch):
    looks, now = [], [1e6]
    monkeypatch.setattr("actorflow.core.clock.SystemClock.monotonic", lambda *_: now[0])
    monkeypatch.setattr(store.node, "dead", lambda: looks.append(now[0]) or [])
    store.members.look()
    store.members.look()
    assert len(looks) == 1
    now[0] += PERIOD_SECONDS
    store.members.look()
    assert len(looks) == 2


def test_a_node_that_others_have_buried_joins_again_with_its_next_beat(store, caplog):
    mine = store.node.id
    store.write(lambda transaction: transaction.run("nodes.remove", {"id": mine}))
    store.members.beat()
    assert ids(store) == {mine}
    assert "taken for dead" in caplog.text
    caplog.clear()
    store.members.beat()
    assert not caplog.text


def test_a_node_lives_that_holds_its_lock_and_has_beaten_within_the_lease(store, monkeypatch):
    members = with_dead(store, monkeypatch, "a")
    store.members.beat()
    id_ = store.node.id
    mine = store.read(lambda transaction: transaction.one("nodes.get", {"id": id_}))
    assert members.is_living(mine)
    assert not members.is_living(None)
    assert not members.is_living((*mine[:5], members.lease_time() - LEASE_SECONDS - 1))
    members.find_dead()
    assert not members.is_living(("a", *mine[1:]))
