"""Process exit and fork: the default system ends with the program, and a fork's child has no system of its parent."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pykka
import pytest

import actorflow as af
from tests.core.actors import Log

HEAD = """
import os, sys, threading, time
import actorflow as af

def say(*words):
    # Write a line at once: print() writes the line break on its own, and threads get in between.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

class Noisy(af.Actor):
    def __init__(self, name="noisy"):
        super().__init__()
        self.name = name

    def on_receive(self, message):
        say(self.name, "got", message)
        return message

    def on_stop(self):
        say(self.name, "stopped")
"""

ROOT = Path(af.__file__).parents[1]


def interpreters():
    """The interpreter of the suite, and newer ones that are installed; pykka is pure Python and is lent to them."""
    found = {"this": sys.executable}
    homes = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for version in ("3.12", "3.13", "3.14"):
        paths = [str(path) for path in homes.glob(f"{version}.*/bin/python")] + [shutil.which(f"python{version}")]
        for path in filter(None, paths):
            try:  # a shim of pyenv is found also where its version is not there
                subprocess.run([path, "-c", ""], check=True, capture_output=True, timeout=20)
            except (OSError, subprocess.SubprocessError):
                continue
            if sys.version_info[:2] != tuple(map(int, version.split("."))):
                found[version] = path
            break
    return found


OTHERS = [  # one pass over all is enough
    pytest.param((name, path), id=name, marks=[] if name == "this" else pytest.mark.slow)
    for name, path in interpreters().items()
]


@pytest.fixture(params=OTHERS, scope="module")
def interpreter(request, tmp_path_factory):
    """Runs a program after the head; returns its lines."""
    lent = tmp_path_factory.mktemp("lent")
    for name in ("pykka", "typing_extensions"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            source = origin.parent if origin.name == "__init__.py" else origin
            (lent / source.name).symlink_to(source)

    def run(program, code=0):
        env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{lent}", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [request.param[1], "-W", "error", "-c", HEAD + program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=env, check=False)
        assert done.stderr == ""
        assert done.returncode == code
        return done.stdout.splitlines()

    return run


def test_actors_of_the_default_system_stop_when_the_program_ends(interpreter):
    assert interpreter("""
ref = Noisy.start()
ref.tell("a message")
""") == ["noisy got a message", "noisy stopped"]


def test_the_last_started_stops_first(interpreter):
    assert interpreter("""
Noisy.start("first"); Noisy.start("second")
""") == ["second stopped", "first stopped"]


def test_a_system_that_was_left_open_is_stopped_too(interpreter):
    assert interpreter("""
system = af.ActorSystem("left open")
ref = system.spawn(Noisy)
for n in range(2):
    ref.tell(n)
""") == ["noisy got 0", "noisy got 1", "noisy stopped"]


def test_threads_that_block_at_the_end_of_the_program_do_not_keep_it(interpreter):
    assert interpreter("""
class Asks(af.Actor):
    def __init__(self, other):
        super().__init__()
        self.other = other

    def on_receive(self, message):
        return self.other.ask(message)

    def on_stop(self):
        say("asked", self.other.ask("in on_stop"))

ref = Asks.start(Noisy.start())
say(ref.ask("nested"))
""") == ["noisy got nested", "nested", "noisy got in on_stop", "asked in on_stop", "noisy stopped"]


def test_sys_exit_of_the_program_keeps_its_code(interpreter):
    assert interpreter(
        """
Noisy.start()
sys.exit(3)
""",
        code=3,
    ) == ["noisy stopped"]


def test_handlers_that_block_unseen_at_the_end_do_not_hang_the_program(interpreter):
    """3.12 starts no thread any more once the main thread has ended."""
    lines = interpreter("""
class Blocks(Noisy):
    def on_receive(self, message):
        threading.Event().wait(0.05)
        say("handled")

refs = [Blocks.start("blocks") for _ in range(6)]
for ref in refs:
    ref.tell("block")
