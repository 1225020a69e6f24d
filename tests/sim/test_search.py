"""Promises: the search over seeds, its options in pytest, and the tapes of runs that failed."""

import bdb
import json
import os
import re
import subprocess
import sys
import textwrap
import unittest

import pytest

import actorflow as af
from actorflow.sim import Simulation, SimulationFailure, simulate
from actorflow.sim.search.settings import SearchSettings, seconds_of, use
from actorflow.sim.search.tally import TALLY
from actorflow.testing import LeakCheck

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def nothing_is_left():
    with LeakCheck():
        yield


class Race(af.Actor):
    """Keeps what comes, in its order."""

    def __init__(self):
        super().__init__()
        self.got = []

    def on_receive(self, message):
        self.got.append(message)


class Runner(af.Actor):
    """Sends its name."""

    def run(self, race):
        race.tell(self.actor_ref.name)


APP = af.App("track").add(
    af.child(Race).options(name="race"), af.child(Runner).options(name="a"), af.child(Runner).options(name="b")
)


def race(sim, *, until=1.0):
    """Have two runners run; it fails if the second one wins."""
    system = sim.start(APP)
    goal = system.find("/track/race")
    for name in "ab":
        system.find(f"/track/{name}").cast(Runner.run, goal)
    sim.always(lambda: sim.peek(goal).got != ["b", "a"], "a comes first")
    sim.run(until=until)


def searched(body=race, **options):
    simulate(**{"runs": 50, "tapes": None, **options})(body)()


def failed(body=race, **options):
    with pytest.raises(SimulationFailure) as caught:
        searched(body, **options)
    return caught.value


def test_one_seed_only_runs_and_misses_no_case():
    def body(sim):
        race(sim)
        sim.sometimes(lambda: False)

    bad = failed().seed
    good = next(seed for seed in range(50) if seed < bad)
    runs = TALLY.runs
    with use(SearchSettings(seed=good)):
        searched(body)
    assert TALLY.runs == runs + 1
    with use(SearchSettings(seed=bad)):
        assert failed().seed == bad


def test_the_number_of_runs_can_be_set():
    runs = TALLY.runs
    with use(SearchSettings(runs=7)):
        searched(lambda sim: calm(sim), runs=3)
    assert TALLY.runs == runs + 7


def calm(sim):
    system = sim.start(APP)
    system.find("/track/a").cast(Runner.run, system.find("/track/race"))
    sim.run(until=1)


def test_a_search_whose_time_is_up_ends_and_misses_no_case():
    def body(sim):
        calm(sim)
        sim.sometimes(lambda: False, "never")

    with use(SearchSettings(budget=1e-9)):
        searched(body)
    assert failed(body).property == "sometimes 'never'"


def test_processes_find_the_same_seed_as_one():
    with use(SearchSettings(workers=2)):
        failure = failed()
    assert failure.seed == failed().seed
    assert "smallest run found" in failure.scenario


def test_cases_that_came_in_different_processes_count_together():
    def body(sim):
        calm(sim)
        for rest in (0, 1):
            sim.sometimes(lambda rest=rest: sim.chooser.seed == 4 + rest, f"seed {4 + rest}")
        sim.run(until=2)

    with use(SearchSettings(workers=2)):
        searched(body, runs=6)
        assert failed(body, runs=5).property == "sometimes 'seed 5'"


def test_processes_verify_their_seeds_too():
    clock = iter(range(1000))

    def body(sim):
        track = sim.start(APP).find("/track/race")
        sim.at(1).call(lambda: track.tell(f"at {next(clock)}"))
        sim.run(until=2)

    searched(body, runs=6)
    for workers in (1, 2):
        with use(SearchSettings(workers=workers, verify=True)):
            assert failed(body, runs=6).property == "the same seed takes the same steps"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("verdict", [pytest.skip.Exception("not here"), unittest.SkipTest("nor here"), SystemExit(3)])
