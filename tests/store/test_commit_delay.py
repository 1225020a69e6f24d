"""Promises: threads that write in a row share their commits; none of them waits long for those that have gone."""

import threading

import pytest

from actorflow.core.futures.future import patient
from actorflow.store import commit_delay
from actorflow.store.commit_delay import CommitDelay
from actorflow.store.group_commit import Commits
from actorflow.store.pending_writes import PendingWrite
from actorflow.store.store import open_store
from tests.core.actors import until
from tests.interrupts import at_every_bytecode
from tests.store.rows import adding, ids


@pytest.fixture
def commits(monkeypatch):
    """The number of pieces of work in each shared commit."""
    sizes = []
    plain = Commits._commit

    def commit(self, batch):
        sizes.append(len(batch))
        return plain(self, batch)

    monkeypatch.setattr(Commits, "_commit", commit)
    return sizes


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/shop.db") as store:
        yield store


class Writer(threading.Thread):
    """Writes a row each time it is let."""

    def __init__(self, store, name):
        super().__init__(name=name)
        self.store = store
        self.go = threading.Semaphore(0)
        self.written = 0

    def run(self):
        while self.written < 2:
            self.go.acquire()
            self.store.write(adding(f"{self.name}-{self.written}"))
            self.written += 1


def share_one(store, *writers, durability="power"):
    """Have writers share a commit."""
    with store._commits.turn:
        for writer in writers:
            writer.start()
            writer.go.release()
        until(lambda: len(store._commits._waiting) == len(writers))
    store._commits._lead()
    until(lambda: all(writer.written == 1 for writer in writers))


def test_a_commit_waits_for_the_threads_of_the_last_one(store, commits, monkeypatch):
    monkeypatch.setattr(commit_delay, "LONGEST_SECONDS", 100.0)
    monkeypatch.setattr(commit_delay, "COMMITS", 10**9)
    monkeypatch.setattr(commit_delay, "STALE_SECONDS", 100.0)
    writers = [Writer(store, name) for name in "abc"]
    share_one(store, *writers)
    for writer in writers:
        writer.go.release()
    for writer in writers:
        writer.join()
    assert commits == [3, 3]


def test_a_thread_that_does_not_come_back_is_waited_for_a_moment_only(store, commits, monkeypatch):
    monkeypatch.setattr(commit_delay, "STALE_SECONDS", 100.0)
    here, gone = Writer(store, "here"), Writer(store, "gone")
    share_one(store, here, gone)
    here.go.release()
    here.join()
    assert store._commits._delay.expected == 0
    assert commits == [2, 1]
    gone.go.release()
    gone.join()
    assert ids(store) == {"here-0", "here-1", "gone-0", "gone-1"}


def test_threads_that_come_back_late_are_not_expected(store, monkeypatch):
    monkeypatch.setattr(commit_delay, "STALE_SECONDS", 0.0)
    monkeypatch.setattr(commit_delay, "LONGEST_SECONDS", 1000.0)
    monkeypatch.setattr(commit_delay, "COMMITS", 10**9)
    here, gone = Writer(store, "here"), Writer(store, "gone")
    share_one(store, here, gone)
    here.go.release()
    here.join()
    gone.go.release()
    gone.join()


@pytest.mark.parametrize("durability", ["process", "power"])
def test_only_commits_that_wait_for_the_disk_wait_for_threads(tmp_path, durability):
    with open_store(f"sqlite:///{tmp_path}/shop.db", durability=durability) as store:
        with store._commits.turn:
            threads = [threading.Thread(target=store.write, args=(adding(name),)) for name in "ab"]
            for thread in threads:
                thread.start()
            until(lambda: len(store._commits._waiting) == 2)
        store._commits._lead()
        for thread in threads:
            thread.join()
        assert store._commits._delay.expected == (2 if durability == "power" else 0)


def test_work_that_nobody_waits_for_has_no_later_commit_wait(store):
    for future in store.submit_each([adding(name) for name in "abc"]):
        future.get(timeout=100)
    assert store._commits._delay.expected == 0


class Growing:
    """Work to which more comes whenever somebody looks."""

    size = 0

    def __len__(self):
        self.size += 1
        return self.size


def test_waits_in_vain_become_rare_until_one_is_not(monkeypatch):
    monkeypatch.setattr(commit_delay, "STALE_SECONDS", 1000.0)
    delay = CommitDelay()
    told = PendingWrite(adding("told"), "power", patient(None), is_awaited=True)

    def waits(works):
        delay.tell([told] * 1000, 0)
        if not delay.expected:
            return False
        delay.wait(works)
        return True

    assert sum(waits(["alone"]) for _ in range(1000)) < 25
    while not waits(Growing()):
        pass
    assert all(waits(Growing()) for _ in range(10))


def test_an_interrupted_wait_leaves_the_writer_to_others(store, monkeypatch):
    monkeypatch.setattr(commit_delay, "LONGEST_SECONDS", 0.001)
    commits, count = store._commits, iter(range(10**6))
    told = PendingWrite(adding("told"), "power", patient(None), is_awaited=True)

    def write():
        commits._delay.tell([told, told], 1)
        store.write(adding(f"row-{next(count)}"))

    def mended():
        store.write(adding(f"row-{next(count)}"))
        until(lambda: not commits._waiting)
        assert not commits.turn.is_mine

    assert at_every_bytecode(write, mended, within=commit_delay.__file__) > 10
