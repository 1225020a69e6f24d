"""Promises: an app is what it was given: its parts, tasks, queues, schedules and classes, and it runs nothing else."""

import dataclasses

import pytest

import actorflow as af
from actorflow.store.classes import DECLARED
from actorflow.store.codec import decode, encode
from actorflow.testing import LeakCheck, VirtualScheduler

RAN: list[object] = []


@pytest.fixture(autouse=True)
def _clear():
    RAN.clear()


@af.task(name="tests.declarations.added")
def added(n: int = 0) -> int:
    RAN.append(n)
    return n


@af.task(name="tests.declarations.imported")
def imported(n: int = 0) -> int:
    RAN.append(-n)
    return -n


class Part(af.Actor):
    def on_receive(self, message):
        return message


@dataclasses.dataclass
class Order:
    number: int


def plain(n: int) -> int:
    return n


def mail(**options):
    return af.queue("mail", workers=1, **options)


def shop(*declarations, **options):
    return af.App("shop", **options).add(*declarations)


def started(app):
    return app.system(scheduler=VirtualScheduler(name="shop", seed=5))


# --- what it runs -----------------------------------------------------------------------------------------------------


def test_workers_of_an_app_run_the_tasks_that_it_was_given_and_leave_others_to_others(caplog):
    with LeakCheck(), started(shop(added, mail())) as system:
        queue = system.queue("mail")
        jobs = [queue.enqueue(task, n) for n in (1, 2) for task in (imported, added)]  # to a worker that waits, too
        system.sleep(200)
        assert [job.status for job in jobs] == ["queued", "completed"] * 2
        assert RAN == [1, 2]
        system.local_queues["mail"].upkeep.report_unknown()  # as a live system does each minute
        assert "'tests.declarations.imported', which was not added to the app here: app.add(it)" in caplog.text
        with pytest.raises(af.AskTimeout, match=r"was not added to the app here: app\.add\(it\)"):
            jobs[0].result(timeout=1)


def test_a_program_without_an_app_runs_all_imported_tasks():
    with af.ActorSystem("plain") as system:
        assert system.queue("mail", workers=1).enqueue(imported, 3).result(timeout=30) == -3


def test_an_app_without_workers_needs_no_tasks_to_enqueue(tmp_path):
    url = f"sqlite:///{tmp_path}/shop.db"
    with shop(af.queue("mail"), store=url).system() as web, shop(added, mail(), store=url).system():
        assert web.queue("mail").enqueue(added, 4).result(timeout=30) == 4


def test_workers_of_an_app_without_tasks_are_refused_with_the_cure():
    app = shop(mail())
    with pytest.raises(af.DefinitionError, match=r"runs only the tasks that it was given: app\.add\("):
        app.run()
    with shop().system() as system, pytest.raises(af.DefinitionError, match=r"has none: app\.add\(task"):
        system.queue("mail", workers=1)


def test_an_app_starts_by_any_scheduler_and_again():
    app = shop(added, af.child(Part).options(name="part"), mail())
    for system in (app.system(), started(app), app.start()):
        with system:
            assert system.find("/shop/part", Part).ask("x") == "x"
            assert system.queue("mail").enqueue(added, 7).result(timeout=30) == 7


def test_the_settings_of_an_app_hold_on_a_scheduler_that_it_is_given():
    with started(shop(system=af.Settings(ask_timeout=3, threads=5))) as system:
        assert (system.scheduler.ask_timeout, system.scheduler.max_threads) == (3, 5)


def test_a_scheduler_is_of_one_system():
    scheduler = VirtualScheduler(name="shop")
    with shop().system(scheduler=scheduler), pytest.raises(af.DefinitionError, match="has a system already"):
        shop().system(scheduler=scheduler)
    with pytest.raises(af.DefinitionError, match="make a scheduler for each"):
        shop().system(scheduler=scheduler)


def test_an_object_that_is_no_scheduler_is_refused():
    with pytest.raises(af.DefinitionError, match="scheduler=<class .*: give a scheduler"):
        shop().system(scheduler=VirtualScheduler)


