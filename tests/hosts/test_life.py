"""Promises: no process outlives its parent, whatever kills it, and it does not matter how the parent was started."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Fragile, Here, Notes, call, hosted, pid_of, until_gone
from tests.processes import is_gone

pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

ROOT = Path(__file__).parents[2]


@contextmanager
def running(*arguments, **options):
    """Run a program with its input held open."""
    program = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        yield program
    finally:
        program.stdin.close()
        program.kill()
        program.wait(LIMIT)
        program.stdout.close()
        program.stderr.close()


@contextmanager
def script(name, path, **options):
    with running("-m", "tests.hosts.scripts", name, *path, **options) as program:
        yield program


def pids(program):
    line = program.stdout.readline()
    assert line, program.stderr.read()
    return [int(word) for word in line.split()]


def output(*arguments, **options):
    """Run a program to its end, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


# --- the parent is killed --------------------------------------------------------------------------------------------


@pytest.mark.slow(quick=["busy", "nested"])
@pytest.mark.parametrize("kind", ["idle", "busy", "in C", "nested", "spawned", "forked"])
def test_no_process_is_left_a_second_after_the_parent_is_killed(kind, tmp_path):
    begun = tmp_path / "begun"
    with script("orphans", (kind, str(begun))) as program:
        found = pids(program)
        until(begun.exists)
        assert not any(is_gone(pid) for pid in found)
        program.kill()
        deadline = time.monotonic() + 30  # 0.1 s on a quiet machine; left alone, they would run for a minute
        until_gone(*found)
        assert time.monotonic() < deadline


def test_a_fork_of_the_parent_keeps_no_host_alive(tmp_path):
    with script("ends_though_forked", (str(tmp_path / "done"),)) as program:
        (pid,) = pids(program)
        until(lambda: (tmp_path / "done").exists())
        until_gone(pid)


def test_an_interrupt_of_the_whole_group_drains_in_order(tmp_path):
    path = tmp_path / "seen"
    with script("interrupted", (str(path),), start_new_session=True) as program:
        found = pids(program)
        until(path.exists)
        os.killpg(program.pid, signal.SIGINT)
        assert program.stdout.readline() == "drained\n"
        program.stdin.close()
        assert program.wait(LIMIT) == 0
        assert program.stderr.read() == ""
        program.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - `running` closes it
        until_gone(*found)
    assert path.read_text().split() == [*map(str, range(300)), "end"]


def test_what_hosts_print_is_not_lost():
    done = subprocess.run(
        [sys.executable, "-m", "tests.hosts.scripts", "prints", ""],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=100,
    )
    assert (done.stdout, done.stderr) == (b"said there", b"complained there")


# --- the zygote is killed --------------------------------------------------------------------------------------------


def test_hosts_of_a_killed_zygote_die_and_are_started_anew():
    from actorflow.process.launch import launcher

    own = {"AF_TEST_ZYGOTE": "its own"}
    with LeakCheck(), af.ActorSystem("test") as system:
        ref = system.spawn(hosted(Notes, process=af.Process(env=own), restart="permanent"))
        pid = pid_of(ref)
        (zygote,) = [one._server._process.pid for key, one in launcher._launchers.items() if one._launch.env == own]
        os.kill(zygote, signal.SIGKILL)
        until_gone(zygote, pid)
        until(lambda: ref._link is not None and ref._host.handle.pid != pid)
        assert call(ref, Notes.count) == 0


# --- forks -----------------------------------------------------------------------------------------------------------


class Forking(Fragile):
    def fork(self, *, leave_group=False):
        pid = os.fork()
        if pid == 0:
            if leave_group:
                os.setsid()
            threading.Event().wait(60)
            os._exit(0)
        return pid

    def fork_and_use(self):
        """Try to use actorflow in the fork: it must raise, and not hang or write to the sockets."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self.actor_ref.tell("from the fork")
            except BaseException as error:
                os.write(write, type(error).__name__.encode())
            os._exit(0)
        os.close(write)
        os.waitpid(pid, 0)
        with os.fdopen(read) as file:
            return file.read()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_within_a_host_does_not_keep_the_connection_open(system):
    ref = system.spawn(hosted(Forking, name="x", restart="permanent"))
    pid, fork = pid_of(ref), call(ref, Forking.fork)
    with pytest.raises(af.HostDied):
        call(ref, Fragile.kill)
    assert call(ref, Notes.count) == 0
    until_gone(pid, fork)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_that_leaves_the_group_does_not_hide_the_death_of_its_host(system):
    ref = system.spawn(hosted(Forking, name="x", restart="permanent"))
    fork = ref.call(Forking.fork, leave_group=True).get(timeout=LIMIT)
    until(lambda: os.getpgid(fork) == fork)  # else it may be killed with the group that it is about to leave
    try:
        with pytest.raises(af.HostDied):
            call(ref, Fragile.kill)
        assert call(ref, Notes.count) == 0
        assert not is_gone(fork)
    finally:
        os.kill(fork, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_within_a_host_does_not_outlive_the_host(system):
    ref = system.spawn(hosted(Forking, name="x"))
    pid, fork = pid_of(ref), call(ref, Forking.fork)
    ref.stop(timeout=LIMIT)
    until_gone(pid, fork)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_within_a_host_cannot_send(system):
    ref = system.spawn(hosted(Forking, name="x"))
    assert call(ref, Forking.fork_and_use) != ""
    assert call(ref, Notes.read) == []


# --- how the parent was started --------------------------------------------------------------------------------------

MAIN = """
import os
import actorflow as af


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return isinstance(other, Point) and self.x == other.x

    __hash__ = None


