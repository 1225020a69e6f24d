"""Schedules: when they fire, how often, in which zone, and what becomes of times that were missed."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import actorflow as af
from actorflow.queues import cron as module
from actorflow.queues import schedules as actor
from actorflow.queues.packing import Packed
from actorflow.store.sqlite.connection import SqliteWriter
from actorflow.testing import VirtualSystem

from . import tasks

START = 1_600_000_000.0  # 2020-09-13 12:26:40 UTC: the virtual clock's beginning


@pytest.fixture
def alone(tmp_path):
    """A system on virtual time and a file, with queue "q"."""
    with VirtualSystem("alone", store=f"sqlite:///{tmp_path / 'jobs.db'}") as running:
        yield running


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


@pytest.mark.parametrize("column", ["next", "declared", "last"])
def test_a_damaged_row_is_written_anew_and_delays_no_other_schedule(alone, tmp_path, column):
    task, ran = noted(alone)
    jobs = alone.queue("q", workers=1)
    jobs.cron("* * * * *", task, name="sound")
    jobs.cron("*/2 * * * *", task, name="damaged")
    with contextlib.closing(sqlite3.connect(tmp_path / "jobs.db")) as other, other:
        other.execute(f"update af_schedule set {column} = 'x' where name = 'damaged'")
    alone.sleep(210)
    assert {20, 80, 140, 200} <= {*ran}
    ran.clear()
    jobs.cron("*/2 * * * *", task, name="damaged")
    alone.sleep(120)
    assert len(ran) == 3  # both


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
    return Packed("t", tasks.double.job_options, b"[]")


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


@pytest.mark.slow
def test_a_schedule_fires_once_however_many_declare_it(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    systems = [af.ActorSystem(f"s{n}", store=url, durability="process") for n in range(3)]
    try:
        ready, begin = threading.Barrier(3), systems[0].store.now()

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
        store.watch(lambda: queue.stats().queued >= 3 and heard.set())
        assert heard.wait(30)
        count = queue.count()
        assert count <= int(store.now()) - int(begin)  # seconds that have begun; a busy machine is late for some
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
    timed.local_queues["q"].schedules.tell("nonsense")
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
    with pytest.raises(af.DefinitionError, match="tz=None: give str"):
        jobs.cron("* * * * *", tasks.double, args=(1,), tz=None)
    for zone in ("", "../etc/passwd", "/etc/passwd", "Europe"):
        with pytest.raises(af.DefinitionError, match=r"tz=.*no such time zone"):
            jobs.cron("* * * * *", tasks.double, args=(1,), tz=zone)
    for name in ("", "a\0b", 5):
        with pytest.raises(af.DefinitionError, match="name="):
            jobs.cron("* * * * *", tasks.double, args=(1,), name=name)
    with pytest.raises(af.DefinitionError, match="cron=None"):
        jobs.cron(None, tasks.double, args=(1,))
    with pytest.raises(af.DefinitionError, match=r"cron\(args=\): 'ab' is not a tuple of arguments"):
        jobs.cron("* * * * *", tasks.double, args="ab")
    with pytest.raises(af.DefinitionError, match="skip"):
        jobs.cron("* * * * *", tasks.double, args=(1,), catch_up="some")
    with pytest.raises(af.DefinitionError, match="missing a required argument"):
        jobs.cron("* * * * *", tasks.double)


# --- times that were missed -------------------------------------------------------------------------------------------

EXPRESSIONS = ["* * * * *", "*/7 * * * *", "0 * * * *", "15,45 2 * * *", "30 2 * * *", "0 0 * * *", "5 1-3 * * 0"]
EXPRESSIONS += ["0 4 1 * *", "* 2 * * *", "*/50 * * * * *", "0 30 2 * * *", "59 23 L * *", "0 12 * * MON#2"]
CHANGES = ["2021-03-28T01:00", "2021-10-31T00:00", "2021-03-14T07:00", "2021-11-07T05:30", "2021-04-03T14:30"]


@pytest.mark.parametrize("cron", EXPRESSIONS)
def test_the_last_missed_time_is_that_of_a_walk_through_all_of_them(cron):
    rng = random.Random(cron)
    for zone in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana"):
        schedule = module.Schedule("s", cron, zone, "latest", packed())
        for change in CHANGES:
            start = dt.datetime.fromisoformat(f"{change}+00:00").timestamp() + rng.uniform(-7200, 0)
            first = schedule.following(start)
            nows = sorted(max(first, start + rng.uniform(0, 4 * 3600)) for _ in range(4))
            walk, latest = schedule.times(first), first
            following = next(walk)
            for now in nows:
                while following <= now:
                    latest, following = max(latest, following), next(walk)
                assert schedule.latest_due(first, now) == (latest, following), (zone, first, now)


def test_a_year_of_missed_minutes_is_looked_through_backwards_from_now(monkeypatch):
    schedule = module.Schedule("s", "* * * * *", "UTC", "skip", packed())
    steps = []
    step = module.CronSim.__next__
    monkeypatch.setattr(module.CronSim, "__next__", lambda sim: steps.append(sim) or step(sim))
    assert schedule.due(START, START + 365 * 86400 + 10) == ([START + 365 * 86400 - 40], START + 365 * 86400 + 20)
    assert len(steps) < 5


@pytest.mark.parametrize("policy", ["skip", "latest", "all"])
def test_times_are_worked_out_while_no_transaction_is_open(alone, monkeypatch, policy):
    times = module.Schedule.times

    def outside(schedule, after):
        alone.store.write(lambda transaction: None)  # raises a DeadlockError within a transaction
        return times(schedule, after)

    monkeypatch.setattr(module.Schedule, "times", outside)
    task, ran = noted(alone)
    alone.queue("q", workers=1).cron("*/5 * * * *", task, catch_up=policy)
    alone.sleep(600)
    assert ran == [200, 500]


def test_more_missed_times_than_one_transaction_adds_are_all_caught_up(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    for late in (0.0, 2600.0):
        with VirtualSystem("one", store=url) as system:
            system.scheduler.clock.now += late
            jobs = system.queue("q")
            jobs.cron("* * * * * *", tasks.double, args=(1,), catch_up="all")
            system.sleep(0.5)
    with af.ActorSystem("other", store=url) as system:
        assert system.queue("q").stats().queued == 2600


# --- several processes, and other declarations ------------------------------------------------------------------------


class Release:
    """A system with a thread of its own, as a thread drives one system on virtual time."""

    def __init__(self, name, url):
        self.thread = ThreadPoolExecutor(1)
        self.system = self.do(lambda: VirtualSystem(name, store=url).__enter__())

    def do(self, act):
        return self.thread.submit(act).result(30)

    def declare(self, cron, task, *args, name="s", **options):
        self.do(lambda: self.system.queue("q").cron(cron, task, args=args, name=name, **options))

    def count(self, **which):
        return self.do(lambda: self.system.queue("q").count(**which))

    def stop(self):
        self.do(self.system.stop)
        self.thread.shutdown()


@pytest.fixture
def two(tmp_path):
    """Two systems on one file, of an old and of a new release."""
    old, new = (Release(name, f"sqlite:///{tmp_path / 'jobs.db'}") for name in ("old", "new"))
    yield old, new
    new.stop()
    old.stop()


def pass_time(seconds, *releases):
    for _ in range(int(seconds) // 20):
        for release in releases:
            release.do(lambda release=release: release.system.sleep(20))


def test_a_schedule_that_a_newer_process_has_changed_runs_by_its_new_times_while_the_old_one_lives(two, caplog):
    caplog.set_level("INFO", "actorflow")
    old, new = two
    old.declare("0 0 1 1 *", tasks.double, 1)  # once a year
    old.declare("* * * * *", tasks.double, 2, name="other")
    new.declare("* * * * *", tasks.note, "new")
    pass_time(600, old, new)
    assert new.count(task=tasks.note) == 10
    assert new.count(task=tasks.double) == 10  # the other one of the old process
    left = [record.getMessage() for record in caplog.records if "leaves it alone" in record.getMessage()]
    assert len(left) == 1
    assert "'s' has the times '* * * * *' of another process; this one, with '0 0 1 1 *', leaves" in left[0]


def test_a_process_fires_by_its_own_text_only(two):
    old, new = two
    old.declare("* * * * *", tasks.note, "old")
    new.declare("* * * * *", tasks.note, "new", tz="Europe/Berlin")
    pass_time(300, old)
    assert new.count() == 0
    pass_time(300, new)
    assert new.count() == 5


def test_times_whose_last_process_has_died_give_way_to_those_of_a_living_one(two, caplog):
    old, new = two
    old.declare("* * * * *", tasks.note, "old")
    new.declare("0 0 1 1 *", tasks.double, 1)
    pass_time(600, old, new)
    assert old.count() == 0
    new.do(new.system.stop)  # a release that was taken back
    pass_time(actor.STALE_SECONDS + 2 * actor.BEAT_SECONDS + 60, old)
    assert "no living process has the times '0 0 1 1 *' of schedule 's' any more; those of this one" in caplog.text
    before = old.count()
    pass_time(300, old)
    assert old.count() == before + 5


def test_after_a_computer_has_slept_the_times_of_the_last_declaration_still_hold(two, monkeypatch):
    old, new = two
    old.declare("0 * * * *", tasks.double, 1)
    new.declare("* * * * *", tasks.note, "new")
    pass_time(120, old, new)
    before = new.count()
    for release in two:
        shift(release.system, monkeypatch, 8 * 3600.0)
    pass_time(300, old, new)
    assert new.count() >= before + 5


def test_a_schedule_whose_row_was_removed_is_written_again(alone):
    task, ran = noted(alone)
    alone.queue("q", workers=1).cron("*/5 * * * *", task)
    values = {"queue": "q", "before": START + 1000}
    alone.sleep(10)
    alone.store.write(lambda transaction: transaction.run("schedules.prune", values))
    alone.sleep(500)
    assert ran == [200, 500]


# --- a clock that was wrong -------------------------------------------------------------------------------------------


def shift(system, monkeypatch, seconds):
    """Set the clock on the wall, as the store sees it; the one that nobody sets goes on."""
    clock = system.scheduler.clock
    monkeypatch.setattr(system.store, "now", lambda: START + clock.monotonic() + seconds)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("fires", [False, True])
def test_a_clock_that_was_ahead_silences_no_schedule(tmp_path, monkeypatch, restarted, fires):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    cron = "* * * * *" if fires else "0 13 * * *"

    def declare(system, ahead):
        shift(system, monkeypatch, ahead)
        queue = system.queue("q")
        queue.cron(cron, tasks.note, args=("x",), name="s", catch_up="skip")
        return queue

    with VirtualSystem("one", store=url) as system:
        jobs = declare(system, 86400.0)
        system.sleep(30)
        before = jobs.count()
        assert before == int(fires)
        if not restarted:
            shift(system, monkeypatch, 0.0)
            system.sleep(2100)
            assert jobs.count() - before >= (34 if fires else 1)
            return
    with VirtualSystem("two", store=url) as system:
        jobs = declare(system, 0.0)
        system.sleep(2100)
        assert jobs.count() - before >= (34 if fires else 1)


def test_a_clock_that_was_set_back_a_little_has_no_time_fire_twice(alone, monkeypatch):
    task, _ = noted(alone)
    jobs = alone.queue("q")
    jobs.cron("* * * * *", task)
    alone.sleep(25)  # 12:27:05
    assert jobs.count() == 1
    shift(alone, monkeypatch, -20.0)  # 12:26:45
    alone.sleep(70)
    assert jobs.count() == 1  # 12:27:55
    alone.sleep(10)
    assert jobs.count() == 2


# --- many, and some that fail -----------------------------------------------------------------------------------------


def test_a_schedule_costs_no_more_beside_many_others(alone):
    jobs = alone.queue("q")
    begun = []
    begin = SqliteWriter.begin
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            SqliteWriter,
            "begin",
            lambda writer, kind: begun.append(kind) or begin(writer, kind),
        )
        for n in range(120):
            jobs.cron(f"{n % 60} {n // 60 + 12} * * *", tasks.double, args=(n,), name=f"tenant {n}")
        assert len(begun) <= 130
        begun.clear()
        alone.sleep(1200)  # 20 of them fire, one a minute
        assert jobs.count() == 20
        assert len(begun) <= 20 + 21  # and a note a minute that their process lives


def test_schedules_that_are_due_together_share_a_transaction(alone):
    jobs = alone.queue("q")
    for n in range(50):
        jobs.cron("30 12 * * *", tasks.double, args=(n,), name=f"tenant {n}")
    before = alone.store.read(lambda transaction: transaction.one("schedules.get", {"queue": "q", "name": "tenant 3"}))
    begun = []
    begin = SqliteWriter.begin
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            SqliteWriter,
            "begin",
            lambda writer, kind: begun.append(kind) or begin(writer, kind),
        )
        alone.sleep(210)
    assert jobs.count() == 50
    assert len(begun) <= 5
    assert before[4] is None


def test_a_schedule_whose_job_is_refused_delays_no_other(timed, caplog):
    jobs = timed.queue("q")
    jobs.enqueue(tasks.double.options(unique="one"), 1)
    jobs.cron("* * * * *", tasks.double.options(unique="one", on_duplicate="reject"), args=(1,), name="a")
    jobs.cron("* * * * *", tasks.note, args=("x",), name="b")
    timed.sleep(300)
    assert jobs.count(task=tasks.note) == 5
    assert jobs.count(task=tasks.double) == 1
    refusals = [record for record in caplog.records if "Schedule 'a' of queue q: its job is left out" in record.message]
    assert len(refusals) == 5


def test_a_schedule_that_raises_is_tried_again_and_delays_no_other(timed, monkeypatch, caplog):
    jobs, put, fails = timed.queue("q"), actor.put, iter([True, True])

    def failing(transaction, queue, packed, now, news):
        if packed.task == tasks.double.name and next(fails, False):
            put(transaction, queue, packed, now, news)  # it is undone
            raise ValueError("no")
        return put(transaction, queue, packed, now, news)

    monkeypatch.setattr(actor, "put", failing)
    jobs.cron("30 12 * * *", tasks.double, args=(1,), name="a")
    jobs.cron("30 12 * * *", tasks.note, args=("x",), name="b")
    timed.sleep(200.5)
    assert (jobs.count(task=tasks.note), jobs.count(task=tasks.double)) == (1, 0)
    timed.sleep(5)
    assert (jobs.count(task=tasks.note), jobs.count(task=tasks.double)) == (1, 1)
    text = "Schedules of queue q: 1 of them are tried again in a second, as the store failed: no"
    assert caplog.text.count(text) == 1  # the second failure comes a second later
    assert caplog.text.count("Queue q: the store works again (single schedules)") == 1


def test_a_store_that_is_gone_for_a_while_loses_no_time(alone, monkeypatch, caplog):
    task, ran = noted(alone)
    alone.queue("q", workers=1).cron("*/5 * * * *", task, catch_up="all")
    read, submit = alone.store.read, alone.store.submit_each

    def gone(*_args, **_options):
        raise af.StoreError("gone")

    alone.sleep(10)
    monkeypatch.setattr(alone.store, "read", gone)
    monkeypatch.setattr(alone.store, "submit_each", gone)
    alone.sleep(600)
    monkeypatch.setattr(alone.store, "read", read)
    monkeypatch.setattr(alone.store, "submit_each", submit)
    alone.sleep(300)
    assert len(ran) == 3
    lines = [record.getMessage() for record in caplog.records if "chedules" in record.getMessage()]
    assert lines[0] == "Schedules of queue q: the store failed, tried again in a second: gone"
    assert lines[-1] == "Queue q: the store works again (schedules)"
    assert 5 < len(lines) < 15, lines
