"""Promises: a simulated run of an app: its network, its faults, its checks; and a seed that repeats it."""

import os
import subprocess
import sys
from functools import partial

import pytest

import actorflow as af
from actorflow.core.messages.ref_table import REFS
from actorflow.sim import Link, Simulation, SimulationFailure, simulate
from actorflow.sim.calls import called
from actorflow.sim.choices.tape import Tape
from actorflow.testing import LeakCheck
from tests.sim.shop import Bank, Payments, Shop, app_of, trade


@pytest.fixture(autouse=True)
def nothing_is_left():
    with LeakCheck():
        yield


class Box(af.Actor):
    """Keeps what it gets, and when."""

    def __init__(self):
        super().__init__()
        self.got = []

    def on_receive(self, message):
        self.got.append((self.ctx.now() - 1_600_000_000, message))
        return message


class Sender(af.Actor):
    """Sends, and asks."""

    def __init__(self):
        super().__init__()
        self.answers = []

    def send(self, to, *messages):
        for message in messages:
            to.tell(message)

    def ask(self, to, message, timeout=None):
        try:
            self.answers.append(to.ask(message, timeout=timeout))
        except af.ActorflowError as error:
            self.answers.append(type(error))

    def clean(self, to, notes):
        try:
            to.ask("never", timeout=100)
        finally:
            notes.append("cleaned up")


class Silent(af.Actor):
    """Never answers."""

    def on_receive(self, message):
        self.kept = self.ctx.reply_later()


def pair():
    return af.App("demo").add(
        af.child(Box).options(name="box"),
        af.child(Sender).options(name="sender"),
        af.child(Silent).options(name="silent"),
    )


def started(sim, app=None, **options):
    system = sim.start(app or pair(), **options)
    return system, *(system.find(f"/demo/{name}") for name in ("box", "sender", "silent"))


def test_messages_of_another_host_take_the_time_of_the_link_and_keep_their_order():
    with Simulation(seed=5) as sim:
        _, box, sender, _ = started(sim)
        sim.network(Link(latency=(0.1, 0.9)))
        sender.cast(Sender.send, box, *range(20))
        sim.run(until=5)
        times, got = zip(*sim.peek(box).got, strict=True)
        assert got == tuple(range(20))
        assert 0.1 <= times[0] <= 0.9
        assert len(set(times)) > 1


def test_actors_of_one_host_do_not_need_the_network():
    with Simulation(seed=5) as sim:
        _, box, sender, _ = started(sim, hosts="one")
        sim.network(Link(latency=9))
        sender.cast(Sender.send, box, 1)
        sim.run(until=1)
        assert [message for _, message in sim.peek(box).got] == [1]


def test_bandwidth_delays_by_the_size_of_messages():
    with Simulation() as sim:
        _, box, sender, _ = started(sim)
        sim.network(Link(bandwidth=1000))
        sender.cast(Sender.send, box, b"x" * 5000, "late")
        sim.run(until=60)
        assert [time > 5 for time, _ in sim.peek(box).got] == [True, True]


def test_a_partition_holds_messages_and_answers_until_it_heals():
    with Simulation(seed=1) as sim:
        _, box, sender, _ = started(sim)
        sim.at(1).partition(Sender, Box, heal=4)
        sim.at(2).call(lambda: sender.cast(Sender.send, box, "a", "b"))
        sim.run(until=10)
        assert sim.peek(box).got == [(5.0, "a"), (5.0, "b")]


def test_a_partition_of_one_direction_holds_the_other_not():
    with Simulation() as sim:
        _, box, sender, _ = started(sim)
        sim.at(1).partition(Box, Sender, heal=4, both=False)
        sim.at(2).call(lambda: sender.cast(Sender.ask, box, "a"))
        sim.run(until=3)
        assert sim.peek(box).got == [(2.0, "a")]
        assert sim.peek(sender).answers == []
        sim.run(until=6)
        assert sim.peek(sender).answers == ["a"]


def test_a_crash_loses_memory_and_mailbox_and_the_supervisor_restarts_the_actor():
    with Simulation() as sim:
        _, box, sender, _ = started(sim)
        sim.network(Link(latency=0.5))
        sim.at(1).crash(Box, down=2)
        sender.cast(Sender.send, box, "before")
        sim.at(0.8).call(lambda: sender.cast(Sender.ask, box, "under way"))
        sim.at(2).call(lambda: sender.cast(Sender.ask, box, "while it is down"))
        sim.run(until=10)
        assert sim.peek(box).got == [(3.0, "while it is down")]
        assert sim.peek(sender).answers == [af.HostDied, "while it is down"]


