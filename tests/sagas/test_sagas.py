"""Sagas: what is undone, in which order, and what a run of one tells."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.sagas.world import OUTSIDE, card, flight, hotel, mail, seat


@pytest.fixture(autouse=True)
def _outside_is_empty():
    OUTSIDE.clear()


@af.saga
def trip(name: str) -> list[str]:
    """Steps in a row."""
    one = seat(name)
    two = flight(name, one)
    three = hotel(name)
    return [one, two, three, card(90), mail(name)]


@af.saga
async def trip_async(name: str) -> list[str]:
    """The same, async."""
    one = await seat.submit(name)
    two = await flight.submit(name, one)
    three = await hotel.submit(name)
    return [one, two, three, await card.submit(90), await mail.submit(name)]


BOTH = pytest.mark.parametrize("saga", [trip, trip_async], ids=["plain", "async"])


@BOTH
def test_a_saga_that_comes_to_its_end_undoes_nothing(saga):
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga, "ann")
        keys = run.result()
        assert run.status == "completed"
        assert [step.status for step in run.steps] == ["completed"] * 5
    assert list(OUTSIDE.done) == keys
    assert not OUTSIDE.undone


@BOTH
@pytest.mark.parametrize("at", range(5))
def test_completed_steps_are_undone_newest_first(saga, at):
    names = ["seat", "flight", "hotel", "card", "mail"]
    OUTSIDE.clear(**{names[at]: ["raises"]})
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga, "ann")
        with pytest.raises(af.RunFailed, match=f"Boom: {names[at]}"):
            run.result()
        assert run.status == "compensated"
        undone = [step.name.rpartition(".")[2] for step in run.steps if step.branch == "undo"]
    cancels = ["free_seat", "cancel_flight", "cancel_hotel", "refund"]
    assert undone == cancels[:at][::-1]
    assert OUTSIDE.order == names[:at] + [f"-{name}" for name in names[:at][::-1] if name != "mail"]


@BOTH
def test_a_compensation_is_tried_again(saga):
    OUTSIDE.clear(card=["raises"], **{"undo hotel": ["raises", "raises", "ok"]})
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga, "ann")
        with pytest.raises(af.RunFailed, match="Boom: card"):
            run.result()
        assert [len(step.tries) for step in run.steps if step.branch == "undo"] == [2, 0, 0]
    assert OUTSIDE.order[3:] == ["-hotel", "-flight", "-seat"]


@BOTH
def test_a_saga_whose_compensation_never_works_is_stuck_until_it_is_retried(saga):
    OUTSIDE.clear(card=["raises"], **{"undo hotel": ["raises"]})
    with VirtualSystem("test", seed=1) as system:
        seen: list[str] = []
        system.subscribe(af.RunEvent, lambda event: seen.append(event.kind))
        run = system.start(saga, "ann")
        with pytest.raises(af.CompensationFailed, match=r"cancel_hotel, which undoes .*hotel, failed: .*retry"):
            run.result()
        assert run.status == "stuck"
        assert next(info.reason for info in system.runs(status="stuck")).count("Boom: undo hotel") == 1
        assert OUTSIDE.order == ["seat", "flight", "hotel"]
        OUTSIDE.fates.clear()
        run.retry()
        with pytest.raises(af.RunFailed, match="Boom: card"):
            run.result()
        assert run.status == "compensated"
        assert "stuck" in seen
    assert OUTSIDE.order == ["seat", "flight", "hotel", "-hotel", "-flight", "-seat"]
    assert set(OUTSIDE.undone.values()) == {1}


@BOTH
def test_a_compensation_that_never_works_may_be_skipped(saga):
    OUTSIDE.clear(card=["raises"], **{"undo hotel": ["raises"]})
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga, "ann")
        with pytest.raises(af.CompensationFailed):
            run.result()
        with pytest.raises(af.DefinitionError, match=r"no failed compensation 'refund', but .*cancel_hotel"):
            run.skip("by hand", step="refund")
        run.skip("by hand")
        with pytest.raises(af.RunFailed, match="Boom: card"):
            run.result()
        skipped = [step for step in run.steps if step.status == "skipped"]
        assert ["by hand" in str(step.error) for step in skipped] == [True]
        with pytest.raises(af.DefinitionError, match="is compensated"):
            run.skip("again")
    assert OUTSIDE.order == ["seat", "flight", "hotel", "-flight", "-seat"]
