"""Schedules: when they fire, how often, in which zone, and what becomes of times that were missed."""

from __future__ import annotations

import datetime as dt
import threading

import pytest

import actorflow as af
from actorflow.queue import schedules as module
from actorflow.testing import VirtualSystem

from . import tasks

START = 1_600_000_000.0  # 2020-09-13 12:26:40 UTC: the virtual clock's beginning


def noted(system):
    ran = []

    @af.task(name="tests.scheduled")
    def scheduled(what: str = "") -> None:
        ran.append(round(system.now))

    return scheduled, ran


def test_a_schedule_fires_at_its_times(timed):
    task, ran = noted(timed)
    timed.queue("q", workers=1).cron("*/5 * * * *", task)
    timed.sleep(1000)
    assert ran == [200, 500, 800]  # 12:30, 12:35, 12:40


def test_a_schedule_passes_arguments_and_options(timed):
    jobs = timed.queue("q")
    jobs.cron("* * * * *", tasks.note.options(priority=7, tags=["nightly"]), args=("x",))
    timed.sleep(30)
    info = jobs.peek().info()
    assert (info.priority, info.tags) == (7, ("nightly",))


def test_zones_count(timed):
    task, ran = noted(timed)
    timed.queue("q", workers=1).cron("0 15 * * *", task, tz="Europe/Berlin")  # 13:00 UTC in summer
    timed.sleep(3600)
    assert ran == [2000]


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        ("30 2 * * *", "2021-03-28", ["03:00+02:00"]),  # is skipped that night: runs right after the gap
        ("30 2 * * *", "2021-10-31", ["02:30+02:00"]),  # comes twice: runs once
        ("0 4 * * *", "2021-03-28", ["04:00+02:00"]),
    ],
)
def test_the_rule_of_daylight_saving_is_debians(cron, day, expected):
    schedule = module.Schedule("s", cron, "Europe/Berlin", "skip", packed())
    zone = module.zoneinfo.ZoneInfo("Europe/Berlin")
    start = dt.datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=zone)
    end = (start + dt.timedelta(days=1)).timestamp()
    times = []
    for time in schedule.times(start.timestamp()):
        if time >= end:
            break
        times.append(
            dt.datetime.fromtimestamp(time, zone).isoformat()[11:16]
            + dt.datetime.fromtimestamp(time, zone).isoformat()[19:]
        )
    assert times == expected


def packed():
    return module.Packed("t", tasks.double.job_options, b"[]")


@pytest.mark.parametrize(("policy", "fired"), [("skip", 0), ("latest", 1), ("all", 7)])
def test_what_was_missed_is_caught_up_by_policy(tmp_path, policy, fired):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with VirtualSystem("one", store=url) as system:
        system.queue("q").cron("*/10 * * * *", tasks.double, args=(1,), catch_up=policy)
    with VirtualSystem("two", store=url) as system:
        system.scheduler.clock.now = 4000.0  # 13:33:20
        jobs = system.queue("q")
        jobs.cron("*/10 * * * *", tasks.double, args=(1,), catch_up=policy)
        assert jobs.stats().queued == fired
        system.sleep(600)
        assert jobs.stats().queued == fired + 1


def test_a_schedule_fires_once_however_many_declare_it(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    systems = [af.ActorSystem(f"s{n}", store=url, durability="process") for n in range(3)]
    try:
        ready = threading.Barrier(3)

        def declare(system):
            ready.wait(30)
            system.queue("q").cron("* * * * * *", tasks.double, args=(1,))  # each second

        threads = [threading.Thread(target=declare, args=(system,)) for system in systems]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        queue = systems[0].queue("q")
        heard = threading.Event()
        store = systems[0].store
        store.watch(lambda: queue.stats().queued >= 2 and heard.set())
        assert heard.wait(30)
        created = [info.created for info in queue.jobs()]
        assert len({int(time) for time in created}) == len(created)
    finally:
        for system in systems:
            system.stop()


def test_a_schedule_that_nobody_declares_any_more_stops_and_is_reported(tmp_path, caplog):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with VirtualSystem("old", store=url) as system:
        system.queue("q").cron("*/10 * * * *", tasks.double, args=(1,), name="sweep")
    with VirtualSystem("new", store=url) as system:
        jobs = system.queue("q", workers=1)
        system.sleep(1000)
        assert jobs.stats().completed == 0
        jobs.enqueue(tasks.double, 1).result()
        assert "no living process declares schedule 'sweep' any more; it has stopped" in caplog.text
        caplog.clear()
        system.sleep(100)
        jobs.enqueue(tasks.double, 1).result()
        assert not caplog.records  # said once


def test_a_schedule_that_was_changed_has_its_new_times(timed):
    task, ran = noted(timed)
    jobs = timed.queue("q", workers=1)
    jobs.cron("*/5 * * * *", task, name="s")
    jobs.cron("*/30 * * * *", task, name="s")
    timed.sleep(2100)
    assert ran == [200, 2000]


def test_a_schedule_goes_on_after_its_actor_has_crashed(timed):
    task, ran = noted(timed)
    timed.queue("q", workers=1).cron("*/5 * * * *", task)
    timed.lines["q"].schedules.tell("nonsense")
    timed.sleep(300)
    assert ran == [200]


def test_a_second_schedule_of_the_same_name_by_chance_is_refused(timed):
    jobs = timed.queue("q", workers=1)
    tasks.SEEN.clear()
    jobs.cron("* * * * *", tasks.note, args=("a",))
    jobs.cron("* * * * *", tasks.note, args=("a",))  # the same once more
    with pytest.raises(af.DefinitionError, match="with other arguments or options: give each a name="):
        jobs.cron("* * * * *", tasks.note, args=("b",))
    jobs.cron("* * * * *", tasks.note, args=("b",), name="b")
    timed.sleep(90)
    assert set(tasks.SEEN) == {"a", "b"}


@pytest.mark.parametrize("cron", ["", "* * *", "61 * * * *", "every day", "0 0 30 2 *"])
def test_cron_nonsense_is_refused_and_shown(timed, cron):
    with pytest.raises(af.DefinitionError, match=r"cron .*write minute, hour, day, month and weekday"):
        timed.queue("q").cron(cron, tasks.double, args=(1,))


def test_other_nonsense_is_refused(timed):
    jobs = timed.queue("q")
    with pytest.raises(af.DefinitionError, match=r"tz='Mars/Olympus'.*tzdata"):
        jobs.cron("* * * * *", tasks.double, args=(1,), tz="Mars/Olympus")
    for zone in ("", None, "../etc/passwd", "/etc/passwd", "Europe"):
        with pytest.raises(af.DefinitionError, match=r"tz=.*no such time zone"):
            jobs.cron("* * * * *", tasks.double, args=(1,), tz=zone)
    for name in ("", "a\0b", 5):
        with pytest.raises(af.DefinitionError, match="name="):
            jobs.cron("* * * * *", tasks.double, args=(1,), name=name)
    with pytest.raises(af.DefinitionError, match="cron=None"):
        jobs.cron(None, tasks.double, args=(1,))
    with pytest.raises(af.DefinitionError, match=r"cron\(args=\): 'ab' is no tuple of arguments"):
        jobs.cron("* * * * *", tasks.double, args="ab")
    with pytest.raises(af.DefinitionError, match="skip"):
        jobs.cron("* * * * *", tasks.double, args=(1,), catch_up="some")
    with pytest.raises(af.DefinitionError, match="missing a required argument"):
        jobs.cron("* * * * *", tasks.double)