@pytest.mark.parametrize(("first", "second", "back"), [(2, 1, 3.0), (0.5, 3, 4.5), (5, 1, 6.0)])
def test_a_host_that_crashes_while_it_is_down_is_down_for_the_longer_time_and_is_restarted_once(first, second, back):
    restarts = []
    with Simulation() as sim:
        system, box, sender, _ = started(sim)
        system.subscribe(af.Restarted, lambda event: restarts.append(sim.world.clock.now))
        sim.at(1).crash(Box, down=first)
        sim.at(1.5 if first < 1 else 2).crash(Box, down=second)
        sim.at(2.2).call(lambda: sender.cast(Sender.ask, box, "while it is down"))
        sim.run(until=10)
        assert sim.peek(box).got == [(back, "while it is down")]
        assert restarts == [back]


def test_a_kill_runs_no_finally_before_the_last_check():
    notes, seen = [], []
    with Simulation() as sim:
        _, _, sender, silent = started(sim)
        sim.world.network.passages = []
        sim.at(0).call(lambda: sender._post(af.core.messages.messages.Call("clean", (silent, notes), {}), None, None))
        sim.at(1).crash(Sender, down=1)
        sim.run(until=10)
        seen.extend(notes)
    assert seen == []
    assert notes == ["cleaned up"]  # as its frame was ended, after the last check


def test_a_paused_host_runs_nothing_and_goes_on_with_what_came():
    with Simulation(seed=3) as sim:
        _, box, sender, _ = started(sim)
        sim.at(1).pause(Box, 5)
        sim.at(2).call(lambda: sender.cast(Sender.send, box, 1, 2))
        report = sim.run(until=10)
        assert sim.peek(box).got == [(6.0, 1), (6.0, 2)]
        assert report.faults == ["pause of Box at 1 s"]


def test_a_slow_host_takes_a_multiple_of_the_time():
    with Simulation() as sim:
        _, box, sender, _ = started(sim)
        sim.network(Link(latency=0.1))
        sim.at(0).slow(Box, 10, heal=5)
        sim.at(1).call(lambda: sender.cast(Sender.send, box, 1))
        sim.run(until=10)
        assert sim.peek(box).got == [(2.0, 1)]


def test_a_hostile_link_loses_and_doubles_and_an_honest_one_never():
    lost = doubled = 0
    for seed in range(20):
        for hostile in (True, False):
            with Simulation(seed) as sim:
                _, box, sender, _ = started(sim)
                sim.network(Link(latency=(0, 1), loss=0.3, duplicate=0.3, reorder=0.3, hostile=hostile))
                sender.cast(Sender.send, box, *range(10))
                sim.run(until=10)
                got = [message for _, message in sim.peek(box).got]
                if hostile:
                    lost += len(set(range(10)) - set(got))
                    doubled += len(got) - len(set(got))
                else:
                    assert got == list(range(10))
    assert lost
    assert doubled


def test_a_node_that_crashes_starts_again_without_its_memory():
    with Simulation() as sim:
        _, box, _, _ = started(sim, nodes=2)
        box.tell("kept until the crash")
        sim.at(1).crash(sim.nodes[0], down=2)
        sim.run(until=2)
        assert not sim.nodes[0].is_up
        sim.run(until=5)
        again = sim.nodes[0].system.find("/demo/box")
        assert sim.peek(again).got == []
        assert again != box
        assert sim.nodes[1].system.find("/demo/box") is not None


def test_the_same_seed_takes_the_same_steps_and_another_takes_others():
    def digest(seed):
        with Simulation(seed) as sim:
            trade(sim, careful=True)
            sim.at(0.7).pause(Payments, 0.5)
            return sim.run(until=30).digest

    assert digest(4) == digest(4)
    assert len({digest(seed) for seed in range(6)}) == 6


PROGRAM = """
from actorflow.sim import Simulation
from tests.sim.shop import trade
with Simulation(9) as sim:
    trade(sim, careful=True)
    print(sim.run(until=30).digest)
"""


def test_the_same_seed_takes_the_same_steps_in_other_processes():
    def digest(hash_seed):
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert len({digest(1), digest(1), digest(2)}) == 1


def test_a_bug_is_found_and_shrunk_to_one_order():
    @simulate(runs=50, tapes=None)
    def test(sim):
        trade(sim)
        sim.at(0.5).crash(Shop)
        sim.run(until=30)

    with pytest.raises(SimulationFailure, match="no double charge") as caught:
        test()
    text = str(caught.value)
    assert "1 of 20 client events, 0 of 1 faults" in text
    assert "sequenceDiagram" in text
    assert f"seed={caught.value.seed}" in text


def test_a_careful_shop_is_not_blamed():
    @simulate(runs=30)
    def test(sim):
        bank, _, _ = trade(sim, careful=True)
        sim.eventually(lambda: sim.peek(bank).charges.total() == 20, "all are charged", within=60)
        sim.run(until=10)

    test()


