"""Stored runs: lists, counts, and how long runs and their ids are kept."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from actorflow.workflows.rows import keeping
from tests.workflows.bodies import Approved, boom, number

DAY = 86_400.0


@af.workflow
def sums(n: int) -> int:
    """Some steps."""
    return sum(number(k)[0] for k in range(n))


@af.workflow
def fails() -> None:
    """Fail."""
    boom("no")


@af.workflow
def waits() -> str:
    """Wait for a signal."""
    return af.wait(Approved).name


def test_runs_are_listed_and_counted_by_workflow_and_status() -> None:
    with VirtualSystem("test", seed=1) as system:
        for n in range(3):
            system.start(sums.options(id=f"sum-{n}"), n).result()
        with pytest.raises(af.RunFailed):
            system.start(fails.options(id="bad")).result()
        system.start(waits.options(id="open"))
        system.sleep(1)
        assert [info.id for info in system.runs()] == ["open", "bad", "sum-2", "sum-1", "sum-0"]
        assert [info.id for info in system.runs(sums).list(limit=1)] == ["sum-2"]
        assert [info.id for info in system.runs(sums).list(before="sum-1")] == ["sum-0"]
        assert [info.status for info in system.runs(fails.name)] == ["failed"]
        assert [info.id for info in system.runs(status="running")] == ["open"]
        assert system.runs().count() == {"completed": 3, "failed": 1, "running": 1}
        assert system.runs(sums).count() == {"completed": 3}
        with pytest.raises(af.DefinitionError, match="status"):
            system.runs(status="done")
        with pytest.raises(af.DefinitionError, match="there is no run nobody"):
            system.runs().list(before="nobody")


def rows_of(system: af.ActorSystem, name: str) -> int:
    row = system.store.read(lambda tx: tx.one("runs.get", {"name": name}))
    return 0 if row is None else len(system.store.read(lambda tx: tx.all("runs.records", {"run": row[0]})))


def test_a_run_is_removed_after_its_time_and_its_id_is_known_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PART", 4)
    with VirtualSystem("test", seed=1) as system:
        run = system.start(sums.options(id="old"), 10)
        assert run.result() == 45
        assert rows_of(system, "old") == 10
        system.start(waits.options(id="open"))
        system.sleep(31 * DAY)
        system.start(sums.options(id="new"), 1).result()  # work has old runs removed
        system.sleep(1)
        assert [info.id for info in system.runs()] == ["new", "open"]
        assert rows_of(system, "old") == 0
        with pytest.raises(af.DefinitionError, match="removed after its time"):
            run.result()
        with pytest.raises(af.DefinitionError, match="removed after its time"):
            print(run.history)
        with pytest.raises(af.DefinitionError, match="removed after its time"):
            run.signal("late")
        assert system.start(sums.options(id="old"), 10).id == "old"  # the same run: it is not begun again
        with pytest.raises(af.DefinitionError, match="other arguments"):
            system.start(sums.options(id="old"), 11)
        system.sleep(91 * DAY)
        system.start(sums.options(id="newest"), 1).result()
        system.sleep(1)
        assert system.start(sums.options(id="old"), 2).result() == 1


def test_the_times_for_which_runs_are_kept_are_settings() -> None:
    settings = af.Settings(keep_runs=5, keep_run_ids=0)
    with VirtualSystem("test", seed=1, settings=settings) as system:
        system.start(sums.options(id="old"), 1).result()
        system.sleep(3)
        assert system.runs().prune() == 0
        system.sleep(3)
        assert system.runs().prune(keep_ids=0) > 0
        assert system.runs().count() == {}
        assert system.start(sums.options(id="old"), 2).result() == 1
    with pytest.raises(af.DefinitionError, match="keep_runs"):
        af.Settings(keep_runs=-1)


def test_a_run_that_nobody_began_is_cancelled_at_once() -> None:
    with VirtualSystem("test", seed=1) as system:
        system.workflows = frozenset()
        run = system.start(sums.options(id="run"), 1)
        assert run.status == "queued"
        assert run.cancel() is True
        assert run.status == "cancelled"
        assert run.cancel() is False
