"""Promises: who works on a store is known to the others, and that it has died shows at once."""

import os
import signal
import threading

import pytest

from tests.core.actors import until
from tests.processes import stop_process
from tests.store.processes import line, program
from tests.store.rows import adding, ids


def test_a_node_is_registered_at_first_use_and_leaves_with_its_store(opened):
    store = opened()
    assert ids(store) == set()
    node = store.node
    assert store.node is node
    assert ids(store) == {node.id}
    store.close()


@pytest.mark.shared
def test_nothing_is_left_of_a_node_that_has_left(opened):
    first, second = opened(), opened()
    assert first.node.id
    first.close()
    assert ids(second) == set()


def test_a_living_node_is_not_dead(opened):
    store = opened()
    assert store.node.dead() == []


@pytest.mark.shared
def test_nodes_of_one_process_see_each_other_alive(opened):
    first, second = opened(), opened()
    assert first.node.id != second.node.id
    for _ in range(3):  # looking must not take a lock away
        assert first.node.dead() == second.node.dead() == []


@pytest.mark.shared
def test_a_killed_process_is_seen_dead_and_can_be_buried(opened, url):
    store = opened()
    mine = store.node.id
    with program("live", url) as other:
        id = line(other)
        assert ids(store) == {mine, id}
        assert store.node.dead() == []
        other.kill()
        other.wait()
        until(lambda: store.node.dead() == [id])
    store.write(lambda transaction: transaction.run("nodes.remove", {"id": id}))
    store.node.forget(id)
    assert store.node.dead() == []


@pytest.mark.shared
def test_a_stopped_process_is_not_dead(opened, url):
    store = opened()
    with program("live", url) as other:
        line(other)
        stop_process(other.pid)
        assert store.node.dead() == []
        os.kill(other.pid, signal.SIGCONT)


@pytest.mark.shared
def test_a_node_is_dead_though_a_child_that_it_forked_lives(opened, url):
    store = opened()
    assert store.node.dead() == []
    with program("live_with_fork", url) as other:
        id, child = line(other).split()
        try:
            other.kill()
            other.wait()
            until(lambda: store.node.dead() == [id])
            os.kill(int(child), 0)  # it is there
        finally:
            os.kill(int(child), signal.SIGKILL)


@pytest.mark.shared
def test_a_watcher_hears_of_other_processes_commits(opened, url):
    store = opened()
    heard = threading.Event()
    end = store.watch(heard.set)
    with program("once", url, "a") as other:
        assert line(other) == "done"
    assert heard.wait(30)
    end()
    assert ids(store) == {"a"}


@pytest.mark.shared
def test_a_watcher_that_has_ended_hears_nothing_more(opened):
    first, second = opened(), opened()
    ended, other = threading.Event(), threading.Event()
    end = first.watch(ended.set)
    end()
    end()
    first.watch(other.set)
    second.write(adding("a"))
    assert other.wait(30)
    assert not ended.is_set()


@pytest.mark.shared
def test_a_watcher_that_raises_is_logged_and_the_others_hear(opened, caplog):
    first, second = opened(), opened()
    heard = threading.Event()
    first.watch(lambda: {}["no"])
    first.watch(heard.set)
    second.write(adding("a"))
    assert heard.wait(30)
    heard.clear()
    second.write(adding("b"))
    assert heard.wait(30)
    assert "KeyError" in caplog.text


def test_a_store_has_the_time(store):
    import time

    assert abs(store.now() - time.time()) < 20


@pytest.mark.shared
def test_processes_and_threads_share_a_store_and_lose_nothing(opened, url):
    with program("crowd", url, 3, 40) as first, program("crowd", url, 3, 40) as second:
        assert line(first) == line(second) == "done"
    assert len(ids(opened())) == 240
