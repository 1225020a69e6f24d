"""Promises of the launcher: where a child is, how its end is told, and that nothing outlives its parent."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from actorflow.errors import ActorflowError, DefinitionError, HostDied
from actorflow.process.launch import fork_server
from actorflow.process.launch.launcher import Launch, acquire
from actorflow.testing import LeakCheck
from tests.processes import is_gone, stop_process

ROOT = Path(__file__).parents[2]
CHILDREN = "tests.process.children"
LIMIT = 30.0  # seconds that any single wait takes at most

pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


@contextmanager
def launching(**options):
    with LeakCheck():
        launcher = acquire(Launch(**options))
        try:
            yield launcher
        finally:
            launcher.release()


@pytest.fixture(params=["zygote", "spawn"])
def launcher(request):
    with launching(start=request.param) as launcher:
        yield launcher


@pytest.fixture
def zygote():
    with launching() as launcher:
        yield launcher


class Child:
    """A child and our end of its socket."""

    def __init__(self, launcher, entry, argument=None, **options):
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(LIMIT)
        with theirs:
            self.handle = launcher.launch(f"{CHILDREN}:{entry}", argument, [theirs.fileno()], **options)

    def heard(self):
        line = b""
        while not line.endswith(b"\n"):
            part = self.sock.recv(1000)
            assert part, f"the child ended: {self.handle.wait(LIMIT)}"
            line += part
        return line.decode().split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def all_gone(pids, seconds=30.0):
    """Wait up to so many seconds for the end of processes; return those that are left."""
    deadline = time.perf_counter() + seconds
    while (left := [pid for pid in pids if not is_gone(pid)]) and time.perf_counter() < deadline:
        time.sleep(0.002)
    return left


# --- being there ------------------------------------------------------------------------------------------------------


def test_a_child_is_called_with_the_argument_and_its_own_descriptors(launcher):
    with Child(launcher, "echo", "hello") as child:
        assert child.heard() == ["hello"]
        assert psutil.pid_exists(child.handle.pid)
        assert child.handle.wait(0.01) is None


def test_a_child_has_a_group_of_its_own_no_input_and_its_pid_is_the_handles(launcher):
    with Child(launcher, "identity") as child:
        pid, group, parent, _, stdin = child.heard()
        assert int(pid) == int(group) == child.handle.pid
        assert int(parent) != os.getpid()
        assert stdin == "/dev/null"


def test_children_hold_no_descriptors_but_their_own(launcher):
    """Three standard streams, the socket, and the pipe by which the kernel kills it."""
    with Child(launcher, "echo", 1) as first, Child(launcher, "echo", 2) as second, Child(launcher, "files") as third:
        assert first.heard() + second.heard() == ["1", "2"]
        assert len(third.heard()) == 5


def test_a_child_is_where_its_launcher_is_at_the_launch(launcher, monkeypatch, tmp_path):
    with Child(launcher, "place") as child:
        assert child.heard()[0] == "None"
    monkeypatch.setenv("AF_TEST_PLACE", "here")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, "/somewhere"])
    with Child(launcher, "place") as child:
        assert child.heard() == ["here", str(tmp_path), "/somewhere", sys.prefix]


def test_ctrl_c_is_ignored_in_a_child(launcher):
    with Child(launcher, "echo") as child:
        child.heard()
        child.handle.kill(signal.SIGINT)
        assert child.handle.wait(0.1) is None


def test_a_hangup_does_not_end_the_zygote_and_with_it_all_children(launcher):
    with Child(launcher, "echo") as child:
        child.heard()
        os.kill(psutil.Process(child.handle.pid).ppid(), signal.SIGHUP)
        with Child(launcher, "echo") as another:
            another.heard()
        assert child.handle.wait(0.1) is None


def test_a_child_runs_on_the_processors_and_with_the_niceness_asked_for():
    preload = ("tests.hosts.asked_niceness",)  # as it was asked for: anybody may change that of a process later
    with launching(preload=preload) as launcher, Child(launcher, "priority", cpu=[0], nice=3) as child:
        assert child.heard() == ["3", "0"]


def test_a_preload_is_imported_once_before_the_fork_with_the_variables_set():
    module = "tests.process.preloads.marked"
    with launching(preload=(module,), env={"AF_TEST_CAP": "1"}) as launcher:
        for _ in range(2):
            with Child(launcher, "who_imported", module) as child:
                imported_by, zygote = child.heard()
                assert imported_by == zygote


def test_a_spawned_child_is_a_fresh_interpreter():
    module = "tests.process.preloads.marked"
    with launching(start="spawn", preload=(module,)) as launcher, Child(launcher, "knows", module) as child:
        assert child.heard() == ["False"]


def test_a_warm_module_is_imported_once_for_this_child_and_later_ones(zygote):
    module = "tests.process.preloads.marked"
    with Child(zygote, "knows", module) as child:
        assert child.heard() == ["False"]
    for _ in range(2):
        with Child(zygote, "who_imported", module, warm=module) as child:
            imported_by, parent = child.heard()
            assert imported_by == parent


def test_what_a_launcher_is_acquired_to_warm_is_there_before_the_first_launch():
    module = "tests.process.preloads.marked"
    with LeakCheck():
        launcher = acquire(Launch(), module)
        try:
            with Child(launcher, "who_imported", module) as child:
                imported_by, parent = child.heard()
                assert imported_by == parent
        finally:
            launcher.release()


def test_a_warm_up_that_fails_is_told_by_the_launch_that_wants_it():
    module = "tests.process.no_such_module"
    with LeakCheck():
        launcher = acquire(Launch(), module)
        try:
            with Child(launcher, "echo", 1) as other, Child(launcher, "echo", warm=module) as child:
                assert other.heard() == ["1"]
                assert child.handle.wait(LIMIT).refused
        finally:
            launcher.release()


def test_the_garbage_of_children_is_collected(launcher):
    with Child(launcher, "collects") as child:
        assert child.heard() == ["True"]


def test_a_launcher_that_never_launched_leaves_nothing():
    with LeakCheck():
        acquire(Launch()).release()


def test_a_child_imports_the_package_only_when_it_asks_for_it(launcher):
    with Child(launcher, "lean_at_first") as child:
        assert child.heard() == ["False", "True", "True", "False", "module", "actorflow"]


def test_threads_that_ask_for_the_package_at_once_all_find_it(launcher):
    with Child(launcher, "everything_by_threads") as child:
        assert child.heard() == ["4", "1"]


def test_many_threads_may_launch_at_once(zygote):
    children, errors = [], []

    def launch(number):
        try:
            children.extend(Child(zygote, "echo", f"{number}-{i}") for i in range(5))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=launch, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    said = {word for child in children for word in child.heard()}
    for child in children:
        child.sock.close()
    assert not errors
    assert len(said) == 20
    assert len({child.handle.pid for child in children}) == 20


def test_launchers_of_equal_wishes_are_one_and_end_with_the_last_release():
    with LeakCheck():
        first, second = acquire(Launch()), acquire(Launch())
        assert first is second
        first.release()
        with Child(second, "echo", 1) as child:
            child.heard()
            second.release()
            assert child.handle.wait(0) is not None
        with pytest.raises(ActorflowError, match="released"):
            second.launch(f"{CHILDREN}:echo", None)


# --- the end ----------------------------------------------------------------------------------------------------------


def test_an_exit_code_is_told(launcher):
    with Child(launcher, "leave", 3) as child:
        exit = child.handle.wait(LIMIT)
        assert (exit.exitcode, exit.signal, exit.error, exit.refused) == (3, None, "", False)
        assert exit.max_rss > 1_000_000


def test_an_error_is_told_with_its_traceback(launcher):
    with Child(launcher, "fail", "a bad day") as child:
        exit = child.handle.wait(LIMIT)
        assert (exit.exitcode, exit.refused) == (1, False)
        assert exit.error.startswith("Traceback")
        assert "ValueError: a bad day" in exit.error


def test_a_killed_child_is_told_with_its_signal_and_its_group_dies_with_it(launcher):
    with Child(launcher, "parent_of_program") as child:
        (program,) = child.heard()
        child.handle.kill()
        exit = child.handle.wait(LIMIT)
        assert (exit.exitcode, exit.signal) == (None, signal.SIGKILL)
        assert all_gone([int(program)]) == []
        child.handle.kill()  # it has ended: nothing happens


def test_what_a_crashed_child_leaves_behind_dies(launcher):
    with Child(launcher, "crash_with_child") as child:
        (program,) = child.heard()
        assert child.handle.wait(LIMIT).signal == signal.SIGABRT
        assert all_gone([int(program)]) == []


def test_a_kill_asked_for_before_the_fork_comes_after_it(zygote):
    with Child(zygote, "echo") as child:
        child.handle.kill()
        assert child.handle.wait(LIMIT).signal == signal.SIGKILL


def test_exit_callbacks_run_once_and_at_once_after_the_end(zygote, caplog):
    calls = []
    told = threading.Event()

    def bad(_exit):
        raise RuntimeError("a bad callback")

    def good(exit):
        calls.append((exit.exitcode, threading.current_thread().name))
        told.set()

    with Child(zygote, "echo") as child:
        child.handle.add_exit_callback(bad)
        child.handle.add_exit_callback(good)
        child.handle.kill(signal.SIGTERM)
        assert told.wait(LIMIT)
        assert calls == [(None, "actorflow-launcher")]
        assert "exit callback" in caplog.text
        child.handle.add_exit_callback(good)
        assert calls[1:] == [(None, threading.current_thread().name)]
    with Child(zygote, "leave", 0) as child:  # the thread has survived the bad one
        assert child.handle.wait(LIMIT).exitcode == 0


def test_a_release_in_an_exit_callback_does_not_hang():
    with LeakCheck():
        launcher = acquire(Launch())
        with Child(launcher, "leave", 0) as child:
            child.handle.add_exit_callback(lambda _exit: launcher.release())
            assert child.handle.wait(LIMIT).exitcode == 0


# --- what cannot start ------------------------------------------------------------------------------------------------


def test_an_entry_that_cannot_be_imported_is_refused(launcher):
    exit = launcher.launch("tests.process.no_such_module:main", None).wait(LIMIT)
    assert exit.refused
    assert "No module named 'tests.process.no_such_module'" in exit.error
    assert isinstance(exit.failure(), DefinitionError)


@pytest.mark.parametrize("how", ["preload", "warm"])
@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("tests.process.no_such_module", "No module named"),
        ("tests.process.preloads.threaded", "started 1 thread"),
        ("tests.process.preloads.wordless", "Wordless: its text cannot be made: LookupError"),
    ],
)
def test_an_import_before_the_fork_that_fails_or_starts_threads_is_refused(how, module, why):
    with launching(preload=[module] if how == "preload" else ()) as launcher:
        with Child(launcher, "echo", warm=module if how == "warm" else None) as child:
            with pytest.raises(DefinitionError, match=f"{module}.*{why}"):
                _ = child.handle.pid
            assert child.handle.wait(0).refused


def test_a_fork_that_fails_is_told_and_could_be_tried_again():
    with launching(preload=("tests.process.preloads.no_fork",)) as launcher, Child(launcher, "echo") as child:
        with pytest.raises(HostDied) as caught:
            _ = child.handle.pid
        assert "Resource temporarily unavailable" in caught.value.__notes__[0]
        assert not child.handle.wait(0).refused


def test_a_zygote_with_no_room_for_descriptors_says_so_and_goes_on():
    with launching(preload=("tests.process.preloads.few_files",)) as launcher:
        socks = [end for _ in range(3) for end in socket.socketpair()]
        exit = launcher.launch(f"{CHILDREN}:echo", None, [sock.fileno() for sock in socks]).wait(LIMIT)
        for sock in socks:
            sock.close()
        assert "ulimit -n" in exit.error
        assert launcher.launch(f"{CHILDREN}:leave", 0).wait(LIMIT).exitcode == 0


def test_an_interpreter_that_cannot_be_started_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with launching() as launcher:
        for _ in range(2):
            with Child(launcher, "echo") as child, pytest.raises(DefinitionError, match="/no/such/python"):
                _ = child.handle.pid


def test_an_argument_that_cannot_be_marshalled_harms_nobody(zygote):
    with pytest.raises(ValueError, match="unmarshallable"):
        zygote.launch(f"{CHILDREN}:echo", object())
    with Child(zygote, "echo", 1) as child:
        assert child.heard() == ["1"]


@pytest.mark.parametrize("when", ["before", "behind"])
@pytest.mark.parametrize("start", ["zygote", "spawn"])
def test_a_zygote_that_is_stopped_at_a_fork_goes_on_and_keeps_no_socket_of_the_child_open(start, when, monkeypatch):
    monkeypatch.setattr(fork_server, "LOOK", 0.05)
    preload = ("tests.process.preloads.stopping",)
    options = {"start": start, "preload": preload, "env": {"AF_TEST_STOP": when}}
    with launching(**options) as launcher, Child(launcher, "echo", 1) as child:
        assert child.heard() == ["1"]
        os.kill(child.handle.pid, signal.SIGKILL)
        assert child.sock.recv(1) == b""
        assert child.handle.wait(LIMIT).signal == signal.SIGKILL


def test_a_preload_that_hangs_is_ended_by_the_release():
    with launching(preload=("tests.process.preloads.hanging",)) as launcher:
        with Child(launcher, "echo") as child:
            start = time.perf_counter()
            launcher.release()
            assert time.perf_counter() - start < LIMIT
            assert child.handle.wait(0) is not None


# --- nothing outlives its parent --------------------------------------------------------------------------------------


@contextmanager
def parent(start, fork, *entries):
    """Run a parent with children; yield it and the process ids that may not outlive it."""
    command = [sys.executable, "-m", "tests.process.orphans", start, fork, *entries]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, [int(word) for word in process.stdout.readline().split()]
        finally:
            process.kill()


@pytest.mark.parametrize("fork", ["alone", "fork"])
@pytest.mark.parametrize("start", ["zygote", "spawn"])
@pytest.mark.parametrize("entry", ["echo", "busy", "sleeps_in_c", "parent_of_program"])
def test_no_child_outlives_a_killed_parent_by_a_second(start, entry, fork):
    with parent(start, fork, entry, entry) as (process, pids):
        assert len(pids) >= 3
        assert not any(map(is_gone, pids))
        process.kill()
        assert all_gone(pids) == []


def test_no_zygote_outlives_a_killed_parent_while_a_preload_hangs():
    code = (
        "import os, sys; from actorflow.process.launch.launcher import *;"
        "os.set_inheritable(1, True); env = {'AF_TEST_TELL': '1'};"
        "launcher = acquire(Launch(preload=['tests.process.preloads.hanging'], env=env));"
        "launcher.launch('tests.process.children:echo', None);"
        "print(launcher._server._process.pid if launcher._server._process else 0, flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        heard = b""
        while heard.count(b"\n") < 1 or b"x" not in heard:
            heard += os.read(process.stdout.fileno(), 100)
        zygotes = [child.pid for child in psutil.Process(process.pid).children()]
        assert len(zygotes) == 1
        process.kill()
        assert all_gone(zygotes) == []


@pytest.mark.parametrize("start", ["zygote", "spawn"])
@pytest.mark.parametrize("entry", ["echo", "busy", "sleeps_in_c"])
def test_children_of_a_killed_zygote_die_though_the_parent_can_do_nothing(start, entry):
    with parent(start, "alone", entry, entry) as (process, pids):
        stop_process(process.pid)
        os.kill(pids[-1], signal.SIGKILL)
        assert all_gone(pids) == []


@pytest.mark.parametrize("entry", ["echo", "busy", "parent_of_program"])
def test_a_killed_zygote_takes_its_children_along_and_is_replaced(launcher, entry):
    with Child(launcher, entry, 1) as child:
        said = child.heard()
        pids = [child.handle.pid] + [int(word) for word in said if entry == "parent_of_program"]
        os.kill(launcher._server._process.pid, signal.SIGKILL)
        exit = child.handle.wait(LIMIT)
        assert "fork server" in exit.error
        assert all_gone(pids) == []
    with Child(launcher, "echo", 2) as child:
        assert child.heard() == ["2"]


def test_a_fork_of_the_parent_does_not_use_its_launcher(zygote):
    with Child(zygote, "echo", 1) as child:
        child.heard()
        pid = os.fork()
        if pid == 0:
            try:
                zygote.launch(f"{CHILDREN}:echo", None)
            except ActorflowError:
                child.handle.kill()
                os._exit(0 if child.handle.wait(LIMIT).error else 1)
            os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0
        assert child.handle.wait(0) is None