def test_a_declared_schedule_enqueues_once_the_app_is_up():
    app = shop(added, mail().cron("0 * * * *", added, args=(9,)).cron("0 0 * * *", added))
    with started(app) as system:
        system.sleep(3 * 3600)
        assert RAN == [9, 9, 9]


def test_limits_of_a_declared_queue_hold():
    with shop(added, af.queue("mail", workers=2, concurrency=1)).system() as system:
        assert system.queue("mail").workers == 2
        rows = system.store.read(lambda tx: tx.all("jobs.queue_names"))
        assert rows == [("mail",)]


def test_a_given_class_is_read_wherever_its_name_leads():
    kind = dataclasses.make_dataclass("Hidden", [("n", int)])
    kind.__module__ = __name__
    data = encode(kind(3))
    with pytest.raises(af.PayloadError, match="give the class to app.add"):
        decode(data)
    try:
        shop(kind)
        assert decode(data) == kind(3)
    finally:
        DECLARED.clear()


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "store"), [("a/b", "memory:"), (3, "memory:"), ("shop", None)])
def test_an_app_whose_name_or_store_makes_no_sense_is_refused_when_it_is_made(name, store):
    with pytest.raises(af.DefinitionError, match=r"name|store=None"):
        af.App(name, store=store)


class Strange:
    """Can be called, and has no attributes that can be looked at."""

    def __call__(self):
        pass

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")


Another = dataclasses.make_dataclass("Order", [("n", int)])
Another.__module__ = __name__


@pytest.mark.parametrize(
    ("declarations", "cure"),
    [
        ((plain,), "plain function; put @af.task or @af.workflow above it"),
        ((added, added), "has task 'tests.declarations.added' already"),
        ((mail(), mail()), "has queue 'mail' already"),
        ((af.child(Part).options(name="a"), af.child(Part).options(name="a")), "two parts named 'a'"),
        ((int,), "neither an actor nor a dataclass"),
        ((Another,), "another class is stored as .*: rename one of them"),
        ((3,), "an app takes actor classes"),
        (("mail",), "an app takes actor classes"),
        ((Strange(),), "an app takes actor classes"),
    ],
)
def test_a_bad_declaration_is_refused_as_it_is_added(declarations, cure):
    with pytest.raises(af.DefinitionError, match=cure):
        shop(*declarations)


def test_a_class_in_a_function_is_refused():
    @dataclasses.dataclass
    class Local:
        n: int

    with pytest.raises(af.DefinitionError, match="define it in a module"):
        shop(Local)


def test_an_open_queue_is_no_declaration():
    with af.ActorSystem("plain") as system, pytest.raises(af.DefinitionError, match=r"declare it, af\.queue\('mail'"):
        shop(system.queue("mail"))


def test_a_schedule_of_a_task_that_was_not_added_is_refused():
    app = shop(added, mail().cron("0 * * * *", imported))
    with pytest.raises(af.DefinitionError, match=r"app\.add\(tests\.declarations\.imported\)"):
        app.system()


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (lambda: af.queue("a/b"), "queue name"),
        (lambda: af.queue("q", workers=-1), "workers=-1"),
        (lambda: af.queue("q", rate="often"), "often"),
        (lambda: mail().cron("* *", added), "cron"),
        (lambda: mail().cron("* * * * *", plain), "give a task"),
        (lambda: mail().cron("* * * * *", added, args=(1, 2)), "added"),
        (lambda: mail().cron("* * * * *", added, tz="Mars/Base"), "Mars/Base"),
        (lambda: mail().cron("* * * * *", added, catchup="all"), "did you mean 'catch_up'"),
        (lambda: mail().cron("0 * * * *", added).cron("0 * * * *", added), "two schedules"),
    ],
)
def test_a_queue_that_makes_no_sense_is_refused_where_it_is_declared(declare, text):
    with pytest.raises(af.DefinitionError, match=text):
        declare()
