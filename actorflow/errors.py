"""The error tree: every error that actorflow raises on purpose.

Each error is also a subclass of pykka's or the standard library's twin, so that `except` clauses written for those keep
working, and each survives pickling with its attributes.
"""

from __future__ import annotations

import pickle
import queue
import signal as signals
from concurrent.futures import BrokenExecutor
from typing import Any, TypeGuard, TypeVar

import pykka

from actorflow.text import text_of

__all__ = [
    "ActorDeadError",
    "ActorflowError",
    "AskTimeout",
    "Crash",
    "DeadlockError",
    "DefinitionError",
    "HostDied",
    "JobCancelled",
    "JobFailed",
    "MailboxFull",
    "MemoryLimit",
    "NonDeterministic",
    "OutcomeUnknown",
    "PayloadError",
    "Permanent",
    "RemoteError",
    "RestartLimitReached",
    "RunCancelled",
    "RunFailed",
    "StepFailed",
    "Stopping",
    "StoreError",
    "StoreInUse",
    "StoreOutdated",
    "StoreUnreachable",
    "StuckError",
    "TaskTimeout",
    "ThreadLimit",
    "TransitionRefused",
    "Unload",
]


T = TypeVar("T")


def is_a(error: object, *kinds: type[T]) -> TypeGuard[T]:
    """Say whether an error is of one of these classes. Unlike `isinstance` it never asks the error, which may raise."""
    return issubclass(type(error), kinds)


class ActorflowError(Exception):
    """Base class of all errors of actorflow."""


class DefinitionError(ActorflowError, ValueError, TypeError):
    """A definition cannot work: a duplicate name, an unknown option, arguments that do not fit.

    The error is raised where the definition stands, and is a `ValueError` and a `TypeError`, like Python's own errors
    for the same mistakes.
    """


class ActorDeadError(ActorflowError, pykka.ActorDeadError, RuntimeError):
    """The actor is dead: it was stopped, or it crashed and was not restarted. `__cause__` holds the crash, if any.

    The error is a `RuntimeError` too, like the error that `concurrent.futures` raises for a submit after the shutdown.
    """


class AskTimeout(ActorflowError, pykka.Timeout, TimeoutError):
    """No answer came in time. The message may still be handled; ask again, or give a longer `timeout`."""


class MailboxFull(ActorflowError, queue.Full):
    """The mailbox holds its capacity. Wait and send again, or spawn with overflow="drop_oldest"."""


class DeadlockError(AskTimeout):
    """The wait would never end: it closes a cycle of actors that wait for each other.

    The error is raised at once in the wait that closes the cycle. Break the cycle with `cast` or `tell`, with
    `ctx.pipe(future, self.method)`, or with `ctx.reply_later()` in the actor that is asked.
    """


class ThreadLimit(ActorflowError, RuntimeError):
    """All threads of the system wait. Raise `Settings.threads`, or wait with `await` instead of `get()`."""


class StuckError(ActorflowError, RuntimeError):
    """A system in virtual time cannot go on: a handler keeps its turn, or a wait of the test took too many steps."""


class Stopping(ActorflowError):
    """The actor of a waiting handler is being shut down. Clean up and let the error pass."""


class Crash(ActorflowError):
    """Raised by a handler, this crashes the actor even though the message was an ask.

    ``raise af.Crash from error`` answers the caller with `error` and tells the supervisor. A caller whose actor crashed
    with a `BaseException` such as `SystemExit` gets a `Crash` with that exception as `__cause__`.
    """


