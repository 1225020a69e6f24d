"""Promises: pivots, savepoints, steps that may have acted, cancels and deadlines, sagas in sagas, undone asks."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

import pytest

import actorflow as af
from actorflow.tasks.execution import Attempt
from actorflow.testing import VirtualSystem
from actorflow.workflows.node.runners import Runners
from tests.sagas.world import OUTSIDE, Boom, card, flight, hotel, seat

LOG: list[str] = []


@pytest.fixture(autouse=True)
def _outside_is_empty():
    OUTSIDE.clear()
    LOG.clear()


def ended(saga, *args, **options):
    """Run a saga to its end in virtual time; return its status, its error and its result."""
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga.options(id="run", **options), *args)
        try:
            value, error = run.result(), None
        except af.ActorflowError as raised:
            value, error = None, raised
        return run.status, error, value


# --- steps that may have acted ----------------------------------------------------------------------------------------


@af.saga
def doubtful(first: str) -> None:
    """One step."""
    {"seat": seat, "flight": lambda name: flight(name, "s"), "hotel": hotel, "idem": idempotent_seat}[first]("ann")


@af.task(idempotent=True)
def idempotent_seat(name: str) -> str:
    return OUTSIDE.act("idem")


@idempotent_seat.compensate
def free_idempotent_seat(key: str) -> None:
    OUTSIDE.undo("idem", key)


@pytest.mark.parametrize("fate", ["maybe", "late"])
def test_a_step_that_may_have_acted_is_undone_by_its_step(fate):
    OUTSIDE.clear(flight=[fate])
    status, error, _ = ended(doubtful, "flight")
    assert status == "compensated"
    assert isinstance(error.__cause__, af.MaybeDone if fate == "maybe" else af.StepTimeout)
    assert OUTSIDE.order == ["flight", "-flight"]


def test_a_compensation_is_told_that_nobody_knows():
    OUTSIDE.clear(hotel=["maybe"])
    assert ended(doubtful, "hotel")[0] == "compensated"
    assert OUTSIDE.order == ["hotel", "-hotel"]


def test_an_idempotent_step_is_run_again_under_its_key_to_learn_its_result():
    OUTSIDE.clear(idem=["maybe", "ok"])
    assert ended(doubtful, "idem")[0] == "compensated"
    assert OUTSIDE.order == ["idem", "-idem"]
    assert OUTSIDE.tries["idem"] == 2


def test_a_saga_is_stuck_if_nobody_can_say_what_a_step_has_done():
    OUTSIDE.clear(seat=["maybe"])
    status, error, _ = ended(doubtful, "seat")
    assert status == "stuck"
    assert "seat may have acted, or not, and" in str(error)
    assert "declare `step: af.Step`" in str(error)


def test_a_step_that_has_raised_is_not_undone():
    OUTSIDE.clear(flight=["raises"])
    assert ended(doubtful, "flight")[0] == "compensated"
    assert not OUTSIDE.undone


@af.task
def unstorable() -> object:
    LOG.append("acted")
    return object()


@unstorable.compensate
def undo_unstorable(step: af.Step) -> None:
    LOG.append(f"undone {step.maybe}")


@af.saga
def with_unstorable() -> None:
    unstorable()


def test_a_step_whose_result_cannot_be_stored_has_acted():
    assert ended(with_unstorable)[0] == "compensated"
    assert LOG == ["acted", "undone True"]


@af.saga
def with_unstorable_result() -> object:
    seat("ann")
    return object()


def test_a_saga_whose_own_result_cannot_be_stored_is_undone():
    status, error, _ = ended(with_unstorable_result)
    assert (status, type(error.__cause__)) == ("compensated", af.PayloadError)
    assert OUTSIDE.order == ["seat", "-seat"]


# --- the pair ---------------------------------------------------------------------------------------------------------


@af.task
async def slow() -> str:
    await asyncio.sleep(3)
    LOG.append("slow acted")
    return "slow"


@slow.compensate
def undo_slow(result: str) -> None:
    LOG.append(f"undone {result}")


@af.task
async def fails_soon() -> None:
    await asyncio.sleep(1)
    raise Boom("soon")


@af.saga
def pair() -> None:
    """One fails while the other goes on."""
    af.gather(slow.submit(), fails_soon.submit()).get()


@af.saga
async def pair_of_tasks() -> None:
    """The same in a TaskGroup, which cancels the other one."""
    async with asyncio.TaskGroup() as group:
        group.create_task(awaiting(slow))
        group.create_task(awaiting(fails_soon))


async def awaiting(task):
    await task()


@pytest.mark.parametrize("saga", [pair, pair_of_tasks], ids=["gather", "group"])
def test_the_other_one_of_a_pair_is_waited_for_and_undone(saga):
    assert ended(saga)[0] == "compensated"
    assert LOG == ["slow acted", "undone slow"]


# --- pivot ------------------------------------------------------------------------------------------------------------


@af.saga
def pivoted() -> str:
    seat("ann")
    af.pivot()
    af.pivot()
    card(90)
    af.sleep(60)
    return "done"


def test_a_saga_behind_its_pivot_is_stuck_by_an_error_and_goes_forward_when_it_is_retried():
    OUTSIDE.clear(card=["raises", "ok"])
    with VirtualSystem("test", seed=1) as system:
        run = system.start(pivoted)
        with pytest.raises(af.CompensationFailed, match="failed behind its pivot: .*Boom: card"):
            run.result()
        with pytest.raises(af.DefinitionError, match="stuck behind its pivot: retry it"):
            run.skip("no")
        run.retry()
        assert run.result() == "done"
    assert OUTSIDE.order == ["seat", "card"]


def test_neither_a_cancel_nor_the_deadline_is_heard_of_behind_the_pivot():
    with VirtualSystem("test", seed=1) as system:
        run = system.start(pivoted.options(deadline=30))
        system.sleep(10)
        run.cancel()
        assert run.result() == "done"
        assert run.status == "completed"


# --- cancel and deadline ----------------------------------------------------------------------------------------------


@af.saga
def waiting() -> None:
    seat("ann")
    flight("ann", "s")
    af.wait(str)


@af.saga
async def waiting_async() -> None:
    await seat.submit("ann")
    await flight.submit("ann", "s")
    await af.signal(str)


WAITING = pytest.mark.parametrize("saga", [waiting, waiting_async], ids=["plain", "async"])


@WAITING
def test_a_cancelled_saga_is_undone(saga):
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga)
        system.sleep(1)
        assert run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result()
        assert run.status == "compensated"
    assert OUTSIDE.order == ["seat", "flight", "-flight", "-seat"]


@WAITING
def test_a_saga_is_undone_at_its_deadline(saga):
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga.options(deadline=5))
        with pytest.raises(af.RunCancelled, match="its deadline has passed"):
            run.result()
        assert run.status == "compensated"
        assert system.now >= 5
    assert OUTSIDE.order == ["seat", "flight", "-flight", "-seat"]


@WAITING
def test_a_cancel_does_not_interrupt_compensations(saga):
    OUTSIDE.clear(**{"undo flight": ["raises", "raises", "ok"]})
    with VirtualSystem("test", seed=1) as system:
        run = system.start(saga.options(deadline=3))
        system.sleep(3.005)
        assert run.status == "compensating"
        run.cancel()
        with pytest.raises(af.RunCancelled):
            run.result()
    assert OUTSIDE.order == ["seat", "flight", "-flight", "-seat"]


def test_a_saga_may_have_a_deadline_by_its_declaration():
    @af.saga(name="rules.deadline", deadline=2)
    def late() -> None:
        seat("ann")
        af.sleep(10)

    status, error, _ = ended(late)
    assert (status, type(error)) == ("compensated", af.RunCancelled)
    assert OUTSIDE.order == ["seat", "-seat"]


# --- savepoints -------------------------------------------------------------------------------------------------------


@af.saga
def parts() -> str:
    """A part fails, and another one in its place goes well; the code fails in the end."""
    seat("ann")
    try:
        with af.savepoint():
            flight("ann", "s")
            card(1)
    except af.StepFailed:
        LOG.append(",".join(OUTSIDE.order))
    with af.savepoint():
        hotel("ann")
    raise Boom("the end")


@af.saga
async def parts_async() -> str:
    """The same, async."""
    await seat.submit("ann")
    try:
        async with af.savepoint():
            await flight.submit("ann", "s")
            await card.submit(1)
    except af.StepFailed:
        LOG.append(",".join(OUTSIDE.order))
    async with af.savepoint():
        await hotel.submit("ann")
    raise Boom("the end")


@pytest.mark.parametrize("saga", [parts, parts_async], ids=["plain", "async"])
def test_an_error_in_a_savepoint_undoes_its_steps_only(saga):
    OUTSIDE.clear(card=["raises"])
    assert ended(saga)[0] == "compensated"
    assert LOG == ["seat,flight,-flight"]
    assert OUTSIDE.order == ["seat", "flight", "-flight", "hotel", "-hotel", "-seat"]


@af.saga
def branches() -> None:
    """A savepoint in a branch, beside steps of another one."""

    def leg() -> None:
        with af.savepoint():
            flight("ann", "s")
            af.sleep(2)
            card(1)

    one = af.branch(leg)
    two = af.branch(hotel, "ann")
    two.get()
    try:
        one.get()
    except af.StepFailed:
        LOG.append(",".join(OUTSIDE.order))


def test_a_savepoint_of_a_branch_leaves_the_steps_of_others():
    OUTSIDE.clear(card=["raises"])
    assert ended(branches)[0] == "completed"
    assert OUTSIDE.order[-1] == "-flight"
    assert "-hotel" not in OUTSIDE.order


# --- sagas in sagas ---------------------------------------------------------------------------------------------------


@af.saga
def inner(name: str) -> str:
    flight(name, "s")
    return hotel(name)


@inner.compensate
def undo_inner(result: str) -> None:
    LOG.append("undone inner")


@af.saga
def outer(submits: bool) -> None:
    seat("ann")
    (inner.submit("ann").get if submits else lambda: inner("ann"))()
    card(1)


def test_a_saga_that_is_called_is_a_part_of_the_one_that_calls_it():
    OUTSIDE.clear(card=["raises"])
    assert ended(outer, False)[0] == "compensated"
    assert OUTSIDE.order == ["seat", "flight", "hotel", "-hotel", "-flight", "-seat"]
    assert LOG == []


def test_a_saga_that_is_submitted_is_a_run_of_its_own_which_its_compensation_undoes():
    OUTSIDE.clear(card=["raises"])
    assert ended(outer, True)[0] == "compensated"
    assert OUTSIDE.order == ["seat", "flight", "hotel", "-seat"]
    assert LOG == ["undone inner"]


def test_a_child_that_has_undone_itself_is_not_undone_again():
    OUTSIDE.clear(hotel=["raises"])
    assert ended(outer, True)[0] == "compensated"
    assert OUTSIDE.order == ["seat", "flight", "-flight", "-seat"]
    assert LOG == []


# --- asks and functions -----------------------------------------------------------------------------------------------


@dataclass
class Money:
    """A state."""

    paid: dict[str, int] = field(default_factory=dict)


class Payments(af.Actor, durable=True):
    """Takes money."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Money()

    def charge(self, order: str, amount: int) -> int:
        self.state.paid[order] = amount
        return amount

    def refund(self, order: str) -> int:
        return self.state.paid.pop(order, 0)

    def paid(self) -> dict[str, int]:
        return self.state.paid


