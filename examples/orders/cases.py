"""The areas of the shop: a desk that hands out the events, and an actor for every order, item or package.

How state survives a crash
--------------------------
A crashed object loses all that it knew. What brings it back is kept by the sender, its desk:

* the *snapshot* of the object that came with its last acknowledgement, and
* the steps that were sent after it, in order, each until it is acknowledged itself.

An object that starts, for the first time or again, introduces itself to its desk, and gets the snapshot and then those
steps. Until the snapshot is there it drops what it finds in its mailbox, since all of it is among the steps to come. A
step whose number is not above the last one seen is a repetition: it is acknowledged again and changes nothing. So each
step changes an object exactly once, and the memory for it is one snapshot an object and one window of steps a desk.

Should a desk itself crash, its objects end with it, and the next desk replays its share from the beginning; the tally
knows each (event, object) that it has counted, and counts none twice.

Back-pressure: a desk has at most `WINDOW` steps under way that are not acknowledged yet, so no mailbox of an area holds
more than that many; the tally's is bounded by its `capacity`, and a desk that runs ahead of it waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, NamedTuple

import actorflow as af

from .atlas import Planner
from .life import ITEM, NEW, ORDER, PACKAGE, Life
from .log import Step
from .route import Route
from .tally import Fault, Section, Tally

WINDOW = 256


class Chaos(Exception):
    """The crash that `--chaos` asked for."""


class Snapshot(NamedTuple):
    """All that an object knows: its state, the number of the last event that it has seen, and a package its route."""

    state: str = NEW
    seen: int = 0
    route: Route | None = None


class Case(af.Actor):
    """One order, item or package: takes the steps of its life, and acknowledges each with its new snapshot."""

    life: ClassVar[Life]

    def __init__(self, name: str, desk: af.ActorRef[Desk]) -> None:
        super().__init__()
        self.name = name
        self.desk = desk
        self.snapshot: Snapshot | None = None

    def on_start(self) -> None:
        """Introduce itself; a restarted object does so again."""
        self.desk.cast(Desk.introduce, self.name, self.actor_ref)

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from the last acknowledged snapshot."""
        self.snapshot = snapshot

    async def handle(self, step: Step) -> None:
        """Take the step, once, and acknowledge it when all that it brings is done."""
        if self.snapshot is None:
            return
        fault = None
        if step.number > self.snapshot.seen:
            fault = self.take(step)
            if fault is None:
                await self.follow_up(step)
        self.desk.cast(Desk.acknowledge, self.name, step.number, self.snapshot, fault)

    async def follow_up(self, step: Step) -> None:
        """Do what the step brings; nothing for most objects."""

    def fumble(self, step: Step) -> None:
        """Chaos: take the step, and crash before it is acknowledged."""
        self.take(step)
        raise Chaos(f"{self.name} fumbled {step.activity!r} (event {step.number})")

    def take(self, step: Step) -> Fault | None:
        """Change the state, or say why not. A refused step counts as seen, so that the next one is judged by itself."""
        before = self.snapshot or Snapshot()
        following = self.life.after(step.activity, before.state)
        self.snapshot = before._replace(state=following or before.state, seen=step.number)
        if step.previous != before.seen:
            text = f"came before event {step.previous}"
            return Fault("order", self.name, step.number, f"event {step.number} ({step.activity}) {text}")
        if following is None:
            text = f"{step.activity!r} is not legal for {self.name} in state {before.state!r}"
            return Fault("illegal", self.name, step.number, f"event {step.number}: {text}")
        return None


class Order(Case):
    """Placed, confirmed, perhaps reminded, paid."""

    life = ORDER


class Item(Case):
    """Ordered, perhaps out of stock and reordered, picked, packed."""

    life = ITEM


class Package(Case):
    """Packed from the items of several orders, sent by the route it gets for them, perhaps failed, delivered."""

    life = PACKAGE

    def __init__(self, name: str, desk: af.ActorRef[Desk], planner: Planner) -> None:
        super().__init__(name, desk)
        self.planner = planner

    async def follow_up(self, step: Step) -> None:
        """Once it is packed, get a route; should it crash meanwhile, the next life begins with the same step."""
        if step.items:
            route = await self.planner.route(self.name, step.items)
            assert self.snapshot is not None
            self.snapshot = self.snapshot._replace(route=route)


