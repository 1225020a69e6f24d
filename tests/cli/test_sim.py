"""`actorflow sim`: an app is searched for a run that fails; the result is told, and a mistake is one line."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import textwrap

import pytest
from click.testing import CliRunner

from actorflow.cli import main

SHOP = "examples.small_shop:app"
NUMBERS = itertools.count()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(path for path in sys.path if path)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_app(folder):
    """Write a module and return the name of its app; each has a new one, as imports are remembered."""

    def write(source: str) -> str:
        name = f"sim_{next(NUMBERS)}"
        (folder / f"{name}.py").write_text("import actorflow as af\n" + textwrap.dedent(source))
        return f"{name}:app"

    return write


def sim(*args: str):
    return CliRunner().invoke(main, ["sim", *args])


def test_the_double_charge_of_the_example_is_found_shrunk_and_drawn():
    done = sim(SHOP)
    assert done.exit_code == 1, done.output
    assert "'no double charge' does not hold" in done.stdout
    assert re.search(r"1 of \d+ client events", done.stdout)
    seed = re.search(r"again: PYTHONHASHSEED=\d+ actorflow sim examples.small_shop:app --seed=(\d+)\n", done.stdout)
    assert seed is not None
    diagram = done.stdout.partition("sequenceDiagram\n")[2]
    assert "participant p1 as stub charge_card" in diagram
    assert re.search(r"p0->>p1: charge_card\('order-\d+', 990\)", diagram)
    assert "p1--xp0: answer (lost)" in diagram
    assert done.stderr.startswith("actorflow: 'no double charge' does not hold")
    assert done.stderr.count("\n") == 1
    again = sim(SHOP, "--seed", seed[1])
    assert again.exit_code == 1
    assert diagram.partition("\n\n")[0] in again.stdout


def test_json_has_all_of_it():
    done = sim(SHOP, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 1
    failure = found["failure"]
    assert failure["property"] == "no double charge"
    assert failure["command"].endswith(f"actorflow sim {SHOP} --seed={failure['seed']}")
    assert failure["diagram"].startswith("sequenceDiagram")
    assert found["runs"] == failure["seed"] + 1
    assert found["steps"] > 10


def test_a_search_that_finds_nothing_ends_with_0_and_tells_what_it_did(write_app):
    app = write_app("""
        class Counter(af.Actor):
            def on_start(self):
                self.n = 0
                self.ctx.every(1, self.add)
            def add(self):
                self.n += 1
        app = af.App("steady", system=af.Settings(intensity=1000)).add(af.child(Counter).options(name="counter"))
    """)
    done = sim(app, "--runs", "7", "--until", "20")
    assert done.exit_code == 0, done.output
    assert re.match(r"steady: 7 runs, \d of them .* \d+ steps, .* virtual seconds, [1-9]\d* faults\n", done.stdout)
    assert done.stdout.endswith("all properties held\n")
    shared = sim(app, "--runs", "7", "--until", "20", "--workers", "2")
    assert (shared.exit_code, shared.stdout) == (0, done.stdout)


def test_errors_of_handlers_are_told_though_nothing_failed(write_app):
    app = write_app("""
        class Sick(af.Actor):
            def cough(self):
                raise KeyError("lungs")
        app = af.App("sick", system=af.Settings(intensity=1000)).add(af.child(Sick).options(name="sick"))
        @app.scenario
        def scenario(sim, system):
            sim.at(1).call(lambda: system.find("/sick/sick", Sick).cast(Sick.cough))
    """)
    done = sim(app, "--runs", "6")
    assert done.exit_code == 0
    assert re.search(r"handlers raised: KeyError at sim_\d+\.py:5, 6 times\n", done.stdout)
    assert sim(app, "--runs", "6", "--workers", "2").stdout == done.stdout


def test_a_scenario_without_a_property_does_not_say_that_all_held(write_app, folder):
    app = write_app("""
        class Counter(af.Actor):
            def add(self):
                pass
        app = af.App("bare").add(af.child(Counter).options(name="counter"))
        @app.scenario
        def scenario(sim, system):
            sim.at(1).call(lambda: system.find("/bare/counter", Counter).cast(Counter.add))
    """)
    for workers in ("1", "2"):
        done = sim(app, "--runs", "3", "--until", "5", "--workers", workers, "--report", "out.html")
        assert done.exit_code == 0
        assert "no property was checked: the scenario has none; give it [[checks]], or call sim.always(" in done.stdout
        assert "held" not in done.stdout
        assert "No property was checked" in (folder / "out.html").read_text(encoding="utf-8")
    assert json.loads(sim(app, "--runs", "3", "--json").stdout)["properties"] == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_names_of_modules_that_runs_change_are_told(write_app, workers):
    app = write_app("""
        seen = []
        class Counter(af.Actor):
            def on_start(self):
                seen.append(1)
        app = af.App("leaky", system=af.Settings(intensity=1000)).add(af.child(Counter).options(name="counter"))
    """)
    done = sim(app, "--runs", "3", "--workers", workers)
    assert done.exit_code == 0, done.output
    assert f"processes do not: {app.partition(':')[0]}.seen\n" in done.stdout
    assert json.loads(sim(SHOP.replace("shop", "shop_mended"), "--runs", "3", "--json").stdout)["shared"] == []


def test_a_message_that_does_not_fit_its_handler_is_told_though_no_line_of_the_user_raised(write_app):
    app = write_app("""
        class Deaf(af.Actor):
            def hear(self):
                pass
        app = af.App("deaf", system=af.Settings(intensity=1000)).add(af.child(Deaf).options(name="deaf"))
        @app.scenario
        def scenario(sim, system):
            sim.at(1).call(lambda: system.find("/deaf/deaf", Deaf).cast(Deaf.hear, "what?"))
    """)
    done = sim(app, "--runs", "2")
    assert done.exit_code == 0
    assert re.search(
        r"handlers raised: TypeError at a call: Deaf.hear\(\) takes 1 .* 2 were given, 2 times\n", done.stdout
    )


def test_a_scenario_of_a_file_is_run_and_named_in_the_command_that_repeats_it(write_app, folder):
    app = write_app("""
        class Counter(af.Actor):
            n = 0
            def add(self):
                self.n += 1
        app = af.App("demo").add(af.child(Counter).options(name="counter"))
        def small(sim):
            return sim.peek("counter").n < 3
    """)
    (folder / "s.toml").write_text(
        f"""
        until = 10
        runs = 3
        [[clients]]
        cast = "add"
        to = "counter"
        every = 2
        [[checks]]
        always = "{app.partition(":")[0]}:small"
        """
    )
    done = sim(app, "--scenario", "s.toml", "--tapes", "tapes")
    assert done.exit_code == 1, done.output
    assert "3 of 5 client events" in done.stdout
    assert "client event 5 at 10 s: call of add" in done.stdout
    assert f"actorflow sim {app} --scenario s.toml --seed=0" in done.stdout
    (tape,) = (folder / "tapes").iterdir()
    again = sim(app, "--scenario", "s.toml", "--tape", str(tape))
    assert again.exit_code == 1
    assert "'small' does not hold" in again.stdout
    assert sim(app, "--scenario", "s.toml", "--until", "3").exit_code == 0


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["examples.small_shop:ap"], "did you mean 'app'?"),
        ([SHOP, "--until", "0"], "'--until'"),
        ([SHOP, "--until", "-3"], "'--until'"),
        ([SHOP, "--runs", "0"], "'--runs'"),
        ([SHOP, "--sead", "3"], "--seed"),
        ([SHOP, "--scenario", "none.toml"], "scenario none.toml cannot be read"),
        ([SHOP, "--tape", "none.json"], "tape none.json cannot be read"),
        ([SHOP, "--budget", "soon"], "'soon' is no time"),
        ([SHOP, "--seed", "1", "--tape", "x"], "give one; a tape has its seed"),
        (["sim_bad:app"], "no module named 'sim_bad'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(args, text, folder):
    done = sim(*args)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("actorflow: ")
    assert done.stderr.count("\n") == 1
    assert text in done.stderr


def test_real_io_in_a_scenario_is_refused_with_its_line(write_app):
    app = write_app("""
        import socket
        app = af.App("online")
        @app.scenario
        def scenario(sim, system):
            sim.at(1).call(lambda: socket.create_connection(("localhost", 9)))
    """)
    done = sim(app)
    assert done.exit_code == 2
    assert re.search(r"sim_\d+\.py:7: a name is looked up, which leaves the simulation", done.stderr)


def test_two_processes_find_the_same():
    def outcome(hash_seed):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "actorflow", "sim", SHOP, "--json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 1, done.stderr
        found = json.loads(done.stdout)
        found["failure"] = {key: found["failure"][key] for key in ("seed", "time", "diagram")}
        return found

    assert outcome("0") == outcome("1")


def test_a_report_is_written_and_a_place_that_there_is_not_is_refused_before_the_search(folder):
    done = sim(SHOP, "--runs", "3", "--report", "out.html")
    assert done.exit_code == 1
    page = (folder / "out.html").read_text(encoding="utf-8")
    assert "no double charge: does not hold" in page
    assert "Last messages between hosts" in page
    assert "charge_card" in page
    assert "--seed=" in page
    for place in ("none/out.html", ".", 300 * "x"):
        refused = sim(SHOP, "--report", place)
        assert refused.exit_code == 2
        assert refused.stdout == ""
        assert "give another --report" in refused.stderr
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["out.html"]


def test_a_report_is_written_of_a_scenario_that_records_its_figures_itself(write_app, folder):
    app = write_app("""
        class Counter(af.Actor):
            def add(self):
                pass
        app = af.App("own").add(af.child(Counter).options(name="counter"))
        @app.scenario
        def scenario(sim, system):
            sim.record()
            sim.at(1).call(lambda: system.find("/own/counter", Counter).cast(Counter.add))
    """)
    done = sim(app, "--runs", "2", "--until", "5", "--report", "out.html")
    assert done.exit_code == 0, done.output
    assert "Counter.add" in (folder / "out.html").read_text(encoding="utf-8")


def test_a_sweep_is_a_table_or_json():
    done = sim(SHOP, "--runs", "2", "--sweep", "payments.workers=1,2")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("payments.workers")
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    assert lines[-1].startswith("over 2 seeds each")
    rows = json.loads(sim(SHOP, "--runs", "2", "--sweep", "payments.workers=1,2", "--json").stdout)
    assert [row["settings"] for row in rows] == [{"payments.workers": "1"}, {"payments.workers": "2"}]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--sweep", "payments.wrkers=1"], "did you mean 'workers'?"),
        (["--sweep", "arrivals=5/s"], "no [[clients]] with a rate"),
        (["--warm-up", "3"], "--warm-up goes with --sweep"),
        (["--sweep", "nodes=1", "--report", "x.html"], "--sweep and --report: give one of them"),
        (["--sweep", "nodes=1", "--seed", "0"], "--sweep and --seed: give one of them"),
    ],
)
def test_a_mistake_in_a_sweep_is_one_line(args, text):
    done = sim(SHOP, *args)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert text in done.stderr
