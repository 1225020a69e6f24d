"""Promises: a scenario in a file says what happens in a run; a mistake in it is refused before one, with its line."""

import logging

import pytest

import actorflow as af
from actorflow.sim import Simulation
from actorflow.sim.scenario.clients import filled
from actorflow.sim.scenario.reading import parse_scenario, read_scenario
from actorflow.sim.scenario.scenario import Scenario, run_app
from actorflow.testing import LeakCheck
from tests.sim.counters import Counter, Item, app, call_outside

NAME = "tests.sim.counters"


@pytest.fixture(autouse=True)
def quiet_and_nothing_left(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    with LeakCheck():
        yield


def after(text, seed=0):
    """Run the app with a scenario; return the simulation, which is open, and its counter."""
    scenario = parse_scenario(text, "s.toml")
    scenario.try_out(app)
    sim = Simulation(seed)
    try:
        run_app(sim, f"{NAME}:app", scenario)
    except BaseException:
        sim.close()
        raise
    return sim


def refusal(text):
    with pytest.raises(af.DefinitionError) as caught:
        parse_scenario(text, "s.toml").try_out(app)
    return str(caught.value)


def test_clients_send_call_and_publish_at_times_and_rates():
    with after(
        f"""
        until = 10
        [[clients]]
        cast = "add"
        to = "counter"
        args = ["{{n}}"]
        at = [1, 2.5]
        [[clients]]
        call = "{NAME}:add_one"
        every = 2
        begin = 1
        count = 3
        [[clients]]
        publish = "{NAME}:Ordered"
        fields = {{order = "o-{{n}}", items = [{{name = "pen"}}]}}
        rate = 1
        """
    ) as sim:
        assert sorted(sim.peek("counter").numbers) == [0, 1, 100, 101, 102]
        orders = sim.peek("/counters/desk").orders
        assert [order.order for order in orders] == [f"o-{n}" for n in range(len(orders))]
        assert orders[0].items == [Item("pen")]
        assert sim.world.client_events == 5 + len(orders)


def test_arrivals_at_a_rate_are_those_of_the_seed_and_of_the_shape():
    def times(seed, more):
        text = f'until = 20\n[[clients]]\ncast = "add"\nto = "counter"\nargs = ["{{n}}"]\n{more}'
        with after(text, seed) as sim:
            assert sim.peek("counter").numbers == list(range(sim.world.client_events))
            return sim.world.client_events

    assert times(3, "rate = 50") == times(3, "rate = 50") != times(4, "rate = 50")
    assert 800 < times(3, "rate = 50") < 1_200
    assert times(3, 'rate = 5\nshape = "steady"') == 100
    assert times(3, 'rate = 5\nshape = "steady"\nuntil = 10\ncount = 20') == 20
    assert times(3, "trace = [100, 101, 103.5]") == 3
    assert times(3, 'rate = 5\nshape = "burst"\nsize = 7\ncount = 70') == 70


def test_numbers_of_events_are_filled_in():
    assert filled({"a": ["{n}", "x-{n}", 1.5], "b": "{n}"}, 4) == {"a": [4, "x-4", 1.5], "b": 4}


def test_faults_links_chaos_and_nodes_are_those_of_the_file():
    with after(
        """
        until = 20
        nodes = 2
        [network]
        latency = [0.001, 0.2]
        [[links]]
        between = ["node 0", "node 1"]
        latency = 0.5
        [[faults]]
        at = 3
        kind = "crash"
        target = "node 1"
        down = 2
        [[faults]]
        at = 4
        kind = "partition"
        one = "node 0"
        other = "node 1"
        heal = 3
        both = false
        [[faults]]
        at = 5
        kind = "disk_full"
        heal = 1
        [chaos]
        rate = 0.5
        kinds = ["pause"]
        targets = ["node 0"]
        """
    ) as sim:
        words = [str(fault) for fault in sim.faults]
        assert {"crash of node 1 at 3 s", "partition node 0 -> node 1 at 4 s", "disk full at 5 s"} <= set(words)
        assert any(word.startswith("pause of node 0") for word in words)
        assert sim.world.network.standard.latency == (0.001, 0.2)
        assert len(sim.nodes) == 2
        assert all(node.is_up for node in sim.nodes)


def test_a_stub_stands_for_a_function_by_name_with_a_fake_or_an_answer():
    for fake, answer in ((f'fake = "{NAME}:fake_outside"', -7), ("returns = 12", 12)):
        own = af.App("counters").add(call_outside).queue("calls", workers=1)
        scenario = parse_scenario(f'[[stubs]]\ntarget = "{NAME}:outside"\n{fake}\nlatency = [0.1, 0.2]')
        with Simulation() as sim:
            system = sim.start(own)
            scenario.declare(sim, own, system)
            job = system.queue("calls").enqueue(call_outside, 7)
            sim.run(until=2)
            assert job.result() == answer


def test_checks_take_the_simulation_or_nothing():
    text = f"""
    [[clients]]
    cast = "add"
    to = "counter"
    args = [1]
    at = [1, 2, 3]
    [[checks]]
    always = "{NAME}:few"
    [[checks]]
    eventually = "{NAME}:three"
    within = 5
    name = "all three came"
    [[checks]]
    sometimes = "{NAME}:never"
    """
    with after(text) as sim:
        assert sim.met == {"sometimes 'never'": False}
    with pytest.raises(af.ActorflowError, match=r"^'few' does not hold at 4 s"):
        after(text.replace("[1, 2, 3]", "[1, 2, 3, 4]"))


def test_a_client_whose_node_is_down_has_bad_luck():
    with after(
        """
        until = 10
        [[faults]]
        at = 1
        kind = "crash"
        target = "node 0"
        down = 2
        [[clients]]
        cast = "add"
        to = "counter"
        args = ["{n}"]
        at = [0.5, 2, 5]
        """
    ) as sim:
        assert sim.peek("counter").numbers == [2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("until = 0", "s.toml, line 1: until = 0: give virtual seconds, more than 0"),
        ("\nuntl = 3", "s.toml, line 2: unknown key 'untl'; did you mean 'until'?"),
        ("runs = 1.5", "s.toml, line 1: runs = 1.5: give a whole number, 1 or more"),
        ("nodes = 101", "from 1 to 100"),
        ('hosts = "all"', "give 'each' or 'one'"),
        ("until = ", "s.toml is no TOML"),
        ("until = " + 5000 * "[", "s.toml cannot be read: it is nested too deep"),
        (f"[[clients]]\ncall = '{NAME}:ring'\nat = []", "line 3, [[clients]] 1: at = []: give virtual seconds"),
        ("chaos = 3", "'chaos' is a table: write [chaos] above its keys"),
        ("faults = 3", "'faults' is a list of tables: write [[faults]]"),
        ("[chaos]\nrate = 0", "s.toml, line 1, [chaos]: chaos(rate=0)"),
        ("[chaos]\nrate = 1\nkinds = ['crsh']", "did you mean crash?"),
        ("[network]\nlatncy = 1", "s.toml, line 2, [network]: unknown key 'latncy'; did you mean 'latency'?"),
        ("[network]\nlatency = -1", "s.toml, line 1, [network]: Link(latency=-1)"),
        ("[network]\nlatency = 'x'", "Link(latency='x')"),
        ("[[links]]\nlatency = 1", "between = None: give the names of two actors"),
        (
            "[[links]]\nbetween = ['conter', 'desk']",
            "[[links]] 1: no actor of the simulation is conter; did you",
        ),
        ("[[faults]]\nat = 1", "'kind' is missing; there are: crash, pause"),
        (
            "[[faults]]\nat = 1\nkind = 'crash'\ntarget = 'desk'\n[[faults]]\nat = 1\nkind = 'crsh'",
            "s.toml, line 7, [[faults]] 2: unknown fault 'crsh'; did you mean 'crash'?",
        ),
        ("[[faults]]\nat = 1\nkind = 'crash'", "'target' is missing; its keys are: target, down"),
        ("[[faults]]\nat = 1\nkind = 'crash'\ntarget = 3", "line 4, [[faults]] 1: target = 3: give the name"),
        ("[[faults]]\nat = 1\nkind = 'crash'\ntarget = 'countr'", "is countr; did you mean counter?"),
        ("[[faults]]\nat = 1\nkind = 'crash'\ntarget = 'node 1'", "there is no node 1: the scenario has 1 nodes"),
        ("[[faults]]\nat = 'x'\nkind = 'busy'\nheal = 1", "line 2, [[faults]] 1: at = 'x': give virtual seconds"),
        ("[[faults]]\nat = 60\nkind = 'busy'\nheal = 1", "line 2, [[faults]] 1: at = 60: the run ends at 60 s"),
        ("[[faults]]\nat = -1\nkind = 'busy'\nheal = 1", "at(-1): give virtual seconds, 0 or more"),
        ("[[faults]]\nat = 1\nkind = 'busy'\nheal = -1", "heal=-1"),
        ("[[faults]]\nat = 1\nkind = 'crash'\ntarget = 'desk'\nheal = 1", "unknown key 'heal'"),
        (
            "[[faults]]\nat = 1\nkind = 'partition'\none = 'desk'\nother = 'counter'\nheal = 1\nboth = 'no'",
            "line 7, [[faults]] 1: both = 'no': give true or false",
        ),
        (
            f"[[stubs]]\ntarget = '{NAME}:outsid'\nreturns = 1",
            f"module '{NAME}' has no 'outsid'; did you mean 'outside'",
        ),
        (f"[[stubs]]\ntarget = '{NAME}:outside'\nreturns = 1\nfail = 2", "fail=2"),
        (f"[[stubs]]\ntarget = '{NAME}:outside'", "'fake' is missing"),
        (f"[[stubs]]\ntarget = '{NAME}:outside'\nfake = '{NAME}:ring'\nreturns = 1", "give 'fake' or 'returns'"),
        (f"[[checks]]\nalways = '{NAME}:fw'", "line 2, [[checks]] 1: module 'tests.sim.counters' has no 'fw'; did"),
        (f"[[checks]]\nalways = '{NAME}:broken'", "line 2, [[checks]] 1: the check 'broken' raises AttributeError"),
        (
            f"[[checks]]\nalways = '{NAME}:fake_outside'\nsometimes = '{NAME}:few'",
            "give one of always, eventually, some",
        ),
        (f"[[checks]]\nalways = '{NAME}:few'\nwithin = 3", "'within' goes with 'eventually'"),
        (f"[[checks]]\neventually = '{NAME}:few'\nwithin = -3", "line 3, [[checks]] 1: within=-3"),
        (f"[[checks]]\nalways = '{NAME}:add_one'", "line 2, [[checks]] 1: add_one needs more than 1 argument"),
        ("[[checks]]\nalways = 'few'", "always = 'few': give a function as 'module:name'"),
        ("[[checks]]\nalways = 3", "always = 3: give a function as 'module:name'"),
        ("[[clients]]\nat = 1", "give one of call, cast, publish: what the client does"),
        (f"[[clients]]\ncall = '{NAME}:ring'", "give one of at, every, rate"),
        (f"[[clients]]\ncall = '{NAME}:ring'\nat = 1\nrate = 2", "give one of at, every, rate"),
        (f"[[clients]]\ncall = '{NAME}:ring'\nrate = 2\nshape = 'brst'", "Clients(shape='brst')"),
        (f"[[costs]]\nof = '{NAME}:Counter.add'", "give one of seconds, exponential"),
        (f"[[costs]]\nof = '{NAME}:Counter.ad'\nseconds = 1", "line 2, [[costs]] 1: tests.sim.counters:Counter has no"),
        (f"[[costs]]\nof = '{NAME}:Counter.add'\nseconds = -1", "line 3, [[costs]] 1: "),
        (f"[[costs]]\nof = '{NAME}:Counter.add'\nlognormal = 1", "line 3, [[costs]] 1: "),
        ("cores = 0", "cores = 0: give a whole number, 1 or more"),
        (f"[[clients]]\ncall = '{NAME}:ring'\nat = -1", "line 3, [[clients]] 1: at = -1"),
        (f"[[clients]]\ncall = '{NAME}:ring'\nat = [1, 61]", "line 3, [[clients]] 1: at = 61: the run ends at 60 s"),
        (f"[[clients]]\ncall = '{NAME}:ring'\nevery = 70", "line 3, [[clients]] 1: the first of them comes at 70 s"),
        (
            f"[[clients]]\ncall = '{NAME}:ring'\nrate = 1\nbegin = 70\nuntil = 80",
            "[[clients]] 1: the first of them comes at 70 s; the run ends at 60 s",
        ),
        (f"[[clients]]\ncall = '{NAME}:ring'\nrate = 0", "line 3, [[clients]] 1: Clients(rate=0): give requests a"),
        (f"[[clients]]\ncall = '{NAME}:ring'\nrate = 1\ncount = 0", "Clients(count=0)"),
        (f"[[clients]]\ncall = '{NAME}:ring'\nat = 1\ncount = 2", "'count' does not go with 'at'"),
        (f"[[clients]]\ncall = '{NAME}:ring'\nat = 1\nto = 'desk'", "'to' does not go with 'call'"),
        (
            "[[clients]]\ncast = 'add'\nto = 'cuonter'\nat = 1",
            "line 3, [[clients]] 1: no actor of the simulation is cuon",
        ),
        ("[[clients]]\ncast = 'sub'\nto = 'counter'\nat = 1", "Counter has no method 'sub'"),
        ("[[clients]]\ncast = 'add'\nat = 1", "'to' is missing"),
        (f"[[clients]]\npublish = '{NAME}:Ordered'\nat = 1", "missing required field `order`"),
        (f"[[clients]]\npublish = '{NAME}:Ordered'\nfields = {{order = 3}}\nat = 1", "Expected `str`, got `int`"),
    ],
)
def test_a_mistake_is_refused_before_a_run_with_its_place(text, words):
    assert words in refusal(text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(af.DefinitionError, match=r"scenario .* cannot be read"):
            read_scenario(path)


def test_a_file_may_begin_with_the_mark_that_some_editors_write(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_text("until = 7", encoding="utf-8-sig")
    assert read_scenario(path).until == 7


def test_a_mistake_has_its_place_once():
    words = refusal(f"[[clients]]\npublish = '{NAME}:Ordered'\nat = 1")
    assert words.count("s.toml") == 1


def test_an_actor_is_peeked_by_ref_class_name_or_path_and_is_none_while_its_node_is_down():
    with Simulation() as sim:
        counter = sim.start(app).find("/counters/counter", Counter)
        for name in (counter, Counter, "counter", "/counters/counter"):
            assert sim.peek(name) is sim.peek(counter)
        with pytest.raises(af.DefinitionError, match=r"no actor of the simulation is conter; did you mean counter\?"):
            sim.peek("conter")
        sim.at(1).crash(sim.nodes[0], down=5)
        sim.run(until=2)
        assert sim.peek("counter") is None
        sim.run(until=10)
        assert sim.peek("counter").numbers == []


def test_a_ref_goes_on_with_the_actor_of_its_path_once_its_node_has_started_again():
    with Simulation() as sim:
        counter = sim.start(app, nodes=2).find("/counters/counter", Counter)
        other = sim.nodes[1].system.find("/counters/counter", Counter)
        looks = []
        sim.always(lambda: looks.append((sim.world.clock.now, sim.peek(counter), sim.nodes[0].is_up)))
        before = sim.peek(counter), sim.peek(other)
        sim.at(1).crash(sim.nodes[0], down=5)
        sim.at(8).crash(counter)  # by the old ref, too
        sim.run(until=10)
        assert {(at is None, is_up) for time, at, is_up in looks if 1 < time < 6} <= {(True, False)}
        assert sim.peek(counter) is not before[0]
        assert sim.peek(counter) is sim.peek(sim.nodes[0].system.find("/counters/counter", Counter))
        assert sim.peek(other) is before[1]
        assert all(is_met for name, is_met in sim.met.items() if "crash" in name)


def test_an_actor_that_is_dead_for_good_and_one_that_starts_again_are_told_from_each_other():
    patient = app_of_one(Counter, backoff=af.Backoff(2))
    with Simulation() as sim:
        counter = sim.start(patient).find("/one/it", Counter)
        sim.at(1).crash(counter)
        sim.run(until=2)
        assert (sim.peek(counter), counter.is_alive()) == (None, True)
        sim.run(until=5)
        assert sim.peek(counter) is not None
        counter.stop()
        assert (sim.peek(counter), counter.is_alive()) == (None, False)


def app_of_one(cls, **options):
    return af.App("one").add(af.child(cls).options(name="it", **options))


def test_a_name_of_several_actors_is_refused_with_their_nodes():
    with Simulation() as sim:
        sim.start(app, nodes=2)
        with pytest.raises(af.DefinitionError, match=r"several actors: .*counter \(node 0\), .*counter \(node 1\)"):
            sim.peek("counter")


def test_an_app_says_itself_what_happens_in_a_run():
    own = af.App("counters").add(af.child(Counter).options(name="counter"))

    @own.scenario
    def one_message(sim, system):
        sim.at(1).call(lambda: system.find("/counters/counter", Counter).cast(Counter.add, 1))

    with Simulation() as sim:
        system = sim.start(own)
        Scenario(until=5).declare(sim, own, system)
        sim.run(until=5)
        assert sim.peek("counter").numbers == [1]
    with pytest.raises(af.DefinitionError, match="has a scenario already"):
        own.scenario(one_message)
    for wrong, words in (
        (3, "give a plain function"),
        (lambda: None, "is called as scenario"),
        (run_it, "give a plain"),
    ):
        with pytest.raises(af.DefinitionError, match=words):
            af.App("other").scenario(wrong)


async def run_it(sim, system): ...