class Page:
    """What a desk's book says of one object."""

    __slots__ = ("pending", "ref", "snapshot")

    def __init__(self) -> None:
        self.ref: af.ActorRef[Case] | None = None
        self.snapshot = Snapshot()
        self.pending: deque[Step] = deque()


class Desk(af.Actor, intensity=0):
    """Hands out an area's share of the events, and keeps for each object what it needs to begin again.

    Its one child is the supervisor of the objects. That supervisor ends only if it gives up, and then so does the desk
    (`intensity=0`: no restart of that child is fine), and the area's supervisor decides. `tools` are what the objects
    need for their work, beside a name and a desk.
    """

    def __init__(
        self,
        case: type[Case],
        share: Sequence[Step],
        tally: af.ActorRef[Tally],
        fumbles: Collection[Step] = (),
        tools: tuple[Any, ...] = (),
    ) -> None:
        super().__init__()
        self.case = case
        self.share = iter(share)
        self.tally = tally
        self.fumbles = set(fumbles)
        self.tools = tools
        self.book: dict[str, Page] = {}
        self.under_way = 0
        self.cases: af.ActorRef[af.Supervisor]

    def on_start(self) -> None:
        """Start the supervisor of the objects, which may crash as often as chaos has ordered, and begin.

        It begins by a message to itself: what an earlier life has left in the mailbox comes first, and is ignored.
        """
        supervisor = af.child(af.Supervisor, intensity=len(self.fumbles), period=3600.0)
        self.cases = self.ctx.spawn(supervisor.options(name="cases", restart="permanent"))
        self.actor_ref.cast(Desk.hand_out)

    def hand_out(self) -> None:
        """Send steps until the window is full. The first step of an object starts its actor."""
        while self.under_way < WINDOW and (step := next(self.share, None)) is not None:
            self.under_way += 1
            page = self.book.get(step.name)
            if page is None:
                page = self.book[step.name] = Page()
                self.start_case(step.name)
            page.pending.append(step)
            if page.ref is not None:
                self.send(page.ref, step)
        if not self.under_way:
            self.close()

    def close(self) -> None:
        """Report: all steps are acknowledged."""
        life = self.case.life
        final = sum(page.snapshot.state == life.final for page in self.book.values())
        routes = {name: page.snapshot.route for name, page in self.book.items() if page.snapshot.route is not None}
        self.tally.cast(Tally.close, life.kind, Section(len(self.book), final, routes))

    def start_case(self, name: str) -> None:
        """Have an object's actor started; it will introduce itself. If it cannot start, that is our crash."""
        recipe = af.child(self.case, name, self.actor_ref, *self.tools).options(name=name)
        self.ctx.pipe(self.cases.call(af.Supervisor.start_child, recipe), self.started)

    def started(self, ref: af.ActorRef[Case]) -> None:
        """An object's actor is there."""

    def introduce(self, name: str, ref: af.ActorRef[Case]) -> None:
        """An object has started, or started again: tell it what it has to know, and to do."""
        page = self.book.get(name)
        if page is None:  # of a past life of this desk
            return
        page.ref = ref
        ref.cast(Case.resume, page.snapshot)
        for step in page.pending:
            self.send(ref, step)

    def send(self, ref: af.ActorRef[Case], step: Step) -> None:
        """Send one step; one that chaos has chosen is fumbled the first time."""
        if self.fumbles and step in self.fumbles:
            self.fumbles.remove(step)
            ref.cast(Case.fumble, step)
        else:
            ref.cast(Case.handle, step)

    def acknowledge(self, name: str, number: int, snapshot: Snapshot, fault: Fault | None) -> None:
        """An object has taken a step: forget it, and send the next one of the share."""
        page = self.book.get(name)
        if page is None or not page.pending or page.pending[0].number != number:
            return
        page.pending.popleft()
        page.snapshot = snapshot
        self.under_way -= 1
        self.tally.cast(Tally.handled, name, number, fault)
        self.hand_out()
