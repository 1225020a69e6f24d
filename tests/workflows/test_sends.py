"""Promises: asks of durable actors are steps of a body, and tells are records: each arrives once, over kills."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

import actorflow as af
from actorflow.core.drivers.world import World
from actorflow.testing import LeakCheck, VirtualSystem
from tests.workflows.bodies import Approved, number
from tests.workflows.test_kills import sleeps_through


@dataclass
class Book:
    """A state."""

    seen: list[str] = field(default_factory=list)
    replies: list[af.Reply] = field(default_factory=list)


class Till(af.Actor, durable=True):
    """Counts, and keeps in which order messages came."""

    state: Book

    def __init__(self) -> None:
        super().__init__()
        self.state = Book()

    def on_receive(self, message: object) -> str:
        self.state.seen.append(str(message))
        return f"got {message}"

    def add(self, n: int) -> int:
        self.state.seen.append(f"add {n}")
        return len(self.state.seen)

    def refuse(self, text: str) -> None:
        raise LookupError(text)

    def blow(self) -> None:
        raise Strange("odd")

    def later(self) -> None:
        self.state.seen.append("later")
        self.state.replies.append(self.ctx.reply_later())

    def seen(self) -> list[str]:
        return self.state.seen


class Strange(Exception):
    """Known to nobody."""


@af.workflow
def asks(till: af.ActorRef[Till], n: int) -> list[object]:
    """Ask in a row, beside each other, and tell between steps."""
    first = till.call(Till.add, n).get()
    till.tell("one")
    till.cast(Till.add, 7)
    mine = number(n)
    two = [till.call(Till.add, n + 1), till.ask("hello", block=False)]
    till.tell("two")
    who = af.wait(Approved)
    try:
        till.call(Till.refuse, "no").get()
    except LookupError as error:
        said = str(error)
    try:
        till.call(Till.blow).get()
    except af.StepFailed as error:
        odd = str(error)
    proxy = till.proxy()
    return [first, mine, [one.get() for one in two], who.name, said, odd, proxy.add(9).get()]


@af.workflow
async def asks_async(till: af.ActorRef[Till], n: int) -> list[object]:
    """The same, async."""
    first = await till.call(Till.add, n)
    till.tell("one")
    till.cast(Till.add, 7)
    mine = await number.submit(n)
    two = [till.call(Till.add, n + 1), till.ask("hello", block=False)]
    till.tell("two")
    who = await af.signal(Approved)
    try:
        await till.call(Till.refuse, "no")
    except LookupError as error:
        said = str(error)
    try:
        await till.call(Till.blow)
    except af.StepFailed as error:
        odd = str(error)
    return [first, mine, [*await af.gather(*two)], who.name, said, odd, await till.proxy().add(9)]


BOTH = pytest.mark.parametrize("workflow", [asks, asks_async], ids=["plain", "async"])
RESULT = [1, [3], [4, "got hello"], "ann", "no", "step ask till.blow failed: Strange: odd", 7]
SEEN = ["add 3", "one", "add 7", "add 4", "hello", "two", "add 9"]


@pytest.fixture
def system():
    with VirtualSystem("test", seed=3) as running:
        yield running


@BOTH
def test_a_body_asks_and_tells_durable_actors_in_its_order(system, workflow):
    till = system.spawn(af.child(Till).options(name="till"))
    run = system.start(workflow.options(id="run"), till, 3)
    run.signal(Approved("ann"))
    assert run.result(timeout=60) == RESULT
    assert till.call(Till.seen).get() == SEEN
    names = [step.name for step in run.steps]
    assert names.count("tell till.str") == 2
    assert "ask till.add" in names


def killed_after(steps: int, workflow: object, where: str) -> bool:
    """Run one in a system that dies after so many steps, or the actor's does; say whether it died in time."""
    with World(seed=steps) as world, af.open_store() as store:
        a = VirtualSystem._within(world, "a", store=store)
        b = VirtualSystem._within(world, "b", store=store)
        stays, dies = (a, b) if where == "run" else (b, a)
        try:
            a.spawn(af.child(Till).options(name="till"))
            run = b.start(workflow.options(id="run"), b.durable("till", Till), 3)
            run.signal(Approved("ann"), id="once")
            died = not sleeps_through(b, 20, steps)
            dies._kill()
            if where == "actor":
                stays.spawn(af.child(Till).options(name="till"))
            assert stays.get_run("run").result(timeout=200) == RESULT
            assert stays.durable("till", Till).call(Till.seen).get(timeout=200) == SEEN
            return died
        finally:
            b.stop()
            a.stop()


@pytest.mark.slow(quick=["0-run-plain", "1-run-async", "2-actor-plain", "3-actor-async"])
@BOTH
@pytest.mark.parametrize("where", ["run", "actor"])
@pytest.mark.parametrize("part", range(4))
def test_asks_and_tells_arrive_once_wherever_either_side_is_killed(workflow, where, part):
    with LeakCheck():
        died = [killed_after(steps, workflow, where) for steps in range(part, 160, 12)]
    assert any(died)


@af.workflow
def waits_for_an_answer(till: af.ActorRef[Till]) -> list[object]:
    """Ask an actor that is not there, and go on without its answer."""
    future = till.call(Till.add, 1)
    try:
        future.get(timeout=5)
    except af.AskTimeout as error:
        said = str(error)
    try:
        future.get()
    except af.AskTimeout:
        again = "over"
    return [said, again, af.wait(Approved).name]