def test_what_is_no_failure_comes_out_as_it_is(workers, verdict):
    def body(sim):
        if sim.chooser.seed == 3:
            raise verdict
        calm(sim)

    with use(SearchSettings(workers=workers)), pytest.raises(type(verdict)):
        searched(body, runs=6)


@pytest.mark.parametrize("workers", [1, 2])
def test_pytest_fail_is_a_failure_as_an_assertion_is(workers):
    def body(sim):
        calm(sim)
        if sim.chooser.seed == 3:
            pytest.fail("it was charged twice")

    with use(SearchSettings(workers=workers)):
        failure = failed(body, runs=6)
    assert failure.seed == 3
    assert "charged twice" in failure.why
    assert "smallest run found" in failure.scenario


@pytest.mark.parametrize("error", [af.errors.DefinitionError("no such actor"), pytest.skip.Exception("nothing to do")])
def test_a_smaller_run_that_makes_no_sense_does_not_take_the_place_of_the_failure(error):
    def body(sim):
        race = sim.start(APP).find("/track/race")
        for second in (1, 2, 3):
            sim.at(second).call(lambda: race.tell("go"))
        sim.run(until=4)
        if not sim.peek(race).got:
            raise error
        assert len(sim.peek(race).got) < 1, "it went"

    failure = failed(body)
    assert failure.why.startswith("AssertionError: it went")
    assert "1 of 3 client events" in failure.scenario


def test_a_process_that_dies_is_told_with_its_seed():
    home = os.getpid()

    def body(sim):
        calm(sim)
        if sim.chooser.seed == 4 and os.getpid() != home:
            os.kill(os.getpid(), 9)

    with use(SearchSettings(workers=2)), pytest.raises(af.HostDied, match="after seed 2"):
        searched(body, runs=6)


def test_verification_finds_what_no_choice_decides():
    times = []

    def body(sim):
        times.append(None)
        calm(sim)
        sim.run(until=1 + len(times))

    with use(SearchSettings(verify=True)):
        failure = failed(body)
        searched(calm, runs=3)
    assert failure.property == "the same seed takes the same steps"


def test_a_failure_that_no_choice_decides_says_so():
    runs = []

    def body(sim):
        runs.append(None)
        calm(sim)
        sim.always(lambda: len(runs) > 1, "not the first run of a process")
        sim.run(until=2)

    assert "did not fail again" in failed(body).scenario


def test_any_error_of_a_test_names_its_seed():
    def body(sim):
        calm(sim)
        if sim.chooser.seed == 3:
            raise KeyError("odd")

    failure = failed(body)
    assert (failure.property, failure.seed) == ("KeyError", 3)
    assert isinstance(failure.__cause__, KeyError)


def test_a_failure_is_kept_and_runs_first_the_next_time(tmp_path):
    seed = failed(tapes=tmp_path).seed
    (tape,) = tmp_path.iterdir()
    runs = TALLY.runs
    failure = failed(tapes=tmp_path, first=1000)
    assert failure.seed == seed
    assert TALLY.runs == runs + 1
    assert f"tape: {os.path.relpath(tape)}" in failure.scenario
    assert list(tmp_path.iterdir()) == [tape]
    with use(SearchSettings(tape=tape)):
        assert failed(tapes=None).seed == seed


def test_a_folder_that_cannot_be_written_does_not_hide_the_failure(tmp_path):
    (tmp_path / "file").write_text("")
    failure = failed(tapes=tmp_path / "file" / "folder")
    assert failure.property == "a comes first"
    assert "not kept" in failure.scenario


def test_a_tape_of_other_code_says_where_the_run_left_it(tmp_path):
    path = tmp_path / "old.json"
    content = {"format": 1, "seed": 0, "left_out": [], "choices": {"latency x -> y": [0, 3]}}
    path.write_text(json.dumps(content))
    with use(SearchSettings(tape=path)):
        failure = failed(calm)
    assert "never came to choice 2 of latency x -> y" in failure.why


