"""Promises: calls in a simulation are noted with their outcome; one whose outcome nobody knows stays open."""

import pytest

import actorflow as af
from actorflow.errors import DefinitionError
from actorflow.sim import Link, Simulation, SimulationFailure, simulate
from actorflow.sim.history import OperationHistory, RegisterModel, check_linearizable


class NoSuchRow(Exception):
    """A refusal."""


class Cell(af.Actor):
    """A register; one that is `cached` answers reads by a copy, which writes reach late."""

    def __init__(self, *, cached=False):
        super().__init__()
        self.cached, self.value, self.copy = cached, 0, 0

    def read(self):
        return self.copy if self.cached else self.value

    def write(self, value):
        self.value = value
        self.ctx.after(0.5, self.refresh)

    def refresh(self):
        self.copy = self.value

    def slow(self, value):
        self.ctx.sleep(5)
        self.value = value

    def refuse(self):
        raise NoSuchRow

    def fail(self):
        raise ValueError


class Table(af.Actor):
    """Has rows."""

    def put(self, key, value):
        pass


def begin(sim, **options):
    cell = sim.start(af.App("cell").add(af.child(Cell, **options).options(name="cell"))).find("/cell/cell", Cell)
    sim.network(Link(latency=(0.001, 0.1)))
    return cell


def use(sim, cell):
    """Have two clients write and read at any time."""
    history = OperationHistory()
    one, other = history.client("one"), history.client("other")
    for i in range(8):
        sim.at(i * 0.2).call(lambda i=i: one.call(cell, Cell.write, i))
        sim.at(i * 0.2 + 0.1).call(lambda: other.call(cell, Cell.read))
    sim.run(until=20)
    assert len(history) == len([operation for operation in history if not operation.is_open])
    return history


def test_a_register_is_linearizable_and_one_with_a_stale_copy_is_found():
    def body(sim, *, cached):
        check_linearizable(use(sim, begin(sim, cached=cached)), RegisterModel(0))

    for seed in range(5):
        with Simulation(seed) as sim:
            body(sim, cached=False)
    with pytest.raises(SimulationFailure) as caught:
        simulate(runs=50, tapes=None)(lambda sim: body(sim, cached=True))()
    assert caught.value.property == "linearizable register"
    assert "2 of 16 client events" in caught.value.scenario


def test_a_call_to_a_host_that_dies_stays_open_and_refusals_have_failed():
    with Simulation() as sim:
        cell, history = begin(sim), OperationHistory()
        client = history.client("c", key="k", refused=(NoSuchRow,))
        for method in (Cell.refuse, Cell.fail):
            sim.at(1).call(lambda method=method: client.call(cell, method))
        sim.at(2).call(lambda: client.call(cell, Cell.slow, 7))
        sim.at(4).crash(Cell)
        sim.run(until=20)
        refused, failed, slow = history
        assert refused.is_failed
        assert failed.is_open
        assert slow.is_open
        assert repr(slow) == "slow(7) open by c at 2 s"
        assert (slow.key, slow.process, slow.args) == ("k", "c", (7,))


class Careful(af.Actor):
    """Notes its own operations in a history that its test shares with it."""

    def __init__(self, history):
        super().__init__()
        self.history = history

    def ask(self, cell):
        operation = self.history.invoke("write", 3, process=self.actor_ref.name)
        cell.call(Cell.write, 3).get(timeout=9)
        operation.returned()


def test_handlers_on_other_hosts_share_the_history_of_their_test():
    with Simulation() as sim:
        history = OperationHistory()
        app = af.App("cell").add(
            af.child(Cell).options(name="cell"), af.child(Careful, history).options(name="careful")
        )
        system = sim.start(app)
        system.find("/cell/careful", Careful).cast(Careful.ask, system.find("/cell/cell", Cell))
        sim.run(until=9)
        assert [operation.is_open for operation in history] == [False]


def test_arguments_by_name_are_noted_in_the_order_of_the_methods_parameters():
    with Simulation() as sim:
        table = sim.start(af.App("cell").add(af.child(Table).options(name="table"))).find("/cell/table", Table)
        history = OperationHistory()
        history.client("one").call(table, Table.put, value=3, key="a").get(timeout=5)
        history.client("one").call(table, Table.put, "a", value=4).get(timeout=5)
    assert [operation.args for operation in history] == [("a", 3), ("a", 4)]


def test_an_operation_ends_once():
    operation = OperationHistory().invoke("read")
    operation.returned(1)
    operation.failed()
    operation.returned(2)
    assert (operation.result, operation.is_failed) == (1, False)


def test_an_operation_has_a_name():
    for name in ("", None):
        with pytest.raises(DefinitionError, match="give the name of an operation"):
            OperationHistory().invoke(name)


def test_a_call_of_a_method_that_is_none_notes_nothing():
    with Simulation() as sim:
        cell, history = begin(sim), OperationHistory()
        with pytest.raises(DefinitionError):
            history.client().call(cell, Careful.ask, cell)
        assert not history.operations
        sim.run(until=1)
