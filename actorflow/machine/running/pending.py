"""Pending: the fields that few instances need: queued and deferred events, timers, children, history states."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from actorflow.machine.definition.chart import Invoke
    from actorflow.machine.running.event import Event
    from actorflow.machine.running.interpreter import Interpreter
    from actorflow.machine.running.transition_sets import Remembered

TimerKey: TypeAlias = str | tuple[str, int]  # a named timer, or a state and the place of its transition


class PendingTimer:
    """A timer that runs: at `due`, in seconds since the epoch, its event is sent; without one, its state times out.

    `crashes` counts processes that have died on it: a durable machine's snapshot brings it.
    """

    __slots__ = ("cancel", "crashes", "due", "event", "key")

    def __init__(self, key: TimerKey, due: float, event: Event | None, crashes: int = 0) -> None:
        self.key = key
        self.due = due
        self.event = event
        self.crashes = crashes
        self.cancel: Callable[[], object] | None = None


class Pending:
    """The fields that few instances have, made at first need."""

    __slots__ = (
        "active",
        "children",
        "deferred",
        "ended",
        "external",
        "internal",
        "invoking",
        "remembered",
        "timers",
        "work",
    )

    def __init__(self) -> None:
        self.internal: deque[Event] = deque()
        self.external: deque[Event] = deque()
        self.deferred: deque[Event] = deque()
        self.timers: dict[TimerKey, PendingTimer] = {}
        self.children: dict[tuple[str, str], tuple[Invoke, Any]] = {}  # by state and id
        self.ended: list[Any] = []  # children of states left meanwhile whose done event is on its way
        self.invoking: list[tuple[str, Invoke]] = []  # states entered whose children are to be started
        self.remembered: dict[str, tuple[str, ...]] = {}
        self.work = 0  # of large steps, since the last look at the limit of steps
        self.active: set[str] | None = None  # within a step of order "scxml", while it exits and enters


def pending_of(machine: Interpreter) -> Pending:
    """Return the fields that few instances need; they are made at first need."""
    if machine._pending is None:
        machine._pending = Pending()
    return machine._pending


def remembered_by(machine: Interpreter) -> Remembered:
    """Return the contents of an instance's history states."""
    return {} if machine._pending is None else machine._pending.remembered