def test_the_scenario_names_client_events_and_choices():
    scenario = failed().scenario
    assert re.search(r"client event 2 at 0 s: run\(/track/race\) to /track/b", scenario)
    assert "2 of 2 client events" in scenario
    assert "choice 1 of schedule" in scenario


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": -1}, "seed"),
        ({"runs": 0}, "runs"),
        ({"workers": True}, "workers"),
        ({"until_step": "x"}, "until_step"),
        ({"seed": 1, "tape": "x"}, "give one"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, words):
    with pytest.raises(af.DefinitionError, match=words):
        SearchSettings(**options)


@pytest.mark.parametrize("text", ["", "x", "-1s", "1 day", "0", "nan"])
def test_times_that_are_none_are_refused(text):
    with pytest.raises(af.DefinitionError, match="no time"):
        seconds_of(text)


def test_the_debugger_opens_after_a_step(monkeypatch):
    steps = []

    def body(sim):
        monkeypatch.setattr("builtins.breakpoint", lambda: steps.append(sim.world.steps))
        race(sim)

    with use(SearchSettings(seed=0, until_step=3)):
        searched(body)
    assert steps == [3]


def test_the_debugger_opens_once_for_a_run_that_fails(monkeypatch):
    opened = []

    def body(sim):
        monkeypatch.setattr("builtins.breakpoint", lambda: opened.append(1))
        calm(sim)
        sim.always(lambda: False, "never")
        sim.run(until=1)

    with use(SearchSettings(seed=0, until_step=1)), pytest.raises(SimulationFailure, match="'never'"):
        searched(body)
    assert opened == [1]


@pytest.mark.parametrize("kind", [bdb.BdbQuit, pytest.exit.Exception])
@pytest.mark.parametrize("place", ["test", "client", "check"])
def test_what_ends_the_session_is_no_failure_of_the_test(kind, place):
    def quit_here(*_):
        raise kind("enough")

    def body(sim):
        sim.start(APP)
        if place == "test":
            quit_here()
        if place == "client":
            sim.at(1).call(quit_here)
        if place == "check":
            sim.always(quit_here)
        sim.run(until=2)

    with pytest.raises(kind):
        searched(body)


def test_a_limit_of_the_test_holds_in_each_run_and_one_that_is_none_is_refused():
    def body(sim):
        calm(sim)
        limits.append(sim.world.step_limit)

    limits = []
    searched(body, runs=2, step_limit=777, turn_seconds=None)
    assert limits == [777, 777]
    assert "StuckError" in str(failed(calm, runs=2, step_limit=1))
    for options in ({"step_limit": 0}, {"step_limit": True}, {"turn_seconds": 0}, {"turn_seconds": "x"}):
        with pytest.raises(af.DefinitionError, match=f"{next(iter(options))}=.*: give"):
            simulate(**options)
        with pytest.raises(af.DefinitionError, match=f"{next(iter(options))}=.*: give"):
            Simulation(**options)


# --- in pytest -------------------------------------------------------------------------------------------------------

MODULE = """
import actorflow as af
from actorflow.sim import Simulation, simulate
from tests.sim.test_search import race, calm

@simulate(runs=20)
def test_race(sim):
    race(sim)

@simulate(runs=20)
def test_calm(sim, tmp_path):
    assert tmp_path.is_dir()
    calm(sim)
    sim.sometimes(lambda: sim.chooser.seed == 19)
    sim.run(until=2)
"""


@pytest.fixture
def project(pytester):
    pytester.makepyfile(test_demo=MODULE)
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\ntimeout = 100")
    return pytester


def test_pytest_reports_the_failure_the_command_and_the_figures(project):
    result = project.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    text = result.stdout.str()
    (seed,) = set(re.findall(r"pytest test_demo.py::test_race --sim-seed=(\d+)", text))
    assert re.search(r"simulation: [\d,]+ runs of \d+ tests, [\d,]+ of them with steps of their own", text)
    (tape,) = (project.path / "tapes").iterdir()
    assert tape.name.startswith("test_demo.test_race-")
    again = project.runpytest(f"--sim-seed={seed}", "-k", "race")
    again.assert_outcomes(failed=1)


