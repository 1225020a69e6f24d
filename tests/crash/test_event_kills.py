"""Random SIGKILLs of processes that have durable services, while events go through five of them.

ACTORFLOW_EVENT_KILLS=300 makes it 300 kills beside 20,000 events on a file, and beside 5,000 on PostgreSQL
(`tox -e event-kills`); ACTORFLOW_EVENT_KILLS_SEED draws another run of them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

import pytest

import actorflow as af
from tests.crash.event_services import MEMBERS, Audit, Placed

KILLS = int(os.environ.get("ACTORFLOW_EVENT_KILLS", "4"))
SEED = int(os.environ.get("ACTORFLOW_EVENT_KILLS_SEED", "1"))
EVENTS = {"sqlite": 20_000, "postgres": 5_000} if KILLS >= 100 else {"sqlite": 300, "postgres": 200}
KEYS = 50
PATIENCE = 300.0  # seconds; while events go through, without any progress


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "postgres":
        with request.getfixturevalue("postgres_server").database() as server:
            yield server
    else:
        yield f"sqlite:///{tmp_path / 'events.db'}"


def daemon(url):
    return subprocess.Popen([sys.executable, "-m", "tests.crash.event_daemon", url])


def tallies(system, name, cls, instances):
    """Return what all members of a service have seen; no key is with two of them."""
    found: dict[str, list[int]] = {}
    for actor in [name] if instances == 1 else [f"{name}/{number}" for number in range(instances)]:
        part = system.durable(actor, cls).call(cls.tally).get(timeout=PATIENCE)
        assert not found.keys() & part.keys()
        found.update(part)
    return found


def wait_until_through(system):
    """Wait until all is handled, as long as it takes, but not if the services stand still."""
    most, end = -1, time.monotonic() + PATIENCE
    while True:
        newest = system.event_log.list(limit=1)[0].number
        statuses = system.event_log.consumers()
        left = sum(one.behind + one.parked for one in statuses)
        if not left and len(statuses) == len(MEMBERS):
            return
        if (handled := len(MEMBERS) * newest - left) > most:
            most, end = handled, time.monotonic() + PATIENCE
        assert time.monotonic() < end, statuses
        time.sleep(0.2)


def wait_for_those_that_died(system):
    """Wait until no event is suspected of a death: one that three processes happen to die on would be dead.

    One kill may not have been counted yet, as nobody has taken the service over; so this one is the second at most.
    """
    end = time.monotonic() + PATIENCE
    names = json.dumps([actor for one in system.event_log.consumers() for actor in one.actors])
    while True:
        rows = system.store.read(lambda tx: tx.all("events.members", {"names": names}))
        if not any(json.loads(row[-1])["crashes"] for row in rows if row[-1] is not None):
            return
        if not sum(one.behind + one.parked for one in system.event_log.consumers()):  # there is none to be suspected
            return
        assert time.monotonic() < end, rows
        time.sleep(0.05)


@pytest.mark.slow
def test_no_event_is_skipped_and_none_applied_twice_whatever_process_is_killed(url):
    rng = random.Random(SEED)
    events = EVENTS["postgres" if url.startswith("postgres") else "sqlite"]
    daemons = [daemon(url), daemon(url)]
    try:
        with af.ActorSystem("crash", store=url, durability="process") as system:
            end = time.monotonic() + PATIENCE
            while len(system.event_log.consumers()) < len(MEMBERS):
                assert time.monotonic() < end
                time.sleep(0.1)
            published = 0
            for kill in range(KILLS):
                upto = events * (kill + 1) // KILLS
                while published < upto:
                    system.publish(Placed(f"o{published % KEYS}", published))
                    published += 1
                time.sleep(rng.uniform(0.1, 1.5))
                wait_for_those_that_died(system)
                place = rng.randrange(2)
                daemons[place].kill()
                daemons[place].wait(60)
                daemons[place] = daemon(url)
            wait_until_through(system)
            expected = {
                f"o{k}": [len(part), sum(part), part[-1], 0] for k in range(KEYS) if (part := range(k, events, KEYS))
            }
            for name, (cls, instances) in MEMBERS.items():
                assert tallies(system, name, cls, instances) == expected, name
            assert system.event_log.dead_count() == 0
            system.spawn(af.child(Audit).options(durable=True, name="later", retry=af.Retry(9, af.Backoff(0.02))))
            end = time.monotonic() + PATIENCE
            while tallies(system, "later", Audit, 1) != expected:
                assert time.monotonic() < end
                time.sleep(0.2)
    finally:
        for one in daemons:
            one.kill()
            one.wait(60)
