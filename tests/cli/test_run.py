"""`actorflow run`: it finds the app, turns flags into settings, and ends with the right exit code."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

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
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    def write(source: str) -> str:
        name = f"shop_{next(NUMBERS)}"
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


@pytest.mark.parametrize(("field", "text"), [("n: list[int]", "list[int]"), ("help: str = ''", "--help is taken")])
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
    ],
)
def test_module_that_cannot_be_imported_says_why_in_one_line(write_app, source, text):
    assert text in refused(run(f"{write_app(source)}:app"))


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
def daemon(write_app):
    """Start an app as a program, and wait until it is up."""
    programs = []

    def start(ready="pass", stop="pass", main=""):
        name = write_app(DAEMON.format(ready=ready, stop=stop, main=main))
        program = subprocess.Popen(
            [*PROGRAM, "run", f"{name}:app"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        programs.append(program)
        assert program.stdout.readline() == "ready\n"
        return program

    yield start
    for program in programs:
        program.kill()
        program.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_app_without_main_drains_at_a_signal_and_ends_with_0(daemon, number):
    program = daemon()
    program.send_signal(number)
    out, err = program.communicate(timeout=20)
    assert (program.returncode, out) == (0, "stopped\n"), err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_app_with_main_drains_at_a_signal_and_ends_with_128_and_its_number(daemon, number):
    program = daemon(main="app.main(lambda system, settings: threading.Event().wait())")
    program.send_signal(number)
    out, err = program.communicate(timeout=20)
    assert (program.returncode, out) == (128 + number, "stopped\n"), err
    assert "Traceback" not in err


@pytest.mark.parametrize("main", ["", "app.main(lambda system, settings: threading.Event().wait())"])
def test_handler_that_never_returns_does_not_keep_the_app_beyond_five_seconds(daemon, main):
    program = daemon(ready="threading.Event().wait()", main=main)
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=20)
    assert program.returncode in {0, 143}


def test_second_signal_ends_the_app_at_once(daemon):
    program = daemon(stop="threading.Event().wait()")
    program.send_signal(signal.SIGTERM)
    assert program.stdout.readline() == "stopped\n"
    program.send_signal(signal.SIGTERM)
    _, err = program.communicate(timeout=4.5)  # a drain has five seconds
    assert program.returncode == 143
    assert "at once" in err
