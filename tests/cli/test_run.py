"""`actorflow run`: it finds the app, turns flags into settings, and ends with the right exit code."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main

PROGRAM = [sys.executable, "-c", "from actorflow.cli import main; main()"]  # the console script, installed or not
ROOT = Path(__file__).resolve().parents[2]
PATHS = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]  # an empty part would mean the current folder
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(PATHS)}
NUMBERS = itertools.count()

SHOP = """
    from __future__ import annotations
    import dataclasses
    from pathlib import Path
    from typing import Optional
    import actorflow as af

    @dataclasses.dataclass(frozen=True)
    class Settings:
        name: str
        orders: int = dataclasses.field(default=10, metadata={"help": "How many."})
        rate: float = 0.5
        dry_run: bool = False
        log: Path | None = None
        limit: Optional[int] = None

    app = af.App("shop", settings=Settings)

    @app.main
    def main(system: af.ActorSystem, settings: Settings) -> int:
        "Sell things."
        print(settings)
        return settings.orders
"""


@pytest.fixture
def write_app(tmp_path, monkeypatch):
    """Write a module into the current folder and return its name; each has a new one, as imports are remembered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])

    def write(source: str) -> str:
        name = f"run_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        return name

    return write


def run(*args: str):
    return CliRunner().invoke(main, ["run", *args])


