"""The processes of `examples.orders`: the pool that works out routes, and the atlas in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import psutil
import pytest

import actorflow as af
from actorflow.testing import LeakCheck, VirtualSystem
from examples.orders import Settings, main, open_areas, open_library
from examples.orders.atlas import DEPOT, Atlas, survey
from examples.orders.chaos import Saboteur
from examples.orders.generate import generate
from examples.orders.log import loads, steps
from examples.orders.route import Route, fits, plan
from examples.orders.tally import Tally
from tests.processes import stop_process

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-c", "from actorflow.cli import main; main()"]
KILL = signal.SIGKILL


@pytest.fixture
def system():
    """A system that leaves nothing behind, with the tally that `main` finds."""
    with LeakCheck(), af.ActorSystem("orders") as system:
        system.spawn(af.child(Tally).options(name="tally", capacity=1024))
        yield system


# --- kills -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_counts_come_out_equal_when_workers_and_hosts_are_killed(system, capsys):
    restarts = []
    system.subscribe(af.Restarted, restarts.append)
    assert main(system, Settings(orders=500, chaos=100)) == 0
    printed = capsys.readouterr()
    assert "Chaos: actors crashed 100, workers killed 4, hosts killed 4" in printed.out
    assert "differs" not in printed.out
    assert printed.err == ""
    hosts = [event.reason for event in restarts if event.ref.actor_class is Atlas]
    assert [(type(reason), reason.signal) for reason in hosts] == [(af.HostDied, KILL)] * 4
    assert system.pool("cpu").stats().restarts == 4
    assert len(restarts) == 100 + 4 + 4  # a worker of the pool is a supervised actor too


@pytest.mark.timeout(300)
@pytest.mark.parametrize("orders", [1, 3])
def test_kill_at_the_very_end_is_counted_and_kept_out_of_the_log(orders, system, capsys, caplog):
    assert main(system, Settings(orders=orders, chaos=21)) == 0
    assert "Chaos: actors crashed 21, workers killed 1, hosts killed 1\n" in capsys.readouterr().out
    system.stop()
    assert [record for record in caplog.records if record.name == "actorflow"] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_program_with_chaos_100_exits_with_0_and_leaves_no_process():
    mark = uuid.uuid4().hex  # all its processes have it in their environment
    result = subprocess.run(
        [*PROGRAM, "run", "examples.orders:app", "--orders", "500", "--chaos", "100"],
        cwd=ROOT,
        env={**os.environ, "MARK": mark},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Chaos: actors crashed 100, workers killed 4, hosts killed 4" in result.stdout
    assert result.stderr == ""
    left = [
        process for process in psutil.process_iter(["environ"]) if (process.info["environ"] or {}).get("MARK") == mark
    ]
    assert psutil.wait_procs(left, timeout=100)[1] == []


@pytest.mark.timeout(300)
def test_every_kill_hits_a_process_of_its_own(system):
    events = generate(60, seed=4)
    planner = open_library(system, kills=8)
    saboteur = system.spawn(Saboteur, 8, len(loads(events)), planner)
    system.subscribe(af.Started, saboteur)
    tally = system.find("/orders/tally", Tally)
    report = tally.call(Tally.expect, events)
    open_areas(system, steps(events), tally, (), planner)
    assert report.get(timeout=100).equal
    assert saboteur.call(Saboteur.report).get(timeout=100) == {"worker": 8, "host": 8}
    assert len(saboteur.proxy().victims.get(timeout=100)) == 16


# --- the atlas -------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_atlas_forgets_by_the_death_of_its_process_and_finds_every_place_where_it_was(system):
    atlas = open_library(system, kills=1).atlas
    before = atlas.call(Atlas.places, ["item-1", "item-2"]).get(timeout=100)
    restarted = threading.Event()
    system.subscribe(af.Restarted, lambda _: restarted.set())
    psutil.Process(atlas.call(Atlas.pid).get(timeout=100)).kill()
    assert restarted.wait(100)
    assert atlas.proxy().known.get(timeout=100) == {}
    assert atlas.call(Atlas.places, ["item-1", "item-2"]).get(timeout=100) == before
    assert before == [DEPOT, survey("item-1"), survey("item-2")]


@pytest.mark.timeout(300)
def test_who_asks_while_the_process_of_the_atlas_dies_asks_again(system):
    class Asker(af.Actor):
        async def ask(self, planner):
            return await planner.places(["item-1"])

    planner = open_library(system, kills=1)
    process = psutil.Process(planner.atlas.call(Atlas.pid).get(timeout=100))
    stop_process(process.pid)  # so that it is certain to die over the question
    answer = system.spawn(Asker).call(Asker.ask, planner)
    process.kill()
    assert answer.get(timeout=100) == [DEPOT, survey("item-1")]


# --- routes in the report --------------------------------------------------------------------------------------------


def replay(system):
    events = generate(20, seed=1)
    with system:
        tally = system.spawn(Tally)
        report = tally.call(Tally.expect, events)
        open_areas(system, steps(events), tally, (), open_library(system, kills=0))
        return loads(events), report.get(timeout=100)


@pytest.mark.timeout(300)
def test_every_package_has_the_route_that_the_search_finds_for_it():
    contents, report = replay(af.ActorSystem("orders"))
    routes = report.sections["package"].routes
    assert report.packages == report.routes == report.good_routes == len(contents) == len(routes)
    for package, items in contents.items():
        places = [DEPOT, *map(survey, items)]
        assert fits(routes[package], places)
        assert routes[package] == plan(places, package)


@pytest.mark.parametrize("flaw", ["length", "stop"])
def test_bad_route_is_found_and_the_counts_are_not_equal(flaw, monkeypatch):
    def bad(places, seed):
        route = plan(places, seed)
        if seed != "package-660003":
            return route
        return route._replace(length=1.0) if flaw == "length" else Route((*route.order[:-1], 0), route.length)

    monkeypatch.setattr("examples.orders.atlas.plan", bad)  # it runs in this process: the clock is virtual
    _, report = replay(VirtualSystem("orders"))
    assert report.good_routes == report.packages - 1
    assert not report.equal
