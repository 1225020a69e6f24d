"""The PostgreSQL server is killed and started again, under load and under kills of the daemons that work on it.

ACTORFLOW_CRASHES=1000 makes it 40 deaths of the server (`tox -e crashes`).
"""

import os
import random
import threading
import time

import psycopg
import pytest

import actorflow as af
from tests.crash.books import Books
from tests.crash.daemons import PATIENCE, crew, wait_until_up
from tests.crash.load import QUEUE, Load
from tests.servers import postgres

DEATHS = max(3, int(os.environ.get("ACTORFLOW_CRASHES", "0")) // 25)
SEED = int(os.environ.get("ACTORFLOW_CRASHES_SEED", "1"))
HOW = ("stop", "kill", "kill_a_session")


@pytest.fixture
def server(testrun_uid, worker_id):
    """A server that a test may kill."""
    with postgres(f"{testrun_uid[:12]}-{worker_id}-k", worker_id) as one:
        yield one


def wait_until_there(url):
    """Wait until a server lets in."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < until
            time.sleep(0.02)
        else:
            return


def wait_until_buried(books, daemons):
    """Wait until nobody is on the store but those who live; after its start the server gives the lost five seconds."""
    pids = {daemon.process.pid for daemon in daemons} | {os.getpid()}
    until = time.monotonic() + PATIENCE
    while others := {pid for (pid,) in books.rows("select pid from {node}")} - pids:
        assert time.monotonic() < until, f"dead, and not buried: {others}"
        time.sleep(0.02)


def strike(server, rng, how):
    """Have the server die in a moment, and be there again in another."""
    time.sleep(rng.uniform(0, 0.1))
    getattr(server, how)()
    if how != "kill_a_session":
        time.sleep(rng.uniform(0, 0.3))
        server.start()


@pytest.mark.timeout(180 + 20 * DEATHS)
@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_done_twice_when_the_server_is_killed(server, capsys):
    rng = random.Random(SEED)
    refused = 0
    with server.database() as url, crew(url, "power") as start:
        books = Books.made(url, QUEUE)
        daemons = [start(), start()]
        wait_until_up(books, daemons)
        with af.ActorSystem("producer", store=url, durability="power") as system:
            load = Load(system, rng)
            for number in range(DEATHS):
                how = HOW[number % len(HOW)]
                striker = threading.Thread(target=strike, args=(server, rng, how))
                striker.start()
                load.wave()
                if rng.random() < 0.5:
                    rng.choice(daemons).kill_a_child(rng)
                if number % 4 == 3:
                    daemons.pop(0).kill_the_tree()
                load.wave()
                striker.join()
                wait_until_there(url)
                assert all(daemon.is_alive for daemon in daemons)
                if len(daemons) < 2:
                    daemons.append(start())
                    wait_until_up(books, daemons)
            load.wait()
            wait_until_buried(books, daemons)
            for daemon in daemons:
                daemon.end()
            assert load.problems(books) == []
            refused = load.refused
        assert books.problems() == []
        crashes = books.rows("select crashes, count(*) from {job} group by 1 order by 1")
    with capsys.disabled():
        print(f"\nserver: {DEATHS} deaths; {refused} enqueues were refused; crashes of jobs: {dict(crashes)}")
