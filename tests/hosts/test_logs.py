"""Promises: what hosted actors log arrives at the loggers of this process, with the path of the actor."""

import logging
import os
import sys

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Fragile, Here, Notes, call, hosted, pid_of

pytestmark = pytest.mark.timeout(300)

NAME = "tests.hosts.logged"


class Logs(Fragile):
    def ctx_log(self, text, *args):
        self.ctx.log.warning(text, *args)

    def std_log(self, level, text, *args):
        logging.getLogger(NAME).log(level, text, *args)

    def with_error(self):
        try:
            {}["absent"]
        except KeyError:
            logging.getLogger(NAME).exception("it failed")

    def with_extra(self, value):
        logging.getLogger(NAME).warning("extra", extra={"mine": value, "lock": os.getpid})

    def bad_arguments(self):
        import threading

        logging.getLogger(NAME).warning("object %s", threading.Lock())

    def thread_log(self):
        import threading

        thread = threading.Thread(target=logging.getLogger(NAME).warning, args=("from a thread",))
        thread.start()
        thread.join()

    def levels(self):
        return [logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in (NAME, "tests.other")]

    def warn(self):
        import warnings

        warnings.warn("mind this", UserWarning, stacklevel=1)

    def fork_and_log(self, path):
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), 2)
            logging.getLogger(NAME).warning("from the fork")
            os._exit(0)
        os.waitpid(pid, 0)

    def bad_line(self, path, text, *args):
        with open(path, "w") as file:  # noqa: PTH123 - children start without pathlib
            sys.stderr, known = file, sys.stderr
            self.ctx.log.warning(text, *args)
            sys.stderr = known

    def nested(self):
        child = self.ctx.spawn(hosted(Logs, name="inner"))
        call(child, Logs.ctx_log, "from the inner host")


@pytest.fixture
def ref(system):
    return system.spawn(hosted(Logs, name="x"))


def the_record(caplog, text):
    def found():
        return [record for record in caplog.records if text in record.getMessage()]

    until(found)
    (record,) = found()
    return record


def test_ctx_log_arrives_with_the_path(ref, caplog):
    call(ref, Logs.ctx_log, "hello %s", "you")
    record = the_record(caplog, "hello you")
    assert record.getMessage() == "[/test/x] hello you"
    assert record.actor == "/test/x"
    assert record.name == "tests.hosts.test_logs"
    assert record.process == pid_of(ref)
    assert record.levelno == logging.WARNING
    assert record.filename == "test_logs.py"


def test_plain_loggers_of_a_handler_arrive_with_the_path(ref, caplog):
    call(ref, Logs.std_log, logging.ERROR, "plain %d", 7)
    record = the_record(caplog, "plain 7")
    assert record.actor == "/test/x"
    assert record.name == NAME


def test_a_traceback_arrives_as_text(ref, caplog):
    call(ref, Logs.with_error)
    record = the_record(caplog, "it failed")
    text = logging.Formatter().format(record)
    assert "KeyError: 'absent'" in text
    assert "with_error" in text


def test_extras_arrive(ref, caplog):
    call(ref, Logs.with_extra, {"a": 1})
    record = the_record(caplog, "extra")
    assert record.mine == {"a": 1}


def test_arguments_that_do_not_pickle_are_formatted_there(ref, caplog):
    call(ref, Logs.bad_arguments)
    assert "lock" in the_record(caplog, "object").getMessage()


def test_other_threads_of_a_host_may_log(ref, caplog):
    call(ref, Logs.thread_log)
    assert the_record(caplog, "from a thread").process == pid_of(ref)


def test_logs_come_through_hosts_within_hosts(ref, caplog):
    call(ref, Logs.nested)
    assert the_record(caplog, "from the inner host").actor == "/test/x/inner"


def test_levels_of_this_process_hold_there(caplog):
    caplog.set_level(logging.ERROR, logger="tests.other")
    caplog.set_level(logging.DEBUG, logger=NAME)
    with LeakCheck(), af.ActorSystem("test") as system:
        ref = system.spawn(hosted(Logs))
        assert call(ref, Logs.levels) == [True, False]
        call(ref, Logs.std_log, logging.DEBUG, "in detail")
        the_record(caplog, "in detail")


def test_a_level_that_was_raised_since_is_honoured(ref, caplog):
    call(ref, Logs.std_log, logging.WARNING, "before")
    the_record(caplog, "before")
    caplog.set_level(logging.ERROR, logger=NAME)
    call(ref, Logs.std_log, logging.WARNING, "silent")
    call(ref, Logs.std_log, logging.ERROR, "loud")
    the_record(caplog, "loud")
    assert "silent" not in caplog.text


def test_a_crash_is_logged_once_with_its_traceback(system, caplog):
    ref = system.spawn(hosted(Logs, name="crasher", restart="permanent"))
    ref.cast(Fragile.fail, ValueError("boom"))
    call(ref, Notes.count)
    until(lambda: "Unhandled exception" in caplog.text)
    record = next(record for record in caplog.records if "Unhandled exception" in record.getMessage())
    assert "/test/crasher" in record.getMessage()
    assert "in fail" in logging.Formatter().format(record)
    assert len([record for record in caplog.records if "Unhandled exception" in record.getMessage()]) == 1


def test_the_death_of_a_process_is_logged(system, caplog):
    ref = system.spawn(hosted(Logs, name="x"))
    with pytest.raises(af.HostDied):
        call(ref, Fragile.exit, 3)
    record = the_record(caplog, "its actors")
    assert record.levelno == logging.ERROR
    assert "exit code 3" in record.getMessage()


def test_what_is_logged_last_arrives(caplog):
    class Last(Here):
        def on_stop(self):
            for number in range(100):
                logging.getLogger(NAME).warning("last %d", number)

    with LeakCheck(), af.ActorSystem("test") as system:
        system.spawn(hosted(Last)).ask(1, timeout=LIMIT)
    assert [record.getMessage() for record in caplog.records if record.name == NAME] == [
        f"last {number}" for number in range(100)
    ]


class Textless:
    def __str__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize("words", [("%d", "x"), ("%s", Textless())])
def test_a_line_that_cannot_be_made_is_told_on_the_error_output_and_fails_no_handler(ref, tmp_path, words):
    call(ref, Logs.bad_line, str(tmp_path / "error"), *words)
    assert "--- Logging error ---" in (tmp_path / "error").read_text()


def test_a_process_that_an_actor_forks_logs_to_its_error_output(ref, tmp_path):
    call(ref, Logs.fork_and_log, str(tmp_path / "error"))
    assert (tmp_path / "error").read_text() == "from the fork\n"