SYSTEMS: list[VirtualSystem] = []


@af.saga
def asks() -> None:
    payments = SYSTEMS[0].durable("payments", Payments)
    seat("ann")
    payments.call(Payments.charge, "o1", 90).get()
    LOG.append(str(payments.call(Payments.paid).get()))
    af.undo(lambda: payments.call(Payments.refund, "o1").get())
    card(1)


@af.saga
async def asks_async() -> None:
    payments = SYSTEMS[0].durable("payments", Payments)
    await seat.submit("ann")
    await payments.call(Payments.charge, "o1", 90)
    LOG.append(str(await payments.call(Payments.paid)))

    async def refund() -> None:
        await payments.call(Payments.refund, "o1")

    af.undo(refund)
    await card.submit(1)


@pytest.mark.parametrize("saga", [asks, asks_async], ids=["plain", "async"])
def test_an_ask_of_a_durable_actor_is_undone_by_a_function(saga):
    OUTSIDE.clear(card=["raises"])
    with VirtualSystem("test", seed=1) as system:
        SYSTEMS[:] = [system]
        system.spawn(af.child(Payments).options(name="payments"))
        run = system.start(saga)
        with pytest.raises(af.RunFailed, match="Boom: card"):
            run.result()
        assert system.durable("payments", Payments).call(Payments.paid).get() == {}
    assert LOG == ["{'o1': 90}"]
    assert OUTSIDE.order == ["seat", "-seat"]