class Oops(Exception):
    pass


def double(n):
    return 2 * n


class Echo(af.Actor):
    def on_receive(self, message):
        assert message.__class__ is Point
        return Point(double(message.x))

    def is_point(self, value):
        return isinstance(value, Point) and os.getpid()

    def apply(self, function, value):
        return function(value)

    def fail(self):
        raise Oops("remote")

    def state(self):
        self.kept = Point(1)
        return self.kept


class Parent(af.Actor):
    def start(self):
        return self.ctx.spawn(Echo)


def main(*starts):
    with af.ActorSystem("demo") as system:
        for host in [af.Process(start=start) for start in starts or ("zygote",)]:
            ref = system.spawn(af.child(Echo).options(host=host))
            answer = ref.ask(Point(4), timeout=60)
            assert answer.__class__ is Point and answer == Point(8), answer
            assert ref.call(Echo.is_point, Point(1)).get(timeout=60) not in (False, os.getpid())
            assert ref.call(Echo.apply, double, 4).get(timeout=60) == 8
            assert ref.call(Echo.state).get(timeout=60).__class__ is Point
            try:
                ref.call(Echo.fail).get(timeout=60)
            except Oops as error:
                assert str(error) == "remote"
            else:
                raise AssertionError
            child = system.spawn(af.child(Parent).options(host=host)).call(Parent.start).get(timeout=60)
            assert child.actor_class is Echo, child.actor_class
            assert child.ask(Point(1), timeout=60) == Point(2)
    print("fine")
"""


def test_a_script_with_a_guard(tmp_path):
    path = tmp_path / "guarded.py"
    path.write_text(MAIN + "\n\nif __name__ == '__main__':\n    main('zygote', 'spawn')\n")
    assert output(str(path)) == "fine"


def test_a_script_without_a_guard(tmp_path):
    path = tmp_path / "plain.py"
    path.write_text(MAIN + "\n\nmain()\n")
    assert output(str(path)) == "fine"


def test_python_c():
    assert output("-c", MAIN + "\nmain()\n") == "fine"


def test_standard_input():
    done = subprocess.run(
        [sys.executable], input=MAIN + "\nmain()\n", cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_a_thread(tmp_path):
    path = tmp_path / "threaded.py"
    path.write_text(
        MAIN + "\n\nimport threading\nthread = threading.Thread(target=main)\nthread.start()\nthread.join()\n"
    )
    assert output(str(path)) == "fine"


def test_a_script_that_ends_without_stopping_its_system(tmp_path):
    path = tmp_path / "careless.py"
    path.write_text(
        MAIN + "\n\nsystem = af.ActorSystem('demo')\nref = system.spawn(af.child(Echo).options(host=af.Process()))\n"
        "print(ref.call(Echo.is_point, Point(1)).get(timeout=60))\n"
    )
    pid = int(output(str(path)))
    until_gone(pid)


def test_actor_start_without_a_system(tmp_path):
    path = tmp_path / "start.py"
    path.write_text(
        MAIN + "\n\nclass There(Echo, host=af.Process()):\n    pass\n\n\n"
        "print(There.start().call(Echo.is_point, Point(1)).get(timeout=60))\n"
    )
    pid = int(output(str(path)))
    until_gone(pid)


def test_a_module_of_the_scripts_folder_is_found(tmp_path):
    (tmp_path / "beside.py").write_text(
        "import os\nimport actorflow as af\n\n\n"
        "class Beside(af.Actor):\n    def pid(self):\n        return os.getpid()\n"
    )
    path = tmp_path / "script.py"
    path.write_text(
        "import actorflow as af\nfrom beside import Beside\n\nwith af.ActorSystem('demo') as system:\n"
        "    print(system.spawn(af.child(Beside).options(host=af.Process())).call(Beside.pid).get(timeout=60) > 0)\n"
    )
    assert output(str(path)) == "True"


def test_no_warnings_are_printed_under_dev_mode(tmp_path):
    path = tmp_path / "dev.py"
    path.write_text(MAIN + "\n\nmain()\n")
    assert output("-X", "dev", "-W", "error", str(path)) == "fine"


def test_it_works_from_a_thread_of_this_process():
    seen = []

    def work():
        with af.ActorSystem("test") as system:
            seen.append(pid_of(system.spawn(hosted(Here))))

    with LeakCheck():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(LIMIT)
    assert seen
    assert seen != [os.getpid()]


@pytest.mark.parametrize("lacking", ["-writer-", "-host-"])
def test_a_host_for_which_there_is_no_thread_leaves_nothing(monkeypatch, lacking):
    known, lacks = threading.Thread.start, iter(range(1))

    def start(thread):
        if lacking in thread.name and next(lacks, None) is not None:
            raise RuntimeError("can't start new thread")
        known(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with LeakCheck(), af.ActorSystem("test") as system:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            system.spawn(hosted(Here))
        assert not system.scheduler.hosts.node.down
        assert call(system.spawn(hosted(Here)), Here.pid) != os.getpid()
