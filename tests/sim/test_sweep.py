"""Promises: a sweep compares settings by figures over seeds; a setting that there is not is refused."""

from __future__ import annotations

import logging

import pytest

import actorflow as af
from actorflow.sim.scenario.reading import parse_scenario
from actorflow.sim.scenario.scenario import Scenario
from actorflow.sim.scenario.sweep import columns_of, swept
from actorflow.sim.scenario.variation import SettingChange, changes_of, varied, with_change
from actorflow.testing import LeakCheck
from tests.sim.counters import Counter, app, call_outside

NAME = "tests.sim.counters"
SCENARIO = f"""
until = 30
runs = 3
[[clients]]
cast = "add"
to = "counter"
args = ["{{n}}"]
rate = 5
[[costs]]
of = "{NAME}:Counter.add"
seconds = 0.08
"""


@pytest.fixture(autouse=True)
def quiet_and_nothing_left(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    with LeakCheck():
        yield


def test_utilisation_and_p99_grow_with_the_rate_of_arrivals():
    seen = []
    settings = [changes_of("arrivals=5/s,600/m")]
    rows = swept(f"{NAME}:app", parse_scenario(SCENARIO), settings, progress=lambda *at: seen.append(at))
    assert seen[-1] == (6, 6)
    slow, fast = rows
    assert (slow.settings, fast.settings) == ({"arrivals": "5/s"}, {"arrivals": "600/m"})
    use = "/counters/counter"
    assert slow.utilisation[use].mean == pytest.approx(0.4, abs=0.1)  # 5 a second, 0.08 s each
    assert fast.utilisation[use].mean == pytest.approx(0.8, abs=0.15)
    assert fast.p99["Counter.add"].mean > 1.3 * slow.p99["Counter.add"].mean
    assert slow.p99["Counter.add"].count == 3
    assert columns_of(rows) == (["Counter.add"], ["/counters/counter"])
    plain = fast.as_dict()
    assert plain["p99"]["Counter.add"]["runs"] == 3
    assert plain["failed"] == 0


def test_the_warm_up_is_left_out():
    scenario = parse_scenario(SCENARIO)
    (row,) = swept(f"{NAME}:app", scenario, [changes_of("nodes=1")], warm_up=29.0)
    assert row.warm_up == 29.0
    (whole,) = swept(f"{NAME}:app", scenario, [changes_of("nodes=1")])
    assert 0 <= whole.warm_up <= 16


def test_a_run_that_fails_is_counted():
    text = SCENARIO + f'[[checks]]\nalways = "{NAME}:few"\n'
    (row,) = swept(f"{NAME}:app", parse_scenario(text), [changes_of("nodes=1")], warm_up=0.0)
    assert row.failed == 3


def test_options_of_parts_and_queues_are_changed_and_the_app_is_not():
    own = af.App("own").add(af.child(Counter).options(name="first"), call_outside).queue("calls", workers=1)
    other = varied(own, [SettingChange("first.capacity", "7"), SettingChange("calls.workers", "3")])
    assert other._declared.parts[0].traits.options.capacity == 7
    assert other._declared.queues["calls"].options["workers"] == 3
    assert own._declared.parts[0].traits.options.capacity != 7
    assert own._declared.queues["calls"].options["workers"] == 1
    assert varied(own, []) is own
    assert varied(own, [SettingChange("Counter.blocking", "true")])._declared.parts[0].traits.options.blocking is True


def test_settings_of_the_scenario_are_changed():
    scenario = parse_scenario(SCENARIO)
    assert with_change(scenario, SettingChange("nodes", "3")).nodes == 3
    assert with_change(scenario, SettingChange("cores", "2")).cores == 2
    linked = with_change(scenario, SettingChange("network.latency", "0.25"))
    (link,) = [entry for entry in linked.entries if entry.place.table == "network"]
    assert link.given == {"latency": 0.25}
    again = with_change(linked, SettingChange("network.loss", "0.5"))
    assert [e.given for e in again.entries if e.place.table == "network"] == [{"latency": 0.25, "loss": 0.5}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arrivals", "give a setting and its values, such as"),
        ("arrivals=", "give a setting and its values"),
        ("=3", "give a setting and its values"),
        ("arrivals=fast", "arrivals=fast: give requests a second, such as 50/s"),
        ("arrivals=0/s", "give requests a second"),
        ("nodes=0", "nodes=0: give a whole number from 1 to 100"),
        ("cores=1.5", "cores=1.5: give a whole number"),
        ("arivals=3", "no such setting; did you mean 'arrivals'?"),
        ("network.latncy=3", "unknown key 'latncy'; did you mean 'latency'?"),
        ("network.latency=-1", "Link(latency=-1)"),
        ("conter.capacity=3", "app 'counters' has no part 'conter'; did you mean 'counter'?"),
        ("counter.capcity=3", "capacity"),
        ("counter.capacity=many", "sweep counter.capacity=many: "),
    ],
)
def test_a_setting_that_there_is_not_is_refused(text, words):
    with pytest.raises(af.DefinitionError) as caught:
        for change in changes_of(text):
            varied(app, with_change(parse_scenario(SCENARIO), change).changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["arrivals=5/s", "arrivals=10/s"], "sweep arrivals: it is given twice"),
        (["nodes=1,0"], "nodes=0: give a whole number"),
        (["counter.capacity=10,many"], "sweep counter.capacity=many: "),
    ],
)
def test_each_value_is_looked_at_before_the_first_run(texts, words):
    seen = []
    with pytest.raises(af.DefinitionError) as caught:
        swept(
            f"{NAME}:app",
            parse_scenario(SCENARIO),
            [changes_of(text) for text in texts],
            progress=lambda *at: seen.append(at),
        )
    assert words in str(caught.value)
    assert not seen


def test_arrivals_need_clients_with_a_rate():
    with pytest.raises(af.DefinitionError, match="no \\[\\[clients\\]\\] with a rate"):
        with_change(Scenario(), SettingChange("arrivals", "3"))
