"""Models: what an object does if one client at a time uses it: the sequential specification of Herlihy and Wing."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from actorflow.errors import DefinitionError
from actorflow.text import stable_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.sim.history.operations import Operation

S = TypeVar("S")


class Model(abc.ABC, Generic[S]):
    """The behaviour of an object that one client at a time uses. States can be hashed, and never change.

    >>> class CounterModel(Model[int]):
    ...     name = "counter"
    ...     initial = 0
    ...
    ...     def step(self, state: int, operation: Operation) -> Sequence[int]:
    ...         state += 1
    ...         return [state] if operation.is_open or operation.result == state else []
    >>> from actorflow.sim.history import Operation, OperationHistory, check_linearizable
    >>> history = OperationHistory()
    >>> for count in (1, 2):
    ...     history.invoke("add").returned(count)
    >>> check_linearizable(history, CounterModel())

    Attributes:
        name: of the kind of object.
        initial: the state before the first operation.
    """

    name: str
    initial: S

    @abc.abstractmethod
    def step(self, state: S, operation: Operation) -> Sequence[S]:
        """Return the states that an operation can lead to from a state; none if it cannot have its result there.

        The result of an open operation is not known: return all states that it can lead to.

        Raises:
            DefinitionError: the model does not know the operation.
        """

    def is_read(self, operation: Operation) -> bool:  # noqa: ARG002 - for subclasses
        """Say whether an operation that is over leaves each state as it is in which it can have its result.

        The search for an order takes such an operation as soon as it fits, and so takes less time. A model that says no
        of all operations is as good an answer, later.
        """
        return False

    def unknown(self, operation: Operation, *known: str) -> DefinitionError:
        """Return the error of an operation that the model does not know."""
        return DefinitionError(
            f"the model of a {self.name} does not know {stable_text(operation)}: it knows {', '.join(known)}, with the "
            "arguments that its docstring names; other names can be given to it"
        )


class RegisterModel(Model[Any]):
    """A register: `read() -> value`, `write(value)`, and `compare_and_set(old, new) -> bool`.

    Arguments before these, such as the key of a row, are left out of account.

    >>> RegisterModel(0, read="get", write="put").initial
    0
    """

    name = "register"

    def __init__(
        self,
        initial: object = None,
        *,
        read: str = "read",
        write: str = "write",
        compare_and_set: str = "compare_and_set",
    ) -> None:
        """Make a model.

        Args:
            initial: the value before the first write.
            read: the name of the operation that returns the value.
            write: that of the operation that sets it.
            compare_and_set: that of the operation that sets it if it has a value, and says whether it had.
        """
        self.initial: Any = initial
        self._read, self._write, self._compare = read, write, compare_and_set

    def step(self, state: Any, operation: Operation) -> Sequence[Any]:
        """Return the value after an operation."""
        args = operation.args
        if operation.name == self._read:
            return (state,) if operation.is_open or operation.result == state else ()
        if operation.name == self._write and args:
            return (args[-1],)
        if operation.name == self._compare and len(args) >= 2:
            is_set = state == args[-2]
            if not operation.is_open and bool(operation.result) != is_set:
                return ()
            return (args[-1] if is_set else state,)
        raise self.unknown(operation, self._read, self._write, self._compare)

    def is_read(self, operation: Operation) -> bool:
        """Say yes of a read, and of a compare_and_set that was in vain."""
        return operation.name == self._read or (operation.name == self._compare and not operation.result)


class QueueModel(Model[tuple[Any, ...]]):
    """A queue, first in, first out: `enqueue(value)`, and `dequeue() -> value`; that of an empty one is `empty`."""

    name = "queue"
    initial: tuple[Any, ...] = ()

    def __init__(self, *, enqueue: str = "enqueue", dequeue: str = "dequeue", empty: object = None) -> None:
        """Make a model.

        Args:
            enqueue: the name of the operation that appends a value.
            dequeue: that of the operation that takes the first one.
            empty: the result of a dequeue if there is none.
        """
        self._enqueue, self._dequeue, self._empty = enqueue, dequeue, empty

    def step(self, state: tuple[Any, ...], operation: Operation) -> Sequence[tuple[Any, ...]]:
        """Return the values after an operation."""
        if operation.name == self._enqueue and operation.args:
            return ((*state, operation.args[-1]),)
        if operation.name == self._dequeue:
            first, rest = (state[0], state[1:]) if state else (self._empty, state)
            return (rest,) if operation.is_open or operation.result == first else ()
        raise self.unknown(operation, self._enqueue, self._dequeue)


FREE: Final = None


class LockModel(Model["str | None"]):
    """A lock: `acquire()` and `release()`; each returns False if it was in vain, and another value if not.

    Its holder is the process of the operation, so give each client a name of its own. The holder cannot acquire it
    once more, and nobody else releases it.
    """

    name = "lock"
    initial: str | None = FREE

    def __init__(self, *, acquire: str = "acquire", release: str = "release") -> None:
        """Make a model.

        Args:
            acquire: the name of the operation that takes the lock.
            release: that of the operation that gives it back.
        """
        self._acquire, self._release = acquire, release

    def step(self, state: str | None, operation: Operation) -> Sequence[str | None]:
        """Return the holder of the lock after an operation."""
        after: str | None
        if operation.name == self._acquire:
            can, after = state is FREE, operation.process
        elif operation.name == self._release:
            can, after = state == operation.process, FREE
        else:
            raise self.unknown(operation, self._acquire, self._release)
        if operation.is_open:
            return (after,) if can else (state,)
        if operation.result is False:
            return () if can else (state,)
        return (after,) if can else ()

    def is_read(self, operation: Operation) -> bool:
        """Say yes of an operation that was in vain."""
        return operation.result is False