def refused(result) -> str:
    """Check the form of a refusal and return its text."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("actorflow: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


# --- flags -----------------------------------------------------------------------------------------------------------


def test_flags_are_the_fields_of_the_settings(write_app, tmp_path):
    flags = ["--name", "x", "--orders", "3", "--rate", "2.5", "--dry-run", "--log", "a/b.csv", "--limit", "9"]
    result = run(f"{write_app(SHOP)}:app", *flags)
    assert result.exit_code == 3, result.output
    assert "name='x', orders=3, rate=2.5, dry_run=True, log=PosixPath('a/b.csv'), limit=9" in result.stdout


def test_flags_left_out_have_the_defaults_of_the_fields(write_app):
    result = run(f"{write_app(SHOP)}:app", "--name=x")
    assert "orders=10, rate=0.5, dry_run=False, log=None, limit=None" in result.stdout


def test_bool_field_is_a_pair_of_flags(write_app):
    assert "dry_run=False" in run(f"{write_app(SHOP)}:app", "--name=x", "--no-dry-run").stdout


def test_field_without_default_must_be_given(write_app):
    assert "--name" in refused(run(f"{write_app(SHOP)}:app"))


def test_unknown_flag_names_the_nearest(write_app):
    assert "--orders" in refused(run(f"{write_app(SHOP)}:app", "--name=x", "--ordres", "3"))


def test_value_of_the_wrong_type_names_flag_and_value(write_app):
    text = refused(run(f"{write_app(SHOP)}:app", "--name=x", "--orders", "many"))
    assert "--orders" in text
    assert "many" in text


def test_help_of_an_app_lists_its_flags_with_their_texts_and_defaults(write_app):
    result = run(f"{write_app(SHOP)}:app", "--help")
    assert result.exit_code == 0
    for text in ("Sell things.", "--orders", "How many.", "10", "--dry-run", "required"):
        assert text in result.stdout


def test_settings_that_refuse_their_values_are_bad_usage(write_app):
    name = write_app("""
        import dataclasses
        import actorflow as af

        @dataclasses.dataclass
        class Settings:
            n: int = 1
            def __post_init__(self):
                if self.n < 1:
                    raise ValueError("--n: at least 1")

        app = af.App("shop", settings=Settings)
        app.main(lambda system, settings: 0)
    """)
    assert "--n: at least 1" in refused(run(f"{name}:app", "--n", "0"))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("n: list[int]", "list[int]"),
        ("help: str = ''", "--help is taken"),
        ("x: bool = False\n            no_x: str = ''", "--no-x is the flag of x and of no_x"),
        ("x: int = 0\n            _x: int = 0", "--x is the flag of x and of _x"),
    ],
)
def test_field_that_cannot_be_a_flag_is_a_definition_error(write_app, field, text):
    name = write_app(f"""
        import dataclasses
        import actorflow as af

        @dataclasses.dataclass
        class Settings:
            {field}

        app = af.App("shop", settings=Settings)
    """)
    assert text in refused(run(f"{name}:app"))


def test_app_without_settings_takes_no_flags(write_app):
    name = write_app("import actorflow as af; app = af.App('shop'); app.main(lambda system, settings: 7)")
    assert "--orders" in refused(run(f"{name}:app", "--orders", "1"))
    assert run(f"{name}:app").exit_code == 7


# --- finding the app -------------------------------------------------------------------------------------------------


def test_module_in_the_current_folder_is_found(write_app):
    program = [*PROGRAM, "run", f"{write_app(SHOP)}:app", "--name=x"]
    result = subprocess.run(program, capture_output=True, text=True, env=ENVIRONMENT | {"PYTHONSAFEPATH": "1"})
    assert result.returncode == 10, result.stderr


@pytest.mark.parametrize("target", ["shop", "shop:", ":app", ""])
def test_target_without_module_or_attribute_says_the_form(write_app, target):
    assert "module:attribute" in refused(run(target))


def test_file_name_instead_of_a_module_says_the_module(write_app):
    assert "shop.web:app" in refused(run("shop/web.py:app"))


def test_unknown_module_names_the_nearest(write_app):
    name = write_app(SHOP)
    assert f"did you mean {name!r}" in refused(run(f"{name}x:app"))


def test_unknown_attribute_names_the_apps_of_the_module(write_app):
    name = write_app(SHOP)
    assert "did you mean 'app'" in refused(run(f"{name}:apq"))
    assert "its apps are app" in refused(run(f"{name}:shop"))


def test_attribute_that_is_no_app_says_what_it_is(write_app):
    assert "of type function, not an af.App" in refused(run(f"{write_app(SHOP)}:main"))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import absent_module", "No module named 'absent_module'"),
        ("def", "SyntaxError"),
        ("import actorflow as af\naf.App('shop').add(3)", "takes actor classes and af.child(...) recipes"),
        ("class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd", "Odd"),
        ("def __getattr__(name): raise OSError('lazy')", "cannot be read: OSError: lazy"),
        ("class P:\n    @property\n    def __class__(self): raise RuntimeError\np = P()", "it holds no af.App"),
    ],
)
def test_module_that_cannot_be_imported_or_read_says_why_in_one_line(write_app, source, text):
    assert text in refused(run(f"{write_app(source)}:app"))


def test_a_module_that_ends_the_program_without_a_word_is_refused(write_app):
    name = write_app("import sys\nsys.exit(0)")
    assert f"module '{name}' ended the program when it was imported" in refused(run(f"{name}:app"))


def test_a_module_that_ends_the_program_and_says_why_is_left_to(write_app):
    assert run(f"{write_app('import sys; sys.exit(7)')}:app").exit_code == 7


def test_a_part_of_a_module_that_is_no_package_is_one_line(write_app):
    assert "no module named 'json.decoder.x'" in refused(run("json.decoder.x:app"))


# --- how it ends -----------------------------------------------------------------------------------------------------


def test_part_that_cannot_start_is_one_line_with_the_cause_and_exit_code_1(write_app):
    name = write_app("""
        import actorflow as af

        class Broken(af.Actor):
            def on_start(self):
                raise OSError("no such port")

        app = af.App("shop").add(Broken)
    """)
    result = run(f"{name}:app")
    assert result.exit_code == 1
    assert "OSError: no such port" in result.stderr.splitlines()[-1]
    assert "Broken" in result.stderr.splitlines()[-1]


def test_supervisor_that_gives_up_is_one_line_and_exit_code_1(write_app):
    name = write_app("""
        import actorflow as af

        class Broken(af.Actor):
            def on_start(self):
                self.ctx.after(0.01, self.fall)
            def fall(self):
                raise OSError("gone")

        app = af.App("shop").add(af.child(af.Supervisor, af.child(Broken)))
    """)
    result = run(f"{name}:app")
    assert result.exit_code == 1
    assert "too often" in result.stderr.splitlines()[-1]
    assert "gone" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "error",
    ["EOFError()", "BrokenPipeError(32, 'gone')", "KeyError('x')", "af.AskTimeout('late')"],
)
def test_every_error_of_main_shows_its_traceback_and_is_exit_code_1(write_app, error):
    source = f"""
        import actorflow as af
        app = af.App("shop")
        @app.main
        def main(system, settings):
            raise {error}
    """
    result = run(f"{write_app(source)}:app")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert error.partition("(")[0].removeprefix("af.") in result.stderr.splitlines()[-1]


def test_a_main_refuses_values_of_its_flags_in_one_line_and_exit_code_2(write_app):
    source = """
        import actorflow as af
        app = af.App("shop")
        @app.main
        def main(system, settings):
            raise af.DefinitionError("--orders 0: give at least 1")
    """
    result = run(f"{write_app(source)}:app")
    assert (result.exit_code, result.stderr) == (2, "actorflow: --orders 0: give at least 1\n")


@pytest.mark.parametrize("raises", [True, False])
def test_a_supervisor_that_gives_up_ends_a_main_that_waits_for_something_else(write_app, started, raises):
    waits = "threading.Event().wait()"
    name = write_app(f"""
        import threading
        import actorflow as af

        class Broken(af.Actor):
            def on_start(self):
                self.ctx.after(0.01, self.fall)
            def fall(self):
                raise OSError("gone")

        app = af.App("shop").add(af.child(af.Supervisor, af.child(Broken)))

        @app.main
        def main(system, settings):
            try:
                {waits}
            finally:
                print("cleaned up", flush=True)
                {"raise ValueError('of main')" if raises else "pass"}
    """)
    program = started(*PROGRAM, "run", f"{name}:app")
    out, err = program.communicate(timeout=60)
    assert (program.returncode, out) == (1, "cleaned up\n"), err
    assert ("of main" if raises else "too often") in err.splitlines()[-1]


def test_exception_of_main_shows_its_traceback_and_exit_code_1(write_app):
    name = write_app("""
        import actorflow as af
        app = af.App("shop")
        @app.main
        def main(system, settings):
            return 1 / 0
    """)
    program = [*PROGRAM, "run", f"{name}:app"]
    result = subprocess.run(program, capture_output=True, text=True, env=ENVIRONMENT)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError" in result.stderr


DAEMON = """
    import sys, threading
    import actorflow as af

    class Worker(af.Actor):
        def on_start(self):
            self.ctx.after(0.0, self.ready)
        def ready(self):
            print("ready", flush=True)
            {ready}
        def on_stop(self):
            print("stopped", flush=True)
            {stop}

    app = af.App("shop").add(Worker)
    {main}
