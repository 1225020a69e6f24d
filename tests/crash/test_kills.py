"""Random SIGKILLs of daemons that share a queue, of their pool's processes, and of whole trees, under load.

ACTORFLOW_CRASHES=1000 makes it 1,000 kills on a file and 200 on PostgreSQL (`tox -e crashes`), ACTORFLOW_CRASHES_SEED
another run of them. It prints how long it took until jobs of the dead began again, and what explains the slow ones.
"""

import os
import random
import time

import pytest

import actorflow as af
from actorflow.store.sqlite import node as sqlite_node
from tests.crash.books import Books
from tests.crash.daemons import (
    Times,
    crew,
    first_up,
    running,
    seconds_until_begun_again,
    wait_until_pruned,
    wait_until_up,
)
from tests.crash.load import QUEUE, Load

KILLS = int(os.environ.get("ACTORFLOW_CRASHES", "12"))
SEED = int(os.environ.get("ACTORFLOW_CRASHES_SEED", "1"))
LIMIT = 120 + 6 * KILLS  # seconds


@pytest.fixture(params=["sqlite", "postgres"])
def books(request, tmp_path):
    """Return a store of each kind that several processes may work on."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres_server").database() as url:
            yield Books.made(url, QUEUE)
    else:
        yield Books.made(f"sqlite:///{tmp_path / 'crash.db'}", QUEUE)


class Killer:
    """Kills, and starts others in the place of what it has killed."""

    def __init__(self, books, rng, start):
        self.books = books
        self.start = start
        self.rng = rng
        self.daemons = [start(), start()]
        self.times = Times()
        self.hits = 0

    def busy(self):
        """Wait until a daemon works, and return those that do; all of them if a wave was over too soon to be seen."""
        until = time.monotonic() + 5.0
        while time.monotonic() < until:
            if busy := [one for one in self.daemons if running(self.books, {one.process.pid})]:
                return busy
            time.sleep(0.002)
        return self.daemons

    def kill(self, number):
        """Kill something, and see its jobs go on; in every other case while the others are still starting."""
        what = self.rng.choice(list(self.times.kills))
        is_up = self.rng.random() < 0.5 and wait_until_up(self.books, self.daemons)
        busy = self.busy()
        time.sleep(self.rng.uniform(0, 0.01))
        victims = self.daemons if what == "tree" else [self.rng.choice(busy)]
        pids = {victim.process.pid for victim in victims}
        struck = running(self.books, pids)
        since = time.time()
        if what == "child":
            killed = victims[0].kill_a_child(self.rng)
        else:
            killed = what
            for daemon in victims:
                daemon.kill_the_tree()
            struck = {}  # what ran before may have ended until the kill
        struck |= running(self.books, pids)
        self.hits += bool(struck)
        why = f"kill {number} ({killed}), load {os.getloadavg()[0]:.1f}"
        if what == "tree":
            since = time.time()
            self.daemons = [self.start(), self.start()]
            wait_until_up(self.books, self.daemons)
            why += f", the first daemon was on the store after {first_up(self.books, self.daemons) - since:.2f} s"
        seconds = seconds_until_begun_again(self.books, struck, since, crashed_only=what == "child")
        if is_up or what == "tree":
            self.times.note(what, seconds, why)
        if what == "one of two":
            self.daemons = [self.start(), *(one for one in self.daemons if one not in victims)]


@pytest.mark.timeout(LIMIT)
@pytest.mark.slow
def test_nothing_is_lost_or_done_twice_whatever_is_killed(books, capsys, monkeypatch):
    rng = random.Random(SEED)
    kills = KILLS if books.is_sqlite else max(6, KILLS // 5)
    with crew(books.url) as start, af.ActorSystem("producer", store=books.url, durability="process") as system:
        load, killer = Load(system, rng), Killer(books, rng, start)
        for number in range(kills):
            load.wave()
            before = time.time() - 1.0
            killer.kill(number)
            assert books.log_problems() == []
            wait_until_pruned(books, before)
        load.wait()
        assert all(daemon.is_alive for daemon in killer.daemons)
        for daemon in killer.daemons:
            daemon.end()
        assert load.problems(books) == []
        assert load.refused == 0
    monkeypatch.setattr(sqlite_node, "ORPHAN_SECONDS", 0.0)  # files without a row are new otherwise, for a minute
    with af.ActorSystem("last", store=books.url) as system:
        assert system.store.node.id
    assert books.problems() == []
    assert killer.hits >= kills // 4  # kills of who works, not of who idles; on a fast machine a wave is soon over
    with capsys.disabled():
        print("", *killer.times.lines(), sep="\n")
