"""Operations: the calls of clients, each with its begin, its end and its result, in one history.

The words are those of Herlihy and Wing ("Linearizability: a correctness condition for concurrent objects", 1990): an
operation is invoked by a process and returns, or stays open for ever, as its client never hears of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Hashable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Final, NoReturn, ParamSpec, TypeVar, overload

from actorflow.errors import DefinitionError, HostDied
from actorflow.sim.patches.place import world_of_thread
from actorflow.text import stable_text

if TYPE_CHECKING:
    from actorflow.core.actors.actor import Actor
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.sim.world.scheduler import SimWorld

A = TypeVar("A", bound="Actor")
P = ParamSpec("P")
R = TypeVar("R")

SHOWN: Final = 60  # characters of an argument or a result


class Operation:
    """One operation of a client. It is open until `returned` or `failed` is called: it may take effect, or may not.

    Attributes:
        name: what is done.
        args: with what.
        process: the client, by name.
        key: of the object that it is done to.
        begin: its place among all begins and ends of its history.
        end: likewise; None: it is open.
        result: of one that has returned.
        is_failed: it has taken no effect, and never will.
        times: virtual seconds of its begin and its end, as far as they are known.
    """

    __slots__ = ("_history", "args", "begin", "end", "is_failed", "key", "name", "process", "result", "times")

    def __init__(
        self, history: OperationHistory, name: str, args: tuple[Any, ...], process: str, key: Hashable
    ) -> None:
        self._history = history
        self.name = name
        self.args = args
        self.process = process
        self.key = key
        self.begin = history._next()
        self.end: int | None = None
        self.result: Any = None
        self.is_failed = False
        self.times = [history._now()]

    def returned(self, result: object = None) -> None:
        """Note that the operation took effect, with a result; once it has ended, this does nothing."""
        self._end(result, is_failed=False)

    def failed(self) -> None:
        """Note that the operation took no effect, and never will; once it has ended, this does nothing."""
        self._end(None, is_failed=True)

    def _end(self, result: object, *, is_failed: bool) -> None:
        if self.end is None:
            self.result, self.is_failed = result, is_failed
            self.times.append(self._history._now())
            self.end = self._history._next()

    @property
    def is_open(self) -> bool:
        """Whether nobody knows the outcome."""
        return self.end is None

    def __repr__(self) -> str:
        args = ", ".join(stable_text(arg, SHOWN) for arg in self.args)
        end = "open" if self.is_open else "failed" if self.is_failed else f"-> {stable_text(self.result, SHOWN)}"
        by = f" by {self.process}" if self.process else ""
        seconds = [time for time in self.times if time is not None]
        when = f" at {' to '.join(f'{time:g}' for time in seconds)} s" if seconds else ""
        return f"{self.name}({args}) {end}{by}{when}"


class OperationHistory:
    """All operations of a run, in the order of their begins and ends. A test makes one for each run.

    >>> history = OperationHistory()
    >>> write, read = history.invoke("write", 3, process="a"), history.invoke("read", process="b")
    >>> write.returned()
    >>> read.returned(3)
    >>> history.operations
    [write(3) -> None by a, read() -> 3 by b]

    Attributes:
        operations: in the order of their begins.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._count = 0
        self._world: SimWorld | None = world_of_thread()

    def invoke(self, name: str, /, *args: Any, process: str = "", key: Hashable = None) -> Operation:
        """Note the begin of an operation; its end is noted by `returned` or `failed`.

        Arguments and results are kept as they are: give those that do not change.

        Args:
            name: what is done, as the model that checks the history knows it.
            args: with what.
            process: the client.
            key: of the object that it is done to; objects with different keys are checked each by itself.

        Raises:
            DefinitionError: the name is none.
        """
        if not isinstance(name, str) or not name:
            raise DefinitionError(f"invoke({stable_text(name)}): give the name of an operation")
        operation = Operation(self, name, args, process, key)
        self.operations.append(operation)
        return operation

    def client(
        self, process: str = "", *, key: Hashable = None, refused: tuple[type[Exception], ...] = ()
    ) -> HistoryClient:
        """Return a client, whose calls are noted.

        Args:
            process: its name.
            key: of the object that it calls.
            refused: errors that say that a call has changed nothing. After any other one nobody knows.
        """
        return HistoryClient(self, process, key, refused)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def __len__(self) -> int:
        return len(self.operations)

    def __repr__(self) -> str:
        return f"<OperationHistory of {len(self.operations)} operations>"

    def __reduce__(self) -> NoReturn:
        msg = "a history cannot leave its process: it is shared by those who write it"
        raise TypeError(msg)

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _now(self) -> float | None:
        return None if self._world is None else self._world.clock.now


class HistoryClient:
    """A client whose calls are operations of a history; `OperationHistory.client` makes it.

    >>> import actorflow as af
    >>> class Register(af.Actor):
    ...     def __init__(self) -> None:
    ...         super().__init__()
    ...         self.value = 0
    ...
    ...     def read(self) -> int:
    ...         return self.value
    >>> history = OperationHistory()
    >>> with af.ActorSystem("demo") as system:
    ...     history.client("a").call(system.spawn(Register), Register.read).get(timeout=10)
    0
    >>> history.operations
    [read() -> 0 by a]
    """

    def __init__(
        self, history: OperationHistory, process: str, key: Hashable, refused: tuple[type[Exception], ...]
    ) -> None:
        self.history = history
        self.process = process
        self.key = key
        self.refused = refused

    @overload
    def call(
        self,
        ref: ActorRef[A],
        method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[R]: ...
    @overload
    def call(
        self, ref: ActorRef[A], method: Callable[Concatenate[A, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[R]: ...
    def call(self, ref: ActorRef[A], method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a method of an actor, as `ref.call` does, and note the operation of that name.

        Its end is noted as the answer comes. If an error comes, the operation stays open, as it may have changed
        something; unless the error is a refusal, or a HostDied which knows that the call never began.

        Raises:
            DefinitionError: the actor's class has no such method.
        """
        name = ref._method_name(method)
        values = in_order(method, args, kwargs)
        operation = self.history.invoke(name, *values, process=self.process, key=self.key)
        future: Future[Any] = ref.call(method, *args, **kwargs)  # if it raises, the operation stays open
        future._when_done(lambda: self._note(operation, future))
        return future

    def _note(self, operation: Operation, future: Future[Any]) -> None:
        error = future._error
        if error is None:
            operation.returned(future._value)
        elif isinstance(error, self.refused) or (isinstance(error, HostDied) and error.maybe_ran is False):
            operation.failed()


def in_order(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Return the values of a call in the order of the method's parameters, by which a model knows them."""
    if not kwargs:
        return [*args]
    try:
        given = inspect.signature(method).bind(None, *args, **kwargs)
    except (TypeError, ValueError):  # the call itself says why
        return [*args, *kwargs.values()]
    return [*given.args[1:], *given.kwargs.values()]