"""


@pytest.fixture
def started():
    """Start programs, and end them with the test."""
    programs = []

    def start(*command):
        pipe = subprocess.PIPE
        programs.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT))
        return programs[-1]

    yield start
    for program in programs:
        below = psutil.Process(program.pid).children(recursive=True) if program.poll() is None else []
        for process in (*below, program):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        program.communicate()


@pytest.fixture
def daemon(write_app, started):
    """Start an app as a program, and wait until it is up."""

    def start(*options, ready="pass", stop="pass", main=""):
        name = write_app(DAEMON.format(ready=ready, stop=stop, main=main))
        program = started(*PROGRAM, "run", *options, f"{name}:app")
        assert program.stdout.readline() == "ready\n"
        return program

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_app_without_main_drains_at_a_signal_and_ends_with_0(daemon, number):
    program = daemon()
    program.send_signal(number)
    out, err = program.communicate(timeout=100)
    assert (program.returncode, out) == (0, "stopped\n"), err
    assert "Traceback" not in err


MAIN = "app.main(lambda system, settings: threading.Event().wait())"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_app_with_main_drains_at_a_signal_and_ends_with_0(daemon, number):
    program = daemon(main=MAIN)
    program.send_signal(number)
    out, err = program.communicate(timeout=100)
    assert (program.returncode, out) == (0, "stopped\n"), err
    assert "Traceback" not in err


def test_main_that_is_ended_by_a_signal_may_clean_up_and_name_its_exit_code(daemon):
    program = daemon(
        ready="up.set()",
        main="""
    up = threading.Event()
    @app.main
    def main(system, settings):
        try:
            up.wait()
            print("main", flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            return 9
    """,
    )
    assert program.stdout.readline() == "main\n"
    program.terminate()
    assert program.communicate(timeout=100)[0] == "stopped\n"
    assert program.returncode == 9


@pytest.mark.parametrize("main", ["", MAIN], ids=["no main", "main"])
def test_handler_that_never_returns_is_abandoned_after_the_grace_time_and_the_exit_code_is_3(daemon, main):
    program = daemon("--grace", "0.2", ready="threading.Event().wait()", main=main)
    program.terminate()
    _, err = program.communicate(timeout=100)
    assert program.returncode == 3
    assert "abandoned" in err


@pytest.mark.parametrize("main", ["", MAIN], ids=["no main", "main"])
def test_wait_that_is_cut_by_the_end_of_the_grace_time_is_exit_code_4(daemon, main):
    # A daemon thread of its own might still answer, so the wait has the whole grace time.
    ready = "threading.Thread(target=threading.Event().wait, daemon=True).start(); af.Future().get()"
    # What is cut has as long for its clean-up as a busy machine may take.
    unhurried = "from actorflow.core.running import drain; drain.CLEANUP = drain.HOOKS = 20.0"
    program = daemon("--grace", "0.2", ready=ready, main=f"{unhurried}\n    {main}")
    program.terminate()
    out, err = program.communicate(timeout=100)
    assert (program.returncode, out) == (4, "stopped\n"), err


def test_wait_that_nobody_can_answer_does_not_keep_the_app(daemon):
    program = daemon("--grace", "600", ready="af.Future().get()")
    program.terminate()
    out, err = program.communicate(timeout=60)
    assert (program.returncode, out) == (0, "stopped\n"), err


@pytest.mark.parametrize("main", ["", MAIN], ids=["no main", "main"])
def test_second_signal_ends_the_app_at_once(daemon, main):
    program = daemon("--grace", "600", stop="threading.Event().wait()", main=main)
    program.terminate()
    assert program.stdout.readline() == "stopped\n"
    program.terminate()
    _, err = program.communicate(timeout=60)
    assert program.returncode == 143
    assert "at once" in err


def test_two_signals_in_quick_succession_end_the_app_at_once(daemon):
    program = daemon("--grace", "600", stop="threading.Event().wait()", main=MAIN)
    program.send_signal(signal.SIGINT)
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=60)
    assert program.returncode in {130, 143}


def test_first_signal_in_an_on_stop_after_main_has_ended_changes_nothing(daemon):
    main = """
    up = threading.Event()

    @app.main
    def main(system, settings):
        up.wait()
        return 5
    """
    program = daemon(ready="up.set()", stop="sys.stdin.readline()", main=main)
    assert program.stdout.readline() == "stopped\n"
    program.terminate()
    assert "draining" in program.stderr.readline()
    program.communicate("go on\n", timeout=100)
    assert program.returncode == 5


STUBBORN = """
    import threading, time
    from concurrent.futures import ThreadPoolExecutor
    import actorflow as af

    def stay():
        while True:
            try:
                print("ready", flush=True)
                time.sleep(3600)
            except BaseException:
                pass

    app = af.App("shop", system=af.Settings(grace=0.2))
"""
STAYS = {
    "main": """
    app.main(lambda system, settings: stay())
""",
    "constructor": """
    class Part(af.Actor):
        def __init__(self):
            super().__init__()
            stay()
    app.add(Part)
""",
    "thread of a job": """
    @af.task
    def job():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(stay)

    app.add(job)

    @app.main
    def main(system, settings):
        system.queue("q", workers=1).enqueue(job)
        threading.Event().wait()
""",
    "thread": """
    @app.main
    def main(system, settings):
        threading.Thread(target=stay).start()
        threading.Event().wait()
""",
    "exit handler": """
    import atexit
    atexit.register(stay)
    @app.main
    def main(system, settings):
        print("ready", flush=True)
        threading.Event().wait()
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("part", STAYS)
def test_whatever_does_not_end_keeps_no_daemon_after_its_grace_time(write_app, started, part):
    program = started(*PROGRAM, "run", f"{write_app(STUBBORN + STAYS[part])}:app")
    assert program.stdout.readline() == "ready\n"
    program.terminate()
    _, err = program.communicate(timeout=60)
    assert program.returncode == (0 if part in {"thread", "exit handler"} else 3), err
    assert ("abandoned" if program.returncode else "still run") in err


@pytest.mark.slow
def test_jobs_are_given_back_by_a_daemon_whose_main_does_not_end(write_app, started, tmp_path):
    source = """
        @af.task
        def long():
            threading.Event().wait()

        app = af.App("shop", store="sqlite:///jobs.db", system=af.Settings(grace=0.2)).add(long)
        @app.main
        def main(system, settings):
            system.queue("q", workers=1).enqueue(long)
            while system.queue("q").stats().running == 0:
                time.sleep(0.01)
            stay()
    """
    program = started(*PROGRAM, "run", f"{write_app(textwrap.dedent(STUBBORN) + textwrap.dedent(source))}:app")
    assert program.stdout.readline() == "ready\n"
    program.terminate()
    _, err = program.communicate(timeout=60)
    assert program.returncode == 3, err
    with af.ActorSystem("after", store=f"sqlite:///{tmp_path / 'jobs.db'}") as system:
        (job,) = system.queue("q").jobs()
    assert (job.status, job.attempt, job.crashes) == ("queued", 0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it has no fork")
def test_a_process_that_a_job_or_main_has_forked_ends_by_terminate(write_app, started):
    name = write_app("""
        import multiprocessing, time
        import actorflow as af

        app = af.App("shop")

        @af.task
        def forks():
            context = multiprocessing.get_context("fork")
            child = context.Process(target=time.sleep, args=(3600,))
            child.start()
            child.terminate()
            child.join(60)
            return child.exitcode

        app.add(forks)

        @app.main
        def main(system, settings):
            job = system.queue("q", workers=1).enqueue(forks)
            print(forks(), job.result(timeout=120), flush=True)
    """)
    program = started(*PROGRAM, "run", f"{name}:app")
    out, err = program.communicate(timeout=120)
    assert (program.returncode, out) == (0, "-15 -15\n"), err


@pytest.mark.parametrize("main", ["", MAIN], ids=["no main", "main"])
def test_hangup_never_kills(daemon, main):
    program = daemon(main=main)
    for _ in range(3):
        program.send_signal(signal.SIGHUP)
        assert "SIGHUP" in program.stderr.readline()
    program.terminate()
    out, err = program.communicate(timeout=100)
    assert (program.returncode, out) == (0, "stopped\n"), err


def test_signal_while_a_part_starts_ends_the_app(write_app, started):
    name = write_app("""
        import actorflow as af

        class Slow(af.Actor):
            def on_start(self):
                print("starts", flush=True)
                self.ctx.sleep(3600)

        app = af.App("shop").add(Slow)
    """)
    program = started(*PROGRAM, "run", f"{name}:app")
    assert program.stdout.readline() == "starts\n"
    program.terminate()
    _, err = program.communicate(timeout=100)
    assert program.returncode == 0, err
    assert "cannot start" not in err


# --- signals while the module is imported, and process 1 -------------------------------------------------------------

# In short waits: a signal that comes just before a wait begins does not interrupt it, and Python looks after it.
IMPORTS = """
    import sys, time
    print("imports", flush=True)
    while True:
        time.sleep(0.05)
"""
NAMESPACE = ["unshare", "--fork", "--pid", "--mount-proc"]


def may_unshare() -> bool:
    return (
        shutil.which("unshare") is not None and not subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode
    )


@pytest.fixture
def in_a_container():
    """Where the program is process 1, as in a container."""
    if not may_unshare():
        pytest.skip("this machine lets nobody have a process namespace")


def first_process(namespace: subprocess.Popen[str]) -> int:
    """Return the id, out here, of process 1 of a namespace."""
    return psutil.Process(namespace.pid).children()[0].pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_the_module_is_imported_ends_at_once(write_app, started, number):
    program = started(*PROGRAM, "run", f"{write_app(IMPORTS)}:app")
    assert program.stdout.readline() == "imports\n"
    program.send_signal(number)
    program.communicate(timeout=100)
    assert program.returncode in {-number, 128 + number, 1}


@pytest.mark.usefixtures("in_a_container")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_the_module_is_imported_ends_process_1_at_once(write_app, started, number):
    namespace = started(*NAMESPACE, *PROGRAM, "run", f"{write_app(IMPORTS)}:app")
    assert namespace.stdout.readline() == "imports\n"
    os.kill(first_process(namespace), number)
    namespace.communicate(timeout=100)
    assert namespace.returncode in {128 + number, 1}


@pytest.mark.usefixtures("in_a_container")
def test_process_1_drains_and_ends_with_the_programs_exit_code(write_app, started):
    namespace = started(
        *NAMESPACE, *PROGRAM, "run", f"{write_app(DAEMON.format(ready='pass', stop='pass', main=''))}:app"
    )
    assert namespace.stdout.readline() == "ready\n"
    os.kill(first_process(namespace), signal.SIGTERM)
    out, err = namespace.communicate(timeout=100)
    assert (namespace.returncode, out) == (0, "stopped\n"), err


@pytest.mark.usefixtures("in_a_container")
def test_process_1_reaps_orphans(write_app, started):
    orphan = "import subprocess; subprocess.run(['sh', '-c', 'sleep 0.01 & echo $!'])"
    name = write_app(DAEMON.format(ready=orphan, stop="pass", main=""))
    namespace = started(*NAMESPACE, *PROGRAM, "run", f"{name}:app")
    assert namespace.stdout.readline() == "ready\n"
    assert namespace.stdout.readline().strip().isdecimal()
    first = psutil.Process(first_process(namespace))
    deadline = time.monotonic() + 100
    while any(
        process.status() == psutil.STATUS_ZOMBIE or process.name() == "sleep" for process in first.children(True)
    ):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGTERM)
    namespace.communicate(timeout=100)
    assert namespace.returncode == 0


@pytest.mark.usefixtures("in_a_container")
def test_process_1_ends_as_a_killed_program_does(write_app, started):
    namespace = started(
        *NAMESPACE, *PROGRAM, "run", f"{write_app(DAEMON.format(ready='pass', stop='pass', main=''))}:app"
    )
    assert namespace.stdout.readline() == "ready\n"
    psutil.Process(first_process(namespace)).children()[0].kill()
    namespace.communicate(timeout=100)
    assert namespace.returncode == 137


# --- the app's system ------------------------------------------------------------------------------------------------

SYSTEM = """
    import actorflow as af
    app = af.App("shop", store="memory:", system=af.Settings(grace=3, threads=50))
    @app.main
    def main(system, settings):
        print(system.grace, system.settings.threads, system.settings.payload_limit, app.store, app.durability)
"""


def test_app_names_the_settings_of_its_system(write_app):
    assert run(f"{write_app(SYSTEM)}:app").stdout == "3 50 16777216 memory: power\n"


def test_options_of_run_go_before_what_the_app_says(write_app):
    options = ["--grace", "9", "--payload-limit", "1M", "--store", "sqlite:///a.db", "--durability", "process"]
    result = run(*options, f"{write_app(SYSTEM)}:app")
    assert result.stdout == "9.0 50 1048576 sqlite:///a.db process\n"


def test_options_of_run_may_come_from_the_environment(write_app, monkeypatch):
    monkeypatch.setenv("ACTORFLOW_GRACE", "8")
    monkeypatch.setenv("ACTORFLOW_STORE", "sqlite:///b.db")
    name = write_app(SYSTEM)
    assert run(f"{name}:app").stdout == "8.0 50 16777216 sqlite:///b.db power\n"
    assert run("--grace", "7", f"{name}:app").stdout.startswith("7.0 ")


def test_option_of_run_behind_the_apps_name_says_where_it_stands(write_app):
    assert "--grace is an option of run: it stands before" in refused(run(f"{write_app(SYSTEM)}:app", "--grace", "4"))


@pytest.mark.parametrize(
    "options",
    [
        ("--grace", "-1"),
        ("--threads", "0"),
        ("--payload-limit", "lots"),
        ("--grcae", "3"),
        ("--store", "shop.db"),
        ("--store", ""),
        ("--grace", "nan"),
        ("--ask-timeout", "nan"),
    ],
)
def test_option_of_run_that_makes_no_sense_is_one_line(write_app, options):
    assert options[0].strip("-") in refused(run(*options, f"{write_app(SYSTEM)}:app")).replace("_", "-")


def test_mistake_in_the_environment_names_the_variable(write_app, monkeypatch):
    monkeypatch.setenv("ACTORFLOW_GRACE", "a minute")
    text = refused(run(f"{write_app(SYSTEM)}:app"))
    assert "ACTORFLOW_GRACE: 'a minute'" in text
    assert "--grace" not in text


# --- logging ---------------------------------------------------------------------------------------------------------

LOGS = """
    import logging
    {setup}
    import actorflow as af
    app = af.App("shop")
    @app.main
    def main(system, settings):
        logging.getLogger("shop").info("hello")
        logging.getLogger("shop").warning("watch out")
"""


def logged(started, name: str, *options: str) -> list[str]:
    """Run an app, and return what it writes to stderr."""
    return started(*PROGRAM, "run", *options, f"{name}:app").communicate(timeout=60)[1].splitlines()


def test_logging_of_the_app_is_left_as_it_is(write_app, started):
    setup = 'logging.basicConfig(level=logging.INFO, format="MINE %(levelname)s %(message)s")'
    name = write_app(LOGS.format(setup=setup))
    assert logged(started, name) == ["MINE INFO hello", "MINE WARNING watch out"]
    assert logged(started, name, "--log-level", "ERROR") == []


def test_app_without_logging_logs_warnings_with_their_times(write_app, started):
    name = write_app(LOGS.format(setup=""))
    (line,) = logged(started, name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING shop: watch out", line)
    assert [line[24:] for line in logged(started, name, "--log-level", "info")] == [
        "INFO shop: hello",
        "WARNING shop: watch out",
    ]


def test_loggers_that_the_app_has_set_up_are_written_once_and_others_are_not_lost(write_app, started):
    setup = """
    import logging.config
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"mine": {"format": "MINE %(message)s"}},
        "handlers": {"mine": {"class": "logging.StreamHandler", "formatter": "mine"}},
        "loggers": {"shop": {"handlers": ["mine"]}},
    })
    """
    name = write_app(LOGS.format(setup=setup) + '        logging.getLogger("other").warning("heard")\n')
    mine, other = logged(started, name)
    assert mine == "MINE watch out"
    assert other.endswith("WARNING other: heard")