def test_a_tape_repeats_a_run_and_survives_a_file(tmp_path):
    def run(seed, tape=None):
        with Simulation(seed, tape=tape) as sim:
            trade(sim, careful=True)
            sim.run(until=20)
            return sim.chooser.tape(), sim.world.digest

    tape, digest = run(3)
    path = tmp_path / "a.json"
    path.write_text(tape.dumps())
    again, digest_again = run(0, Tape.read(path))
    assert digest_again == digest
    assert again.places() == tape.places()


def test_a_case_that_never_came_fails_the_test():
    @simulate(runs=5)
    def test(sim):
        trade(sim, careful=True)
        sim.sometimes(lambda: False, "a blue moon")
        sim.run(until=3)

    with pytest.raises(SimulationFailure, match="blue moon"):
        test()


def test_a_link_that_no_message_took_fails_the_test():
    @simulate(runs=5)
    def test(sim):
        started(sim)
        sim.network(Link(latency=1))
        sim.run(until=1)

    with pytest.raises(SimulationFailure, match="carried a message"):
        test()


def test_what_never_comes_to_hold_fails():
    with Simulation() as sim:
        _, box, _, _ = started(sim)
        sim.eventually(lambda: sim.peek(box).got, "something came", within=7)
        with pytest.raises(SimulationFailure, match="within 7 s"):
            sim.run(until=1)


def test_an_assertion_in_a_check_says_why():
    def check():
        assert sim.peek(box).got == [], "not empty"

    with Simulation() as sim:
        _, box, _, _ = started(sim)
        sim.always(check)
        box.tell(1)
        with pytest.raises(SimulationFailure, match="'check' does not hold at 0 s: not empty"):
            sim.run(until=1)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda sim: Simulation(-1), "seed"),
        (lambda sim: sim.start("app"), "App"),
        (lambda sim: sim.start(pair()), "started already"),
        (lambda sim: sim.at(-1), "seconds"),
        (lambda sim: sim.at(1).crash("bxo"), "did you mean"),
        (lambda sim: sim.at(1).crash(Bank), "no actor"),
        (lambda sim: sim.at(1).crash(Box, down="x"), "down"),
        (lambda sim: sim.at(1).partition(Box, Sender, heal=-1), "heal"),
        (lambda sim: sim.at(1).pause(Box, 0), "seconds=0: give virtual seconds, more than 0"),
        (lambda sim: sim.at(1).slow(Box, 2, heal=0), "heal=0: give virtual seconds, more than 0"),
        (lambda sim: sim.at(1).busy(heal=0), "heal=0: give virtual seconds, more than 0"),
        (lambda sim: sim.at(1).drop(Box, Sender, 2, heal=1), "part"),
        (lambda sim: sim.at(1).slow(Box, 0.5, heal=1), "factor"),
        (lambda sim: sim.at(1).call(3), "function"),
        (lambda sim: sim.network("fast"), "Link"),
        (lambda sim: Link(latency=(2, 1)), "latency"),
        (lambda sim: Link(loss=2), "loss"),
        (lambda sim: Link(bandwidth=0), "bandwidth"),
        (lambda sim: sim.always(3), "check"),
        (lambda sim: sim.eventually(bool, within=-1), "within"),
        (lambda sim: sim.peek(3), "ref"),
        (lambda sim: sim.run(until=float("nan")), "until"),
        (lambda sim: simulate(runs=0), "runs"),
        (lambda sim: simulate()(lambda: None), "Simulation"),
        (lambda sim: Tape.loads("{"), "tape"),
    ],
)
def test_bad_input_is_refused(act, words):
    with Simulation() as sim:
        started(sim)
        with pytest.raises(af.DefinitionError, match=words):
            act(sim)


def test_a_class_on_several_hosts_is_refused_with_their_names():
    app = af.App("demo").add(*(af.child(Box).options(name=f"box-{letter}") for letter in "ab"))
    with Simulation() as sim:
        sim.start(app)
        with pytest.raises(af.DefinitionError, match="/demo/box-a, /demo/box-b"):
            sim.at(1).crash(Box)


def test_the_call_of_a_client_is_told_by_the_names_of_its_arguments():
    with Simulation(seed=1) as sim:
        shop = sim.start(app_of()).find("/shop/shop")
        words = called(partial(shop.cast, Shop.order, 3, shop, by=Bank))
    assert words == "call of cast(Shop.order, 3, /shop/shop, by=Bank)"


def test_a_simulation_that_is_over_leaves_no_actor_in_the_registry():
    before = set(REFS.by_uid)
    with Simulation(seed=1) as sim:
        sim.start(pair(), nodes=2)
        sim.at(1).crash(sim.nodes[1])
        sim.run(until=2)
        assert set(REFS.by_uid) > before
    assert set(REFS.by_uid) == before