class RestartLimitReached(ActorflowError):
    """A supervisor restarted its children more often than its intensity allows, and gave up.

    Attributes:
        path: the supervisor's path.
        history: the crashes within the last period, oldest first: (seconds on the system's clock, path, error).
    """

    def __init__(self, path: str, history: tuple[tuple[float, str, BaseException | None], ...] = ()) -> None:
        self.path = path
        self.history = history
        lines = "".join(f"\n  {at:.3f}s {who}: {_cause_of(why)}" for at, who, why in history)
        super().__init__(f"{path} restarted its children too often; the last crashes:{lines}")

    def __reduce__(self) -> tuple[type[RestartLimitReached], tuple[Any, ...]]:
        """Pickle by the two arguments, since `args` holds the text."""
        return type(self), (self.path, self.history)


def _cause_of(error: BaseException | None) -> str:
    """Describe the error that crashed a child; if the child is a supervisor that gave up, the crash behind that."""
    inner = error
    for _ in range(100):  # levels of supervisors
        if not is_a(inner, RestartLimitReached) or not inner.history:
            break
        inner = inner.history[-1][2]
    return text_of(error) if inner is error else f"{type(error).__name__}, at last by {text_of(inner)}"


class PayloadError(ActorflowError, pickle.PicklingError, TypeError):
    """A message, argument or result does not survive the way to another process.

    The text names the attribute that does not pickle. Leave it out in `__getstate__`, or send the values it was made
    from.
    """


