"""Declared: a queue with its schedules as an App is given it, before there is a system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypedDict, TypeVar, Unpack, overload

from actorflow.core.actors.traits import check_known
from actorflow.errors import DefinitionError
from actorflow.queues.cron import ScheduleKeywords, schedule_of
from actorflow.queues.opening import check_queue
from actorflow.queues.packing import Packed, check_each, encode_call
from actorflow.tasks.task import AnyTask
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.queues.limits import Limit
    from actorflow.queues.queue import MoreThanFour, Queue
    from actorflow.store.transaction import Durability
    from actorflow.tasks.signatures import TakesFour, TakesNone, TakesOne, TakesThree, TakesTwo

WHEN: Final = tuple(ScheduleKeywords.__annotations__)

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


class QueueKeywords(TypedDict, total=False):
    """Options of a queue, for type checkers."""

    workers: int
    concurrency: int | None
    rate: str | None
    per_key: Limit | None
    durability: Durability | None


class DeclaredSchedule(NamedTuple):
    """A task and the times at which it is enqueued."""

    cron: str
    task: AnyTask
    args: tuple[Any, ...]
    when: ScheduleKeywords


class DeclaredQueue:
    """A queue that an App opens at its start. `af.queue` makes it.

    Attributes:
        name: the queue's name.
        options: those of `system.queue`.
        schedules: by the name that the store has for each.
    """

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self.options = options
        self.schedules: dict[str, DeclaredSchedule] = {}

    def __repr__(self) -> str:
        return f"<declared queue {self.name}>"

    @overload
    def cron(
        self, cron: str, task: TakesNone, /, *, args: tuple[()] = (), **when: Unpack[ScheduleKeywords]
    ) -> Self: ...
    @overload
    def cron(self, cron: str, task: TakesOne[A], /, *, args: tuple[A], **when: Unpack[ScheduleKeywords]) -> Self: ...
    @overload
    def cron(
        self, cron: str, task: TakesTwo[A, B], /, *, args: tuple[A, B], **when: Unpack[ScheduleKeywords]
    ) -> Self: ...
    @overload
    def cron(
        self, cron: str, task: TakesThree[A, B, C], /, *, args: tuple[A, B, C], **when: Unpack[ScheduleKeywords]
    ) -> Self: ...
    @overload
    def cron(
        self, cron: str, task: TakesFour[A, B, C, D], /, *, args: tuple[A, B, C, D], **when: Unpack[ScheduleKeywords]
    ) -> Self: ...
    @overload
    def cron(self, cron: str, task: AnyTask, /, *, args: MoreThanFour, **when: Unpack[ScheduleKeywords]) -> Self: ...
    def cron(self, cron: str, task: Any, /, *, args: Sequence[Any] = (), **when: Unpack[ScheduleKeywords]) -> Self:
        """Have a task enqueued at the times of a cron expression, as `Queue.cron` does, once the app is up.

        Raises:
            DefinitionError: the expression, the zone or the arguments make no sense, an option is unknown, or the
                schedule is there already.
            PayloadError: an argument cannot be stored.
        """
        check_each("cron(args=)", [args], "tuple of arguments")
        if not isinstance(task, AnyTask):
            msg = f"cron({text_of(cron)}, {text_of(task)}): give a task, a function under @af.task"
            raise DefinitionError(msg)
        packed = Packed(task.name, task.job_options, encode_call(task, tuple(args), {}))
        check_known(when, WHEN)
        name = schedule_of(cron, packed, **when).name
        if name in self.schedules:
            msg = f"queue {self.name!r} has two schedules {name!r}: give one of them another name="
            raise DefinitionError(msg)
        self.schedules[name] = DeclaredSchedule(cron, task, tuple(args), when)
        return self

    def open(self, system: Any) -> Queue:
        """Open the queue in a system, and declare its schedules."""
        queue: Queue = system.queue(self.name, **self.options)
        declare: Any = queue.cron  # its overloads are of tasks whose arguments are known
        for schedule in self.schedules.values():
            declare(schedule.cron, schedule.task, args=schedule.args, **schedule.when)
        return queue


def queue(
    name: str,
    *,
    workers: int = 0,
    concurrency: int | None = None,
    rate: str | None = None,
    per_key: Limit | None = None,
    durability: Durability | None = None,
) -> DeclaredQueue:
    """Declare a queue for an App, which opens it when its parts are up. In a program without an App: `system.queue`.

    >>> import actorflow as af
    >>> @af.task
    ... def send(to: str) -> None: ...
    >>> mail = af.queue("mail", workers=4, rate="100/m").cron("0 8 * * *", send, args=("ann",))
    >>> app = af.App("shop", store="sqlite:///shop.db").add(send, mail)

    Args:
        name: the queue's name; all processes that use it on the store share the queue.
        workers: the number of jobs to run at once in this process; 0 only enqueues.
        concurrency: jobs at once over all processes.
        rate: jobs in a time over all processes, such as "100/m".
        per_key: limits of the jobs of each key.
        durability: "power" or "process", in place of the store's.

    Raises:
        DefinitionError: an argument makes no sense.
    """
    check_queue(name, workers, concurrency, rate, per_key, durability)
    limits = {"concurrency": concurrency, "rate": rate, "per_key": per_key}
    return DeclaredQueue(name, {"workers": workers, "durability": durability, **limits})
