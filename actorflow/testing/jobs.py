"""Jobs: assertions about jobs that a test expects to have been enqueued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.core.system import SYSTEMS
from actorflow.errors import DefinitionError
from actorflow.queues.job import Job
from actorflow.store.codec import encode
from actorflow.tasks.task import AnyTask
from actorflow.text import reason_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actorflow.store.transaction import Row, Transaction

SHOWN = 5  # jobs with other arguments that a failure names


def assert_enqueued(task: AnyTask, /, *args: Any, **kwargs: Any) -> Job[Any]:
    """Return the newest job of a task with these arguments, in any queue of a system of this process.

    Without arguments, any job of the task will do. It does not matter whether the job has run.

    >>> import actorflow as af
    >>> @af.task
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> with af.ActorSystem("demo") as system:
    ...     job = system.queue("numbers").enqueue(double, 21)
    ...     assert_enqueued(double, 21).id == job.id
    True

    Raises:
        AssertionError: there is none; the text shows those with other arguments.
        DefinitionError: it is no task, or does not take the arguments.
    """
    if not isinstance(task, AnyTask):
        msg = f"assert_enqueued({text_of(task)}): give a task, a function under @af.task"
        raise DefinitionError(msg)
    wanted = None
    if args or kwargs:
        task.check(args, kwargs)
        wanted = encode([list(args), kwargs])
    others: list[str] = []

    def work(transaction: Transaction) -> list[Row]:
        return transaction.all("jobs.of_task", {"task": task.name})

    for system in list(SYSTEMS):
        for local in getattr(system, "local_queues", {}).values():
            for id_, payload in reversed(local.store.read(work)):
                if wanted is None or bytes(payload) == wanted:
                    return Job(local.store, local.waits, str(id_))
                others.append(stored_call(task, bytes(payload), local.waits.read))
            break  # all queues of a system have the same store
    seen = f"; there are {', '.join(others[:SHOWN])}" if others else "; there is no job of it"
    msg = f"{call_of(task, args, kwargs)} was not enqueued{seen}"
    raise AssertionError(msg)


def call_of(task: AnyTask, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return a call as it is written."""
    parts = [*map(text_of, args), *(f"{name}={text_of(value)}" for name, value in kwargs.items())]
    return f"{task.name}({', '.join(parts)})"


def stored_call(task: AnyTask, payload: bytes, read: Callable[[bytes], Any]) -> str:
    """Return the call of a job; of one whose arguments cannot be read here, the reason in their place."""
    try:
        args, kwargs = read(payload)
    except Exception as error:  # noqa: BLE001 - a class that is not known here, or a damaged row
        return f"{task.name}(...: {reason_of(error)})"
    return call_of(task, args, kwargs)