@af.saga
def undoes_by_tasks() -> None:
    af.undo(seat, "first")
    af.undo(card, 2)
    raise Boom("no")


def test_a_task_that_undoes_is_a_step_whose_own_failure_has_the_saga_stuck():
    OUTSIDE.clear(card=["raises"])
    with VirtualSystem("test", seed=1) as system:
        run = system.start(undoes_by_tasks)
        with pytest.raises(af.CompensationFailed, match=r"a function of af\.undo failed: .*Boom: card"):
            run.result()
        OUTSIDE.fates.clear()
        run.retry()
        with pytest.raises(af.RunFailed, match="no"):
            run.result()
    assert OUTSIDE.order == ["card", "seat"]
    assert not OUTSIDE.undone


# --- late threads -----------------------------------------------------------------------------------------------------

GATE = threading.Event()


@af.task(timeout=0.05)
def hangs() -> None:
    LOG.append("begins")
    assert GATE.wait(200)
    LOG.append("acts late")


@hangs.compensate
def undo_hangs(step: af.Step) -> None:
    LOG.append(f"undone {step.maybe}")


@af.saga
def late_thread() -> None:
    hangs()


def test_a_thread_that_goes_on_behind_its_timeout_is_waited_for_before_its_step_is_undone(monkeypatch):
    plain = Runners.time_out

    def time_out(self: Runners, attempt: Attempt) -> None:
        if LOG:
            plain(self, attempt)
        else:  # on a busy machine the step may be late: given up before it has begun, it would not run at all
            self.ctx.after(0.01, self.time_out, attempt)

    monkeypatch.setattr(Runners, "time_out", time_out)
    GATE.clear()
    with af.ActorSystem("late", store="memory:") as system:
        run = system.start(late_thread)
        while run.status != "compensating":
            system.runs().count()
        GATE.set()
        with pytest.raises(af.RunFailed):
            run.result(timeout=200)
    assert LOG == ["begins", "acts late", "undone True"]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_a_compensation_that_does_not_fit_is_refused_at_its_definition():
    @af.task(name="rules.ticket")
    def ticket(name: str) -> int:
        return 1

    with pytest.raises(af.DefinitionError, match=r"\(key: str\) undoes rules.ticket, which returns int"):

        @ticket.compensate(name="rules.undo1")
        def by_text(key: str) -> None: ...

    with pytest.raises(af.DefinitionError, match="has no argument 'price': the first parameter gets the result"):

        @ticket.compensate(name="rules.undo2")
        def by_price(key: int, price: int) -> None: ...

    with pytest.raises(af.DefinitionError, match="called by names"):

        @ticket.compensate(name="rules.undo3")
        def by_all(*args: object) -> None: ...

    @ticket.compensate(name="rules.undo4")
    def fits(key: int | None, name: str, step: af.Step, more: int = 3) -> None: ...

    assert fits(1, "a", None) is None
    with pytest.raises(af.DefinitionError, match="is undone by rules.undo4 already"):

        @ticket.compensate(name="rules.undo5")
        def second(key: int) -> None: ...