def test_a_quit_in_the_debugger_ends_the_session(project):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--sim-until-step=2", "--sim-seed=3"],
        cwd=project.path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        input="p self.world.steps\nq\n",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    assert "Exit: Quitting debugger" in done.stdout
    assert "(Pdb) 2\n" in done.stdout.replace("\r", "")
    assert "does not hold" not in done.stdout
    assert "again:" not in done.stdout


def test_pytest_takes_each_option(project):
    runs = TALLY.runs
    result = project.runpytest("-k", "calm", "--sim-runs=30", "--sim-verify", "--sim-budget=60s", "--sim-workers=2")
    result.assert_outcomes(passed=1)
    assert TALLY.runs == runs + 30


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--sim-budget=soon", "--sim-budget='soon' is no time"),
        ("--sim-seed=-1", "seed=-1"),
        ("--sim-workers=0", "workers=0"),
    ],
)
def test_pytest_refuses_an_option_that_makes_no_sense(project, option, words):
    result = project.runpytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr.str()


@pytest.mark.slow
def test_processes_of_xdist_add_up(project):
    result = project.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    assert re.search(r"simulation: \d+ runs of 2 tests", result.stdout.str())


def test_hypothesis_shrinks_its_own_and_keeps_its_random(pytester):
    pytester.makepyfile(
        test_given=textwrap.dedent("""
        import random
        from hypothesis import HealthCheck, given, settings, strategies as st
        from actorflow.sim import simulate
        from tests.sim.test_search import calm

        @settings(database=None, derandomize=True, deadline=None)
        @given(st.integers(0, 1000))
        @simulate(runs=2)
        def test_small(sim, number):
            state = random.getstate()
            calm(sim)
            assert random.getstate() == state
            sim.sometimes(lambda: False)
            sim.always(lambda: number < 100, "below a hundred")
            sim.run(until=2)
        """)
    )
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "number=100," in text or "number=100\n" in text
    assert "below a hundred" in text
    assert not (pytester.path / "tapes").exists()


def test_hypothesis_is_told_which_examples_do_not_count(pytester):
    pytester.makepyfile(
        test_given=textwrap.dedent("""
        from hypothesis import assume, given, settings, strategies as st
        from actorflow.sim import simulate
        from tests.sim.test_search import calm

        @settings(database=None, derandomize=True, deadline=None, max_examples=10)
        @given(st.integers(0, 1000))
        @simulate(runs=2)
        def test_even(sim, number):
            assume(number % 2 == 0)
            calm(sim)
            assert number % 2 == 0
        """)
    )
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.slow
def test_the_time_of_a_test_that_is_up_is_no_failure_of_its_run(pytester):
    pytester.makepyfile(
        test_slow=textwrap.dedent("""
        import pytest
        from actorflow.sim import simulate
        from tests.sim.test_search import calm

        @pytest.mark.timeout(1, method="signal", func_only=True)
        @simulate(runs=1)
        def test_slow(sim):
            sim.always(lambda: True)
            calm(sim)
            while True:
                pass

        @pytest.mark.xfail(strict=True, raises=AssertionError)
        @simulate(runs=2)
        def test_known(sim):
            calm(sim)
            assert False

        @simulate(runs=2)
        def test_known_by_then(sim):
            calm(sim)
            pytest.xfail("known")
        """)
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1, xfailed=2)
    assert "Timeout" in result.stdout.str()
    assert "does not hold" not in result.stdout.str()


def test_a_plain_script_gets_an_assertion_error(tmp_path):
    with Simulation(0) as sim:
        calm(sim)
        sim.always(lambda: False, "never")
        with pytest.raises(AssertionError, match="never"):
            sim.run(until=2)
