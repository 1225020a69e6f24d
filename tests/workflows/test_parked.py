"""Promises: a parked run is tried again by each new definition of its workflow, once, and is in nobody's way."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.store.codec import encode
from actorflow.testing import LeakCheck, VirtualSystem
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import PARKED
from actorflow.workflows.workflow import WORKFLOWS, Workflow
from tests.workflows.bodies import Approved, boom, number

LOADS: list[str] = []


def first() -> list[object]:
    """A step, and a signal."""
    LOADS.append("first")
    return [number(1), af.wait(Approved).name]


def wrong() -> list[object]:
    """Another step in its place."""
    LOADS.append("wrong")
    boom("wrong")
    return []


def right() -> list[object]:
    """The same step, and more."""
    LOADS.append("right")
    return [number(1), af.wait(Approved).name, "right"]


def define(function, name="parked.flow") -> Workflow:
    """Have a definition of a workflow take the place of the one before, as a deployment of new code does."""
    WORKFLOWS.pop(name, None)
    return Workflow(function, name=name)


@pytest.fixture
def store():
    LOADS.clear()
    with LeakCheck(), af.open_store() as opened:
        yield opened
    WORKFLOWS.pop("parked.flow", None)


SOURCE = """
def flow(word):
    def inner(n):
        return [n for n in (1, 2) if word in {ORDER}]
    return word in {ORDER} or inner(lambda: RESULT)
"""


def compiled(order: str, result: str) -> str:
    """Return the hash of a workflow whose code is made anew, as it is in each process."""
    names: dict[str, object] = {"__name__": "parked"}
    exec(SOURCE.replace("ORDER", order).replace("RESULT", result), names)
    try:
        return define(names["flow"], "parked.flow").hash
    finally:
        WORKFLOWS.pop("parked.flow")


def test_the_hash_of_a_definition_is_the_same_in_each_process_that_has_its_code():
    assert repr(frozenset([8, 0])) != repr(frozenset([0, 8]))  # as sets of texts have another order in each process
    hashes = {compiled(order, "1") for order in ("0, 8", "8, 0") for _ in range(3)}
    assert len(hashes) == 1
    assert compiled("0, 8", "2") not in hashes  # the code of an inner function counts


def begun(store, ids) -> None:
    """Start runs that wait for a signal, and stop."""
    flow = define(first)
    with VirtualSystem(store=store) as system:
        for name in ids:
            system.start(flow.options(id=name))
        system.sleep(5)


def row(store, name):
    return store.read(lambda tx: tx.one("runs.get", {"name": name}))


def misfits(store) -> list[str]:
    values = {"workflow": "parked.flow", "misfit": ",none,"}
    return [one for (one,) in store.read(lambda tx: tx.all("runs.misfits", values))]


def test_a_parked_run_goes_on_by_itself_once_a_definition_comes_that_fits(store):
    begun(store, ["a", "b"])
    bad = define(wrong)
    with VirtualSystem(store=store) as system:
        for name in "ab":
            system.get_run(name).signal(Approved("ann"))
        system.sleep(5)
        assert [system.get_run(name).status for name in "ab"] == ["parked"] * 2
        assert misfits(store) == [f",{bad.hash},"]
    with VirtualSystem(store=store) as system:
        system.get_run("a")  # from now on runs are looked for
        system.sleep(100)
        assert LOADS.count("wrong") == 2  # the same definition, in another process, has them in peace
    define(right)
    with VirtualSystem(store=store) as system:
        for name in "ab":
            assert system.get_run(name).result(timeout=60) == [[1], "ann", "right"]


def test_a_definition_that_comes_while_the_process_is_at_work_tries_them_at_its_next_look(store):
    begun(store, ["a"])
    define(wrong)
    with VirtualSystem(store=store) as system:
        run = system.get_run("a")
        run.signal(Approved("ann"))
        system.sleep(5)
        assert run.status == "parked"
        define(right)
        system.run_node.look()
        assert run.result(timeout=60) == [[1], "ann", "right"]


def test_each_definition_tries_a_run_once_and_the_list_of_them_has_a_bound(store, monkeypatch):
    begun(store, ["a"])
    tries = 70
    for n in range(tries):
        monkeypatch.setattr(Workflow, "hash", f"{n:016x}")
        define(wrong)
        with VirtualSystem(store=store) as system:
            run = system.get_run("a")
            if not n:
                run.signal(Approved("ann"))
            system.sleep(5)
            assert run.status == "parked"
    assert LOADS.count("wrong") == tries
    assert misfits(store) == ["".join(f",{n:016x}," for n in range(tries - 64, tries))]


def test_a_paused_run_stays_paused_when_new_code_comes(store):
    begun(store, ["a"])
    define(wrong)
    with VirtualSystem(store=store) as system:
        run = system.get_run("a")
        run.signal(Approved("ann"))
        system.sleep(5)
        run.pause()
        assert run.status == "paused"
    define(right)
    with VirtualSystem(store=store) as system:
        run = system.get_run("a")
        system.sleep(100)
        assert run.status == "paused"
        run.resume()
        assert run.result(timeout=60) == [[1], "ann", "right"]


def test_all_of_many_parked_runs_are_tried(store):
    flow = define(first)
    count = 3 * ledger.PART + 5

    def put(transaction) -> None:
        for n in range(count):
            run = ledger.add(transaction, ledger.NewRun(f"r{n}", flow.name, encode([[], {}])), 1.0, "dead")
            ledger.let_go(transaction, run, "dead", PARKED, "parked", misfit=f"old{n % 3}")

    store.write(put)
    with VirtualSystem(store=store) as system:
        system.get_run("r0")  # from now on runs are looked for
        system.sleep(60)
        assert system.runs(flow).count() == {"running": count}
        assert LOADS.count("first") == count


def test_parked_runs_in_front_are_not_tried_with_a_new_one(store):
    flow = define(first)
    seen: list[str] = []

    def put(transaction) -> None:
        for n in range(300):
            run = ledger.add(transaction, ledger.NewRun(f"r{n}", flow.name, encode([[], {}])), 1.0, "dead")
            ledger.let_go(transaction, run, "dead", PARKED, "parked", misfit=flow.hash)

    store.write(put)
    with VirtualSystem(store=store) as system:
        system.subscribe(af.RunEvent, lambda event: seen.append(event.kind))
        run = system.start(flow.options(id="new"))
        run.signal(Approved("ann"))
        assert run.result(timeout=60) == [[1], "ann"]
        assert system.runs(flow, status="parked").count() == {"parked": 300}
        assert "parked" not in seen
    assert LOADS == ["first"]