@af.workflow
async def waits_for_an_answer_async(till: af.ActorRef[Till]) -> list[object]:
    """The same, async."""
    try:
        await asyncio.wait_for(till.call(Till.add, 1), 5)
    except TimeoutError:
        said = "ask till.add came in 5 s"
    return [said, "over", (await af.signal(Approved)).name]


@af.workflow(name="sends.stops")
def stops(till: af.ActorRef[Till]) -> str:
    """Stop a durable actor."""
    with pytest.raises(af.DefinitionError) as refused:
        till.stop()
    return str(refused.value)


def test_a_stop_of_a_durable_actor_in_a_body_is_refused_with_its_own_cure(system):
    till = system.spawn(af.child(Till).options(name="till"))
    text = system.start(stops, till).result(timeout=60)
    assert "stops" in text
    assert "have a task do it" in text
    assert "durable" not in text  # it is
    assert till.call(Till.seen).get() == []


@pytest.mark.parametrize("workflow", [waits_for_an_answer, waits_for_an_answer_async], ids=["plain", "async"])
def test_an_answer_that_comes_behind_the_timeout_changes_nothing(system, workflow):
    run = system.start(workflow.options(id="run"), system.durable("till", Till))
    system.sleep(10)
    till = system.spawn(af.child(Till).options(name="till"))
    assert till.call(Till.seen).get() == ["add 1"]
    system.sleep(1)
    run.signal(Approved("ann"))
    said, again, name = run.result(timeout=60)
    assert "ask till.add came in 5 s" in said
    assert (again, name) == ("over", "ann")


@pytest.mark.parametrize("workflow", [waits_for_an_answer, waits_for_an_answer_async], ids=["plain", "async"])
def test_a_run_replays_behind_a_timeout_whose_answer_has_come_meanwhile(system, workflow):
    run = system.start(workflow.options(id="run"), system.durable("till", Till))
    system.sleep(10)
    run.pause()
    system.sleep(1)
    till = system.spawn(af.child(Till).options(name="till"))
    assert till.call(Till.seen).get() == ["add 1"]
    run.resume()
    run.signal(Approved("ann"))
    assert run.result(timeout=60)[1:] == ["over", "ann"]


def test_a_late_answer_leaves_no_mail_while_its_run_goes_on(system):
    run = system.start(waits_for_an_answer.options(id="run"), system.durable("till", Till))
    system.sleep(10)
    till = system.spawn(af.child(Till).options(name="till"))
    till.call(Till.seen).get()
    system.sleep(1)
    assert system.store.read(lambda tx: tx.one("runs.has_mail", {"receiver": "run:run", "upto": 0})) is None
    assert run.status == "running"


@af.workflow
def fills(till: af.ActorRef[Till]) -> list[int]:
    """Send more than the mailbox holds, and run a step behind it."""
    for n in range(6):
        till.cast(Till.add, n)
    return number(1)


def test_a_body_whose_receiver_is_full_waits_for_room_and_keeps_the_order(system):
    till = system.spawn(af.child(Till).options(name="till", capacity=2, overflow="fail"))
    till.stop()
    run = system.start(fills, system.durable("till", Till))
    system.sleep(5)
    assert run.status == "running"
    till = system.spawn(af.child(Till).options(name="till", capacity=2, overflow="fail"))
    assert run.result(timeout=120) == [1]
    assert till.call(Till.seen).get() == [f"add {n}" for n in range(6)]


TELLS = ["yes"]


@af.workflow
def changed(till: af.ActorRef[Till]) -> str:
    """Tell, or not, as other code would."""
    if TELLS:
        till.tell(TELLS[0])
    return af.wait(Approved).name


@pytest.mark.parametrize("now", [[], ["other"]])
def test_code_that_makes_another_send_than_the_recorded_one_is_parked(now):
    with World(seed=1) as world, af.open_store() as store:
        a = VirtualSystem._within(world, "a", store=store)
        b = VirtualSystem._within(world, "b", store=store)
        try:
            TELLS[:] = ["yes"]
            b.start(changed.options(id="run"), b.durable("till", Till))
            b.sleep(5)
            b._kill()
            TELLS[:] = now
            run = a.get_run("run")
            a.sleep(20)
            assert run.status == "parked"
            (info,) = a.runs().list()
            assert "tell till.str" in info.reason
        finally:
            b.stop()
            a.stop()


@af.workflow
def only_tells(till: af.ActorRef[Till], fails: bool) -> None:
    """End right behind a tell."""
    for n in range(100):
        till.cast(Till.add, n)
    if fails:
        raise ValueError("on purpose")


@pytest.mark.parametrize("fails", [False, True])
def test_tells_right_before_the_end_of_a_run_arrive_in_order(system, fails):
    till = system.spawn(af.child(Till).options(name="till"))
    run = system.start(only_tells, till, fails)
    if fails:
        with pytest.raises(af.RunFailed):
            run.result(timeout=60)
    else:
        run.result(timeout=60)
    assert till.call(Till.seen).get() == [f"add {n}" for n in range(100)]


@af.workflow
def asks_and_fails(till: af.ActorRef[Till]) -> list[object]:
    """Ask, and fail at a step behind an ask that nobody answers."""
    open_ask = till.call(Till.later)
    return [till.call(Till.add, 1).get(), number(1), open_ask.get()]


def test_an_ask_without_an_answer_is_made_again_when_its_run_is_tried_again(system):
    till = system.spawn(af.child(Till).options(name="till"))
    run = system.start(asks_and_fails.options(id="run"), till)
    system.sleep(5)
    run.cancel()
    with pytest.raises(af.RunCancelled):
        run.result(timeout=60)
    run.retry()
    system.sleep(5)
    assert till.call(Till.seen).get() == ["later", "add 1", "later"]
    run.cancel()