say("end of main")
""")
    assert lines.count("handled") == 6
    assert lines.count("blocks stopped") == 6


def test_a_chain_of_waits_at_the_end_gets_its_threads(interpreter):
    assert interpreter("""
class Chain(af.Actor):
    def __init__(self, following=None):
        super().__init__()
        self.following = following

    def on_receive(self, message):
        return self.following.ask(message + 1) if self.following is not None else message

class Last(Chain):
    def on_stop(self):
        say("chain of", self.following.ask(0))

ref = Chain.start()
for _ in range(4):
    ref = Chain.start(ref)
Last.start(ref)
""") == ["chain of 4"]


FORKED = """
ref = Noisy.start()
system = af.ActorSystem("parents")
other = system.spawn(Noisy)
future = af.Future(other)
assert ref.ask(0) == 0
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    attempts = {
        "tell": lambda: other.tell(1),
        "ask": lambda: other.ask(1),
        "call": lambda: other.call(Noisy.on_receive, 1).get(),
        "cast": lambda: other.cast(Noisy.on_receive, 1),
        "stop": lambda: other.stop(),
        "spawn": lambda: system.spawn(Noisy),
        "get": lambda: future.get(),
        "proxy": lambda: other.proxy().name.get(),
        "end": lambda: system.stop(),
        "default": lambda: ref.tell(1),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
            say(name, "did not raise")
        except af.ActorflowError as error:
            say(name, "fork" in str(error))
    with af.ActorSystem("childs own") as own:
        say("own", own.spawn(Noisy, "child's").ask("hello"))
    say("default", Noisy.start("child's default").ask("hello"))
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
say("parent", other.ask("still works"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_a_forked_child_the_parents_systems_raise_at_once_and_new_ones_work(interpreter):
    program = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + FORKED
    assert interpreter(program) == [
        "noisy got 0",
        "tell True",
        "ask True",
        "call True",
        "cast True",
        "stop True",
        "spawn True",
        "get True",
        "proxy True",
        "end True",
        "default True",
        "child's got hello",
        "own hello",
        "child's stopped",
        "child's default got hello",
        "default hello",
        "noisy got still works",
        "parent still works",
        "noisy stopped",
        "noisy stopped",
    ]


def test_the_default_system_is_made_anew_after_pykkas_stop_all():
    first = Log.start()
    assert pykka.ActorRegistry.stop_all()
    assert not first.is_alive()
    second = Log.start()
    second.tell(1)
    assert second.call(Log.read).get(timeout=20) == [1]
    assert second.stop(timeout=20)


HELD_LOCKS = """
import importlib.util

import actorflow.core.atomic

has_store = importlib.util.find_spec("msgspec") is not None  # the other Pythons here are lent the core's packages only

def hold():
    for lock in actorflow.core.atomic._forkable:
        lock.acquire()
    held.set()
    end.wait(20)

class Parent(Noisy):
    def on_start(self):
        self.ctx.after(1000, self.stop)
        self.kid = self.ctx.spawn(Noisy, "kid")

held, end = threading.Event(), threading.Event()
threading.Thread(target=hold).start()
held.wait(20)
pid = os.fork()
if pid == 0:
    threading.Timer(20, os._exit, [1]).start()
    with af.ActorSystem("childs own") as own:
        own.spawn(Parent)
        if has_store:
            own.queue("jobs")
    os._exit(0)
say("status", os.waitpid(pid, 0)[1])
end.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_a_forked_child_no_lock_is_held_that_a_thread_of_the_parent_has(interpreter):
    program = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + HELD_LOCKS
    assert interpreter(program) == ["kid stopped", "noisy stopped", "status 0"]


def test_a_system_that_cannot_be_stopped_at_the_end_of_the_program_keeps_no_other_from_it(interpreter):
    program = """
first = af.ActorSystem("first")
first.spawn(Noisy)
second = af.ActorSystem("second")
second.stop = lambda: 1 / 0
"""
    assert interpreter(program) == ["noisy stopped"]
