"""The areas of the shop: a desk that hands out the events, and under it a machine for every order, item or package.

How state survives a crash
--------------------------
A machine is a function of its events, so its desk brings a crashed one back by sending it all its steps again, from the
first. The desk hears of each step that was taken, as a subscriber of the machine; of each that was refused, as that is
a dead letter; and of each restart. It sends a machine one step at a time, so a crash leaves nothing in its mailbox.

What a step brings, a package's route, is worked out again too. The tally counts each (event, object) once.

Should a desk itself crash, its objects end with it, and the next desk replays its share from the beginning.

Back-pressure: a desk has at most `WINDOW` steps under way; the tally's mailbox is bounded by its `capacity`, and a desk
that runs ahead of it waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from typing import Any

import actorflow as af
from actorflow.machine import Record

from .life import Life
from .log import Step
from .route import Route
from .tally import Fault, Section, Tally

WINDOW = 256


class Page:
    """What a desk's book says of one object.

    Attributes:
        steps: those of its life, as far as they were handed out.
        taken: how many of them it has been through, refused ones included, since it started or restarted.
        counted: how many it has been through at the best.
    """

    __slots__ = ("counted", "ref", "route", "state", "steps", "taken")

    def __init__(self) -> None:
        self.ref: af.ActorRef[Life] | None = None
        self.steps: list[Step] = []
        self.taken = self.counted = 0
        self.state = ""
        self.route: Route | None = None


class Desk(af.Actor, intensity=0):
    """Hands out an area's share of the events, and keeps for each object what it needs to begin again.

    Its one child is the supervisor of the objects. That supervisor ends only if it gives up, and then so does the desk
    (`intensity=0`: no restart of that child is fine), and the area's supervisor decides. `tools` are what the objects
    need for their work.
    """

    def __init__(
        self,
        life: type[Life],
        share: Sequence[Step],
        tally: af.ActorRef[Tally],
        fumbles: Collection[Step] = (),
        tools: tuple[Any, ...] = (),
    ) -> None:
        super().__init__()
        self.life = life
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
        """Begin new steps until the window is full. The first step of an object starts its machine."""
        while self.under_way < WINDOW and (step := next(self.share, None)) is not None:
            self.under_way += 1
            if step.name not in self.book:
                self.start_machine(step.name)
            page = self.book[step.name]
            page.steps.append(step)
            if page.ref is not None and len(page.steps) == page.taken + 1:
                self.send(page.ref, step)
        if not self.under_way:
            self.close()

    def start_machine(self, name: str) -> None:
        """Have an object's machine started. If it cannot start, that is our crash."""
        self.book[name] = Page()
        machine = af.child(self.life, *self.tools).options(name=name)
        self.ctx.pipe(self.cases.call(af.Supervisor.start_child, machine), self.started)

    def started(self, ref: af.ActorRef[Life]) -> None:
        """An object's machine is there: listen to it, and send it its first step."""
        page = self.book[ref.name]
        page.ref = ref
        ref.subscribe(self.actor_ref)
        self.send(ref, page.steps[0])

    def send(self, ref: af.ActorRef[Life], step: Step) -> None:
        """Send one step; one that chaos has chosen is fumbled the first time."""
        if step in self.fumbles:
            self.fumbles.remove(step)
            ref.cast(Life.fumble, step)
        else:
            ref.cast(getattr(self.life, step.event), step)

    def on_receive(self, message: Any) -> None:
        """Hear what became of a step, or of an object."""
        match message:
            case Record(event="planned", data=(Step(name=name), route)) if name in self.book:
                self.book[name].route = route
            case Record(data=(Step(name=name) as step,)) if name in self.book:
                self.taken(self.book[name], step, message.target)
            case af.DeadLetter(ref=ref, reason=af.TransitionRefused() as refusal) if page := self.page(ref):
                self.refused(page, refusal)
            case af.Restarted(ref=ref) if page := self.page(ref):
                page.taken = 0
                self.send(ref, page.steps[0])

    def page(self, ref: af.ActorRef[Any]) -> Page | None:
        """Return the page of a machine, unless it is one of a past life of this desk."""
        page = self.book.get(ref.name)
        return page if page is not None and page.ref == ref else None

    def taken(self, page: Page, step: Step, state: str) -> None:
        """A step was taken; it should be the one that was sent."""
        page.state = state
        sent = page.steps[page.taken]
        text = f"line {step.line}: {step.activity!r} of {step.name} was taken in place of line {sent.line}"
        self.done(page, None if step == sent else Fault("order", step.name, step.line, text))

    def refused(self, page: Page, refusal: af.TransitionRefused) -> None:
        """A step was refused. The next one is judged by itself."""
        step = page.steps[page.taken]
        text = f"line {step.line}: {step.activity!r} of {step.name} is not legal: {refusal}"
        self.done(page, Fault("illegal", step.name, step.line, text))

    def done(self, page: Page, fault: Fault | None) -> None:
        """Count a step, if it is the first time, and go on with the next of the object, and of the share."""
        step = page.steps[page.taken]
        page.taken += 1
        if page.taken > page.counted:
            page.counted += 1
            self.under_way -= 1
            self.tally.cast(Tally.handled, step.name, step.line, fault)
        if page.taken < len(page.steps) and page.ref is not None:
            self.send(page.ref, page.steps[page.taken])
        self.hand_out()

    def close(self) -> None:
        """Report: all steps are counted."""
        states = self.life.chart.states
        final = sum(states[page.state].kind == "final" for page in self.book.values())
        routes = {name: page.route for name, page in self.book.items() if page.route is not None}
        self.tally.cast(Tally.close, self.life.__name__.lower(), Section(len(self.book), final, routes))


def tell_desk(event: af.Restarted | af.DeadLetter) -> None:
    """Tell a desk what the system says of an object: it subscribes this function to both kinds of event."""
    cases = event.ref.parent
    desk = cases.parent if cases is not None else None
    if desk is not None and desk.actor_class is Desk:
        with contextlib.suppress(af.ActorDeadError):
            desk.tell(event)
