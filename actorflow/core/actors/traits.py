"""Traits: the scheduler's view of an actor class and of the options it was spawned with."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, TypedDict, Unpack

from actorflow.core.backoff import Backoff
from actorflow.errors import DefinitionError
from actorflow.text import text_of

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable
    from datetime import datetime

    from actorflow.core.actors.actor import Actor
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Durability: TypeAlias = Literal["power", "process"]
Overflow: TypeAlias = Literal["block", "fail", "drop_oldest"]
Start: TypeAlias = "Literal['beginning', 'now'] | datetime"


class Placement(Protocol):
    """The place where an actor runs, if not here; `af.Process` is one."""

    def place(self, traits: Traits, scheduler: Scheduler) -> tuple[type[ActorRef[Any]], Traits]:
        """Return the kind of ref, and the traits, by which this process knows an actor that runs there."""
        ...


class Retries(Protocol):
    """The number and the pauses of a durable actor's tries of a message; `af.Retry` is one."""

    def pause(self, attempt: int, error: BaseException, rng: random.Random | None = None) -> float | None:
        """Return the seconds to wait after a failed try; None if it was the last."""
        ...


class ClassKeywords(TypedDict, total=False):
    """Child options as class keywords, for type checkers; `check_known` refuses the others at run time."""

    host: Placement
    restart: Restart
    shutdown: float
    backoff: Backoff
    capacity: int
    overflow: Overflow
    blocking: bool
    loop: bool
    durable: bool
    durability: Durability
    retry: Retries
    group: str
    instances: int
    start: Start


class ChildKeywords(ClassKeywords, total=False):
    """The options that `.options()` takes: the class keywords and a name."""

    name: str


@dataclass(frozen=True, slots=True)
class Options:
    """Child options, checked when they are given. `None` means that the parent's default holds.

    Attributes:
        name: last part of the path; without it the actor is named after its class and a number.
        restart: after which ends it is started anew: any (permanent), crashes only (transient), none (temporary).
        shutdown: seconds that it gets to end by itself when its supervisor stops it, before it is abandoned.
        backoff: pauses between a crash and the restart.
        capacity: how many user messages the mailbox holds; `None` is unbounded.
        overflow: the effect of a send to a full mailbox: wait, raise MailboxFull, or drop the oldest message.
        blocking: one thread of its own for `on_start`, all handlers and `on_stop`.
        loop: `async def` handlers run on the system's asyncio loop.
        host: the process that it runs in; `None` is this one.
        durable: its state, mailbox and timers are rows of the system's store.
        durability: the failure that the commits of a durable actor outlive; `None`: the store's own setting.
        retry: how often a durable actor tries a message again; `None`: `Retry(5)`.
        group: the name of a durable service as a consumer of the event log; `None`: its path below the system.
        instances: how many durable actors a durable service is, which share the log by the keys of events; `None`: one.
        start: where a new consumer begins: the "beginning" of the log, the default, "now", or a time.
    """

    name: str | None = None
    restart: Restart | None = None
    shutdown: float = 5.0
    backoff: Backoff | None = None
    capacity: int | None = None
    overflow: Overflow = "block"
    blocking: bool = False
    loop: bool = False
    host: Placement | None = None
    durable: bool = False
    durability: Durability | None = None
    retry: Retries | None = None
    group: str | None = None
    instances: int | None = None
    start: Start | None = None

    def __post_init__(self) -> None:
        check_type("name", self.name, str | None)
        check_type("shutdown", self.shutdown, int | float)
        check_type("capacity", self.capacity, int | None)
        check_type("backoff", self.backoff, Backoff | None)
        check_type("blocking", self.blocking, bool)
        check_type("loop", self.loop, bool)
        if self.host is not None and (isinstance(self.host, type) or not hasattr(self.host, "place")):
            msg = f"host={self.host!r}: give an af.Process"
            raise DefinitionError(msg)
        check_choice("restart", self.restart, ("permanent", "transient", "temporary", None))
        check_choice("overflow", self.overflow, ("block", "fail", "drop_oldest"))
        if self.capacity is not None and self.capacity < 1:
            msg = f"capacity={self.capacity}: a mailbox holds at least 1 message; leave it out for an unbounded one"
            raise DefinitionError(msg)
        self._check_durable()
        if not self.shutdown >= 0:
            msg = f"shutdown={self.shutdown}: seconds, not negative"
            raise DefinitionError(msg)
        if self.name is not None and (not self.name or "/" in self.name):
            msg = f"name={self.name!r}: a name is not empty and has no '/'"
            raise DefinitionError(msg)

    def _check_durable(self) -> None:
        check_type("durable", self.durable, bool)
        check_choice("durability", self.durability, ("power", "process", None))
        if self.retry is not None and (isinstance(self.retry, type) or not hasattr(self.retry, "pause")):
            msg = f"retry={self.retry!r}: give an af.Retry"
            raise DefinitionError(msg)
        if not self.durable and (self.retry is not None or self.durability is not None):
            msg = "retry= and durability= are for durable actors: say durable=True as well"
            raise DefinitionError(msg)
        if self.group is not None or self.instances is not None or self.start is not None:
            self._check_consumer()
        if self.durable and self.overflow == "drop_oldest":
            msg = "overflow='drop_oldest' would lose messages of a durable actor: choose 'block' or 'fail'"
            raise DefinitionError(msg)

    def _check_consumer(self) -> None:
        check_type("group", self.group, str | None)
        check_type("instances", self.instances, int | None)
        if not self.durable:
            msg = "group=, instances= and start= are for durable services: say durable=True as well"
            raise DefinitionError(msg)
        if self.group is not None and not self.group:
            msg = "group='': a consumer's name is not empty"
            raise DefinitionError(msg)
        if self.instances is not None and self.instances < 1:
            msg = f"instances={self.instances}: a service has at least 1"
            raise DefinitionError(msg)
        is_time = hasattr(self.start, "timestamp") and hasattr(self.start, "tzinfo")
        if is_time and self.start.tzinfo is None:  # type: ignore[union-attr]
            msg = f"start={self.start!r}: give the time a zone, such as tzinfo=datetime.UTC"
            raise DefinitionError(msg)
        if not is_time:
            check_choice("start", self.start, ("beginning", "now", None))

    def override(self, **options: Unpack[ChildKeywords]) -> Options:
        """Return these options with some replaced; an unknown one is a DefinitionError that names the nearest."""
        check_known(options, OPTION_NAMES)
        return dataclasses.replace(self, **options)