class HostDied(ActorDeadError, BrokenExecutor):
    """The process that ran the actor or the task has died.

    Attributes:
        exitcode: the exit code of the process; None if a signal ended it.
        signal: the signal that ended it; None if it exited.
        rss: the most memory that it used, in bytes; None if that is not known.
        maybe_ran: whether the message or task had begun. False: it never started, and is safe to send again. None: the
            error is about the process, not about one message.
        host: the name or the number of the process.
        how: how it ended, in words; "" if exit code and signal say all.
    """

    def __init__(
        self,
        what: str = "a process",
        *,
        exitcode: int | None = None,
        signal: int | None = None,
        rss: int | None = None,
        maybe_ran: bool | None = None,
        host: str = "",
        how: str = "",
    ) -> None:
        self.what = what
        self.how = how
        self.exitcode = exitcode
        self.signal = signal
        self.rss = rss
        self.maybe_ran = maybe_ran
        self.host = host
        super().__init__(self._text())

    def _text(self) -> str:
        peak = "" if self.rss is None else f", at most {self.rss / 2**20:.0f} MB of memory"
        return f"{self.what}: {self.how or how_it_ended(self.exitcode, self.signal)}{peak}{self._ran()}"

    def _ran(self) -> str:
        if self.maybe_ran is None:
            return ""
        return "; it may have run" if self.maybe_ran else "; it had not begun, so it is safe to send again"

    def for_ask(self, *, maybe_ran: bool) -> HostDied:
        """Return the same error for one message or task that was under way."""
        error = _died_again(type(self), {**self.__dict__, "maybe_ran": maybe_ran})
        error.__cause__ = self.__cause__
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the attributes, since `args` holds the text."""
        return _died_again, (type(self), dict(self.__dict__))


class MemoryLimit(HostDied):
    """The process used more memory than its limit and was killed. Raise the limit, or work in smaller pieces."""

    def _text(self) -> str:
        used = "" if self.rss is None else f" ({self.rss / 2**20:.0f} MB)"
        return f"{self.what} used more memory than its limit{used} and was killed{self._ran()}"


class TaskTimeout(ActorflowError, TimeoutError):
    """The task ran longer than its timeout and its process was killed. Give it more time, or make it smaller."""


class StepTimeout(TaskTimeout):
    """A step of a workflow or a saga ran longer than its timeout: it may have acted, or may do so yet."""


class MaybeDone(ActorflowError, RuntimeError):
    """Raised by a task whose effect is not known, such as after a lost answer: a saga then undoes it, too.

    The compensation of such a step gets it as `step: af.Step`, with `step.maybe`.
    """


class Permanent(ActorflowError, RuntimeError):
    """Raised by a task, or by a durable actor's handler: to try again would not help, whatever its `Retry` says.

    ``raise af.Permanent("no such customer") from error`` ends the job as failed, or makes the message a dead letter, at
    once. A subclass does the same, and so does an `ExceptionGroup` that has one in it at any depth, as of a TaskGroup.
    """


class RemoteError(ActorflowError):
    """An error of another process that could not be rebuilt here: it has the name of its type, text and traceback.

    Attributes:
        type_name: qualified name of the error's class there.
    """

    def __init__(self, type_name: str, text: str = "") -> None:
        self.type_name = type_name
        self.text = text
        super().__init__(f"{type_name}: {text}" if text else type_name)

    def __reduce__(self) -> tuple[type[RemoteError], tuple[Any, ...]]:
        """Pickle by the two arguments, since `args` holds the text."""
        return type(self), (self.type_name, self.text)


def how_it_ended(exitcode: int | None, signal: int | None) -> str:
    """Say how a process ended: "exit code 3", "killed by SIGKILL"."""
    if signal is None:
        return "its process was lost" if exitcode is None else f"its process ended with exit code {exitcode}"
    try:
        return f"its process was killed by {signals.Signals(signal).name}"
    except ValueError:
        return f"its process was killed by signal {signal}"


def _died_again(cls: type[HostDied], attributes: dict[str, Any]) -> HostDied:
    """Make a pickled HostDied anew."""
    attributes = dict(attributes)
    names = ("what", "exitcode", "signal", "rss", "maybe_ran", "host", "how")
    error = cls(**{name: attributes.pop(name) for name in names})
    error.__dict__.update(attributes)
    return error


class TransitionRefused(ActorflowError, ValueError):
    """A machine has no transition for the event in its state. Its state and history are as before.

    Attributes:
        state: the active state; several regions are joined by "+".
        event: name of the event.
        legal: events that some transition of the active states waits for.
    """

    refused_by = 0  # id of the model: a cast that the receiver's own machine refuses is no crash

    def __init__(self, state: str, event: str, legal: tuple[str, ...] = (), what: str = "") -> None:
        self.state = state
        self.event = event
        self.legal = legal
        self.what = what
        named = event in legal
        why = "its guards veto it" if named else f"legal are {', '.join(legal)}" if legal else "no event is legal there"
        super().__init__(f"{what or 'a machine'} refuses {text_of(event)} in state {state!r}: {why}")

    def __reduce__(self) -> tuple[type[TransitionRefused], tuple[Any, ...]]:
        """Pickle by the arguments, since `args` holds the text."""
        return type(self), (self.state, self.event, self.legal, self.what)


class StoreError(ActorflowError, OSError):
    """The store failed: the disk is full, the file is no database, the server is gone. The text has the database's own.

    The write that failed is not there; no acknowledged write is lost.
    """


class OutcomeUnknown(StoreError):
    """The store was lost in the midst of a commit: nobody knows yet whether that write is there.

    The transaction is there as a whole, or not at all. Look before you write it again; or write it so that a second
    time does no harm: a job with `unique=`, a message by `deliver(id=)`. The system checks its own writes by itself.
    """


class StoreUnreachable(StoreError):
    """The store could not be reached in time; nothing of the work was done, so it can be tried again."""


class StoreInUse(ActorflowError, RuntimeError):
    """A store is not closed while systems are on it, which would lose the work that they do. Stop the systems first."""


class StoreOutdated(StoreError):
    """A newer actorflow has changed the tables: this process reads and writes nothing more. Restart it, updated."""


class JobFailed(ActorflowError, RuntimeError):
    """A job has failed for good: its last error is the `__cause__`, if its class is known here.

    Attributes:
        job: id of the job.
        status: "failed" (no try was left) or "dead" (it killed its processes, or was lost with one).
        why: the last error, as text.
    """

    def __init__(self, job: str, status: str, why: str) -> None:
        self.job = job
        self.status = status
        self.why = why
        super().__init__(f"job {job} is {status}: {why}")

    def __reduce__(self) -> tuple[type[JobFailed], tuple[Any, ...]]:
        """Pickle by the arguments, since `args` holds the text."""
        return type(self), (self.job, self.status, self.why)


class JobCancelled(ActorflowError, RuntimeError):
    """A job was cancelled before it had a result."""


class StepFailed(ActorflowError, RuntimeError):
    """A step of a run has failed for good, by an error whose class is neither builtin nor declared by its task.

    The body of the workflow gets it in place of that error, the first time and in each replay: to get the error itself,
    declare its class, ``@af.task(raises=CardRefused)``.

    Attributes:
        step: name of the task.
        why: the error, as text.
    """

    def __init__(self, step: str, why: str) -> None:
        self.step = step
        self.why = why
        super().__init__(f"step {step} failed: {why}")

    def __reduce__(self) -> tuple[type[StepFailed], tuple[Any, ...]]:
        """Pickle by the arguments, since `args` holds the text."""
        return type(self), (self.step, self.why)


class RunFailed(ActorflowError, RuntimeError):
    """A run has failed: the error that its body raised is the `__cause__`, if its class is known here.

    Known are the builtin classes, those of actorflow, and those that tasks known here declare by `raises=`. The
    `__cause__` of a run of a DAG is the `StepFailed` of the first node that has failed.

    Attributes:
        run: id of the run.
        why: the error, as text.
    """

    def __init__(self, run: str, why: str) -> None:
        self.run = run
        self.why = why
        super().__init__(f"run {run} failed: {why}")

    def __reduce__(self) -> tuple[type[RunFailed], tuple[Any, ...]]:
        """Pickle by the arguments, since `args` holds the text."""
        return type(self), (self.run, self.why)


class CompensationFailed(ActorflowError, RuntimeError):
    """A saga is stuck: a compensation has failed for good, or a step behind its pivot.

    Mend the cause, and call `run.retry()`; or undo the step by hand, and call `run.skip(reason)`.

    Attributes:
        run: id of the saga's run.
        why: the step, and its error, as text.
    """

    def __init__(self, run: str, why: str) -> None:
        self.run = run
        self.why = why
        super().__init__(f"saga {run} is stuck: {why}; mend the cause and call run.retry(), or run.skip(reason)")

    def __reduce__(self) -> tuple[type[CompensationFailed], tuple[Any, ...]]:
        """Pickle by the arguments, since `args` holds the text."""
        return type(self), (self.run, self.why)


class RunCancelled(ActorflowError, RuntimeError):
    """A run was cancelled: raised in its body where it waits, and by `run.result()`."""


class NonDeterministic(ActorflowError, RuntimeError):
    """The code of a workflow does not fit the records of a run: it takes other steps than it took when they were made.

    Or a DAG does not: it was declared with other nodes.

    Attributes:
        expected: the step that is recorded.
        got: the step, or the steps, that the code has begun; of a DAG the node that it declares.
        is_dag: the run is of a DAG.
    """

    def __init__(self, expected: str, got: str, is_dag: bool = False) -> None:
        self.expected = expected
        self.got = got
        self.is_dag = is_dag
        of, has, cure = FITS[is_dag]
        super().__init__(
            f"the {of} does not fit the records of the run: recorded is {expected}, and {has} {got}: {cure}"
        )

    def __reduce__(self) -> tuple[type[NonDeterministic], tuple[Any, ...]]:
        """Pickle by the arguments, since `args` holds the text."""
        return type(self), (self.expected, self.got, self.is_dag)


FITS = {  # of what the records are not, what it has, and the cure
    False: ("code of the workflow", "the code has begun", "put the old code back, or change it behind af.patched(...)"),
    True: ("DAG", "it declares", "declare it as it was, and the changed one under another name"),
}


class Unload(BaseException):
    """Raised in the body of a run that is unloaded: its frames end, and it goes on later by a replay. Let it pass."""