UNDONE_WITH: list[object] = []


@af.task(name="rules.reserve")
def reserve(order: str, amount: int) -> int:
    return 7


@reserve.compensate(name="rules.unreserve")
def unreserve(step: af.Step, order: str, amount: int) -> None:
    UNDONE_WITH.append((order, amount, step.result))


@af.task(name="rules.pack")
def pack(order: str) -> int:
    return 8


@pack.compensate(name="rules.unpack")
def unpack(step: af.Step, box: int, order: str) -> None:
    UNDONE_WITH.append((order, box))


@af.saga(name="rules.reserving")
def reserving() -> None:
    reserve("o1", 3)
    pack("o1")
    raise ValueError("no")


def test_behind_a_step_a_parameter_with_the_name_of_an_argument_gets_that():
    UNDONE_WITH.clear()
    with VirtualSystem() as system, pytest.raises(af.RunFailed):
        system.start(reserving).result(timeout=100)
    assert UNDONE_WITH == [("o1", 8), ("o1", 3, 7)]


class Uncomparable(type):
    """The class of classes that nobody can compare."""

    def __eq__(cls, other: object) -> bool:
        raise ValueError("no")

    __hash__ = type.__hash__


class Odd(metaclass=Uncomparable):
    """Nobody can say whether a value is one."""