OPTION_NAMES = tuple(field.name for field in dataclasses.fields(Options))


def check_type(name: str, value: object, kind: Any) -> None:
    """Refuse a value of another type; a bool is no number here."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        wanted = getattr(kind, "__name__", None) or str(kind)
        msg = f"{name}={text_of(value)}: give {wanted}"
        raise DefinitionError(msg)


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Refuse a value that is none of the choices, and name them."""
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        known = ", ".join(repr(choice) for choice in choices if choice is not None)
        msg = f"{name}={text_of(value)}: choose one of {known}"
        raise DefinitionError(msg)


def check_intensity(intensity: int, period: float) -> None:
    """Refuse rules of restart that make no sense."""
    check_type("intensity", intensity, int)
    check_type("period", period, int | float)
    if intensity < 0 or not period > 0:
        msg = f"intensity={intensity}, period={period}: give a number of restarts (0 or more) and of seconds (above 0)"
        raise DefinitionError(msg)


def check_known(given: Iterable[str], known: tuple[str, ...]) -> None:
    """Refuse unknown option names, and name the nearest known one."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            msg = f"unknown option {name!r}: {hint}"
            raise DefinitionError(msg)


OVERTAKEN_TWICE: Final = 2
QUICK_SECONDS: Final = 0.000_5  # a handler this fast did not block
QUICK_HANDLERS: Final = 64


class Traits:
    """The scheduler's view of an actor class, or of a child whose options differ; refs of the same kind share it.

    `blocks` is learned: True once handlers of the class were overtaken twice (see `core.drivers.preemption`). The count
    is the class's, so a child with options of its own need not be overtaken twice again.
    """

    __slots__ = (
        "actor_class",
        "blocks",
        "has_async_on_stop",
        "has_on_start",
        "has_on_stop",
        "is_machine",
        "loop",
        "options",
        "overtaken",
        "pinned",
        "quick",
    )

    def __init__(self, actor_class: type[Actor], options: Options) -> None:
        self.actor_class = actor_class
        self.options = options
        self.pinned = options.blocking  # a thread of its own
        self.loop = options.loop
        self.is_machine = actor_class._is_machine
        self.has_on_start = options.durable or actor_class._has_on_start()  # a durable actor loads its state there
        self.has_on_stop = actor_class.on_stop is not BASE_HOOKS["on_stop"]
        self.has_async_on_stop = self.has_on_stop and inspect.iscoroutinefunction(actor_class.on_stop)
        home = actor_class.__dict__.get("_traits")
        self.overtaken: list[None] = [] if home is None else home.overtaken
        self.blocks = self.pinned or len(self.overtaken) >= OVERTAKEN_TWICE
        self.quick = 0

    def learn(self) -> None:
        """Note that a handler blocked unseen: twice, and the next gets a thread before it runs."""
        self.overtaken.append(None)  # a list, since classes may be shared by systems: appending is atomic
        self.quick = 0
        self.blocks = len(self.overtaken) >= OVERTAKEN_TWICE

    def unlearn(self, seconds: float) -> None:
        """Note how long a handler took: many quick ones, and the class is trusted again.

        One slow spell of the machine must not cost a thread switch a message for ever.
        """
        self.quick = self.quick + 1 if seconds < QUICK_SECONDS else 0
        if self.quick >= QUICK_HANDLERS:
            self.overtaken.clear()
            self.quick = 0
            self.blocks = self.pinned


# Filled by actorflow.core.actors.actor with pykka's empty hooks: a class that keeps them has no code to run there.
BASE_HOOKS: dict[str, Any] = {}


METHODS: Final = (FunctionType, classmethod, staticmethod, property)


def check_names(cls: type[Any]) -> None:
    """Refuse a private method in the body of a user's class that would replace one of the runtime's.

    Code that comes from pykka knows none of these names. Public ones, and the hooks, are there to be overridden.
    """
    if is_ours(cls):
        return
    for base in filter(is_ours, cls.__mro__):
        for name in vars(cls).keys() & vars(base).keys():
            if name.startswith("_") and not name.endswith("__") and isinstance(vars(base)[name], METHODS):
                msg = f"{cls.__name__}.{name} would replace a method of {base.__name__}'s own: give it another name"
                raise DefinitionError(msg)


def is_ours(cls: type[Any]) -> bool:
    """Say whether a class is part of this package."""
    return cls.__module__.startswith("actorflow.")
