"""Promises: a handler of log records that blocks or fails stops nothing but the logs, and loses none silently."""

import logging
import sys
import threading

import pytest

import actorflow as af
from actorflow.process import log_handling
from actorflow.testing import LeakCheck
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Fragile, Here, call, events, hosted

pytestmark = pytest.mark.timeout(300)

NAME = "tests.hosts.slow"
WARNING = "log records of child processes were dropped"


class Logs(Fragile):
    def log(self, first, count, size=10):
        for number in range(first, first + count):
            logging.getLogger(NAME).warning("%d %s", number, "x" * size)
        return count


class Blocking(logging.Handler):
    """Blocks until it is let go on."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def emit(self, record):
        self.entered.set()
        assert self.go_on.wait(3 * LIMIT)
        self.seen.append(record.getMessage())

    def numbers(self):
        return [int(text.split()[0]) for text in self.seen if text[0].isdigit() and WARNING not in text]

    def warnings(self):
        return [int(text.split()[0]) for text in self.seen if WARNING in text]


@pytest.fixture
def handler():
    """A handler of the root logger, alone there: pytest's would show what this one has not seen."""
    blocking = Blocking()
    logging.getLogger().addHandler(blocking)
    yield blocking
    blocking.go_on.set()
    logging.getLogger().removeHandler(blocking)


def test_answers_and_messages_go_on_while_a_handler_blocks(system, handler):
    ref, other = system.spawn(hosted(Logs)), system.spawn(hosted(Here))
    call(ref, Logs.log, 0, 10)
    assert handler.entered.wait(LIMIT)
    assert ref.ask("still here", timeout=LIMIT) == "still here"
    assert other.ask("and here", timeout=LIMIT) == "and here"
    call(ref, Logs.log, 10, 10)
    assert handler.seen == []
    handler.go_on.set()
    until(lambda: handler.numbers() == list(range(20)))
    assert not handler.warnings()


def test_the_death_of_a_process_is_dealt_with_while_a_handler_blocks(system, handler):
    ref = system.spawn(hosted(Logs, restart="permanent"))
    call(ref, Logs.log, 0, 1)
    assert handler.entered.wait(LIMIT)
    with events(system, af.Restarted) as restarts:
        with pytest.raises(af.HostDied):
            call(ref, Fragile.exit, 3)
        assert ref.ask("again", timeout=LIMIT) == "again"
        until(lambda: restarts)


def test_tasks_of_pools_go_on_while_a_handler_blocks(handler):
    with LeakCheck():
        with af.ProcessPool(workers=1) as pool:
            pool.submit(logging.getLogger(NAME).warning, "%d from a task", 7).result(timeout=LIMIT)
            assert handler.entered.wait(LIMIT)
            assert pool.submit(abs, -1).result(timeout=LIMIT) == 1
            handler.go_on.set()
        assert handler.numbers() == [7]


def test_what_does_not_fit_is_dropped_and_one_warning_counts_it(system, handler, monkeypatch):
    monkeypatch.setattr(log_handling, "QUEUED", 50_000)
    ref = system.spawn(hosted(Logs))
    call(ref, Logs.log, 0, 1)
    assert handler.entered.wait(LIMIT)
    call(ref, Logs.log, 1, 999, 1000)
    handler.go_on.set()
    until(handler.warnings)
    until(lambda: len(handler.numbers()) + sum(handler.warnings()) == 1000)
    assert len(handler.warnings()) == 1
    assert handler.numbers() == list(range(len(handler.numbers())))  # the newest are dropped
    call(ref, Logs.log, 1000, 1)
    until(lambda: handler.numbers()[-1] == 1000)


def test_the_end_of_the_system_waits_for_what_is_queued(handler):
    with LeakCheck(), af.ActorSystem("test", settings=af.Settings(grace=60.0)) as system:
        call(system.spawn(hosted(Logs)), Logs.log, 0, 500)
        assert handler.entered.wait(LIMIT)
        threading.Timer(0.2, handler.go_on.set).start()
    assert handler.numbers() == list(range(500))


def test_the_end_of_the_system_does_not_wait_for_ever(handler):
    with LeakCheck():
        with af.ActorSystem("test", settings=af.Settings(grace=0.5)) as system:
            call(system.spawn(hosted(Logs)), Logs.log, 0, 500)
            assert handler.entered.wait(LIMIT)
        assert handler.seen == []
        handler.go_on.set()
        until(lambda: len(handler.seen) == 2)
        assert handler.numbers() == [0]
        assert handler.warnings() == [499]


def test_a_handler_that_stops_the_system_does_not_wait_for_itself():
    class Stops(logging.Handler):
        def emit(self, _record):
            system.stop(grace=1)
            stopped.set()

    stopped, stops = threading.Event(), Stops()
    with LeakCheck():
        system = af.ActorSystem("test")
        logging.getLogger(NAME).addHandler(stops)
        try:
            system.spawn(hosted(Logs)).call(Logs.log, 0, 1)
            assert stopped.wait(LIMIT)
        finally:
            logging.getLogger(NAME).removeHandler(stops)


def test_a_handler_that_raises_loses_only_its_record(system, caplog):
    class Raises(logging.Handler):
        def emit(self, record):
            if record.getMessage().startswith("0 "):
                raise LookupError("no such file")

    raises = Raises()
    logging.getLogger(NAME).addHandler(raises)
    try:
        call(system.spawn(hosted(Logs)), Logs.log, 0, 2)
        until(lambda: "1 xxx" in caplog.text)
    finally:
        logging.getLogger(NAME).removeHandler(raises)
    assert "no such file" in caplog.text


class Exits(logging.Handler):
    """Exits at the first record."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def emit(self, record):
        self.seen.append(record.getMessage())
        if len(self.seen) == 1:
            sys.exit("not I")


@pytest.fixture
def exits():
    handler = Exits()
    logging.getLogger(NAME).addHandler(handler)
    yield handler
    logging.getLogger(NAME).removeHandler(handler)


def test_a_handler_that_exits_ends_no_thread_and_loses_no_other_line(system, exits):
    call(system.spawn(hosted(Logs)), Logs.log, 0, 3)
    until(lambda: len(exits.seen) == 3)


@pytest.mark.parametrize("times", [1, 1000])
def test_lines_for_which_there_was_no_thread_are_handled_later(exits, monkeypatch, times):
    known, lacks = threading.Thread.start, iter(range(times))

    def start(thread):
        if thread.name.endswith("-logs") and next(lacks, None) is not None:
            raise RuntimeError("can't start new thread")
        known(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with LeakCheck(), af.ActorSystem("test") as system:
        ref = system.spawn(hosted(Logs))
        call(ref, Logs.log, 0, 3)
        call(ref, Logs.log, 3, 3)
    assert [line.split()[0] for line in exits.seen] == list("012345")