def test_a_compensation_whose_types_cannot_be_compared_is_taken():
    @af.task(name="rules.flag")
    def flag() -> bool:
        return True

    @flag.compensate(name="rules.unflag")
    def by_number(result: float) -> None: ...

    @af.task(name="rules.odd")
    def odd() -> int:
        return 1

    @odd.compensate(name="rules.unodd")
    def by_odd(result: Odd) -> None: ...

    assert flag.compensation.result == odd.compensation.result == "result"


@af.workflow
def plain_flow(call: str) -> str:
    """Call a function that only sagas have."""
    try:
        {"pivot": af.pivot, "savepoint": af.savepoint, "undo": lambda: af.undo(print)}[call]()
    except af.DefinitionError as error:
        return str(error)
    return "taken"


@pytest.mark.parametrize("call", ["pivot", "savepoint", "undo"])
def test_functions_for_sagas_are_refused_in_workflows(call):
    with VirtualSystem("test", seed=1) as system:
        assert "is a workflow: make it an @af.saga" in system.start(plain_flow, call).result()


@af.saga
def renewed() -> None:
    af.continue_as_new()


def test_a_saga_does_not_begin_anew():
    status, error, _ = ended(renewed)
    assert (status, type(error.__cause__)) == ("compensated", af.DefinitionError)


@af.saga
def begins_a_step_and_fails() -> None:
    seat("ann")
    raise Boom(str(len(LOG)))


def test_a_saga_that_has_turned_is_undone_though_its_code_would_not_fail_again():
    @af.saga(name="rules.fails_once")
    def fails_once() -> str:
        seat("ann")
        if not LOG:
            LOG.append("failed")
            raise Boom("once")
        return "done"

    OUTSIDE.clear(**{"undo seat": ["raises"]})
    with af.open_store() as store:
        with VirtualSystem("one", seed=1, store=store) as system:
            run = system.start(fails_once.options(id="run"))
            system.sleep(0.1)
            assert run.status == "compensating"
        OUTSIDE.fates.clear()
        with VirtualSystem("two", seed=1, store=store) as system:
            run = system.get_run("run")
            with pytest.raises(af.RunFailed, match="once"):
                run.result()
            assert run.status == "compensated"
    assert OUTSIDE.order == ["seat", "-seat"]


# --- jobs, pauses, copies ---------------------------------------------------------------------------------------------


@af.saga
def with_a_job() -> None:
    flight.options(queue="jobs")("ann", "s")
    card(1)


def test_a_step_that_is_a_job_is_undone_by_its_key():
    OUTSIDE.clear(card=["raises"])
    with VirtualSystem("test", seed=1) as system:
        system.queue("jobs", workers=1)
        run = system.start(with_a_job)
        with pytest.raises(af.RunFailed, match="Boom: card"):
            run.result()
    assert OUTSIDE.order == ["flight", "-flight"]


def test_a_saga_that_is_paused_while_it_undoes_goes_on_undoing():
    OUTSIDE.clear(**{"undo flight": ["raises", "raises", "ok"]})
    with VirtualSystem("test", seed=1) as system:
        run = system.start(waiting.options(deadline=3))
        system.sleep(3.005)
        run.pause()
        system.sleep(1)
        assert run.status == "paused"
        run.resume()
        system.sleep(0.001)
        with pytest.raises(af.RunCancelled):
            run.result()
        assert run.status == "compensated"
    assert OUTSIDE.order == ["seat", "flight", "-flight", "-seat"]


def test_a_saga_is_neither_copied_nor_tried_again_from_a_step():
    with VirtualSystem("test", seed=1) as system:
        run = system.start(outer, False)
        run.result()
        with pytest.raises(af.DefinitionError, match="a copy would undo the steps of the first"):
            run.fork(step="hotel")
        with pytest.raises(af.DefinitionError, match="is of a saga, and completed"):
            run.retry(from_="hotel")
        assert run.fork().result() is None


@af.saga
def long(steps: int) -> None:
    for _ in range(steps):
        seat("ann")
    raise Boom("end")


def test_a_saga_of_many_steps_is_undone():
    assert ended(long, 500)[0] == "compensated"
    assert len(OUTSIDE.undone) == 500
    assert not OUTSIDE.done
