"""Linearizability: is there an order of all operations, each between its begin and its end, that a model allows.

The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memo of the
configurations that were tried ("Testing for linearizability", 2017). Objects with different keys are checked each by
itself (Horn and Kroening, "Faster linearizability checking via P-compositionality", 2015). A read that fits is taken
at once: an order that has it later may have it here just as well. The question is NP-complete: the cost grows with the
number of operations that are open at one time, and so the search has a bound.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Final, Generic, NamedTuple, TypeVar

from actorflow.errors import DefinitionError
from actorflow.sim.failure import SimulationFailure
from actorflow.sim.history.delivery import now
from actorflow.sim.history.models import Model
from actorflow.sim.history.operations import Operation, OperationHistory
from actorflow.text import stable_text

S = TypeVar("S")

CONFIGURATIONS: Final = 1_000_000  # about five seconds, and 250 MB
SHOWN: Final = 5  # operations of an explanation


def check_linearizable(
    history: OperationHistory | Iterable[Operation],
    model: Model[Any],
    *,
    name: str | None = None,
    limit: int = CONFIGURATIONS,
) -> None:
    """Check that a history is one of an object that does one operation at a time, each at once, between begin and end.

    An operation that is open may have taken effect at any time since its begin, or not; one that failed has not.

    >>> from actorflow.sim.history import OperationHistory, RegisterModel
    >>> history = OperationHistory()
    >>> history.invoke("write", 1).returned()
    >>> check_linearizable(history, RegisterModel(0))
    >>> history.invoke("read").returned(0)
    >>> check_linearizable(history, RegisterModel(0))
    Traceback (most recent call last):
    ...
    actorflow.sim.failure.SimulationFailure: 'linearizable register' does not hold at 0 s: ...

    Args:
        history: the operations.
        model: says what one client alone would see: `RegisterModel`, `QueueModel`, `LockModel` or your own.
        name: of the property; None: "linearizable" and the name of the model.
        limit: configurations of operations and state that the search may try.

    Raises:
        SimulationFailure: there is no such order.
        DefinitionError: the limit was reached before it was known, or the model does not know an operation.
    """
    if not isinstance(model, Model):
        raise DefinitionError(f"check_linearizable: {stable_text(model)} is no model: give RegisterModel(0), for one")
    objects: dict[Hashable, list[Operation]] = {}
    for operation in history:
        if not operation.is_failed:
            objects.setdefault(operation.key, []).append(operation)
    for key, operations in objects.items():
        search = LinearizationSearch(operations, model, limit)
        if not search.succeeds():
            of = "" if key is None else f" of key {stable_text(key)}"
            raise SimulationFailure(name or f"linearizable {model.name}", now(), f"{search.explain()}{of}")


class Placed(NamedTuple, Generic[S]):
    """An operation of the order: what was before it, and its other states."""

    number: int
    taken: int  # the operations before it, a bit for each
    state: S
    untried: Iterator[S] | None  # None: no other operation need be tried in its place


class TakenBack(NamedTuple, Generic[S]):
    """Operations that were taken back from the order, up to one in whose place another one can be tried."""

    placed: Placed[S] | None  # that one; None: the order is empty now
    ended: int  # how many of them are over


class LinearizationSearch(Generic[S]):
    """The search for an order of the operations of one object.

    Attributes:
        longest: the operations of the longest order that was found.
    """

    def __init__(self, operations: list[Operation], model: Model[S], limit: int) -> None:
        self.longest: list[Operation] = []
        self._state: object = model.initial  # after the longest order
        self._operations = sorted(operations, key=lambda operation: operation.begin)
        self._model = model
        self._limit = limit
        self._seen: set[tuple[int, S]] = set()  # operations taken, a bit for each, and the state after them
        # A linked list of all begins and ends in their order: the begin of operation i is place 2i + 1, its end 2i + 2.
        places = sorted(
            (time, place)
            for i, operation in enumerate(self._operations)
            for time, place in ((operation.begin, 2 * i + 1), (operation.end, 2 * i + 2))
            if time is not None
        )
        self._next = [0] * (2 * len(operations) + 3)  # place 0 is the head; 0 as a next place is the end
        self._before = [0] * (2 * len(operations) + 3)
        last = 0
        for _, place in places:
            self._next[last], self._before[place], last = place, last, place

    def succeeds(self) -> bool:
        """Say whether there is an order.

        Raises:
            DefinitionError: the limit was reached before it was known.
        """
        operations, following = self._operations, self._next
        left = sum(not operation.is_open for operation in operations)
        state, taken = self._model.initial, 0
        order: list[Placed[S]] = []
        place: int | None = None  # of the next operation to try; None: one was placed just now
        while left:
            if place is None:
                number = self._read_of(state)
                if number is not None:
                    order.append(Placed(number, taken, state, None))
                    self._remove(number)
                    left -= 1
                    taken |= 1 << number
                    continue
                place = following[0]
            if place % 2:  # the begin of an operation that can be the next one of the order
                placed = Placed(place // 2, taken, state, self._untried(place // 2, taken, state))
            else:  # the end of one that is not in the order yet: it can come no later, so the last one was wrong
                self._note(order, state)
                found = self._last_choice(order)
                left += found.ended
                if found.placed is None:
                    return False
                placed = found.placed
                state, taken = placed.state, placed.taken
            assert placed.untried is not None
            for after in placed.untried:
                order.append(placed)
                self._remove(placed.number)
                left -= not operations[placed.number].is_open
                state, taken, place = after, taken | 1 << placed.number, None
                break
            else:
                place = following[2 * placed.number + 1]
        return True

    def _read_of(self, state: S) -> int | None:
        """Return the number of an operation that can be next, and changes nothing wherever it fits; None: none can."""
        place = self._next[0]
        while place % 2:
            operation = self._operations[place // 2]
            if not operation.is_open and self._model.is_read(operation) and self._model.step(state, operation):
                return place // 2
            place = self._next[place]
        return None

    def _last_choice(self, order: list[Placed[S]]) -> TakenBack[S]:
        """Take operations back from the order, up to the last one in whose place another one can be tried."""
        ended = 0
        while order:
            placed = order.pop()
            self._restore(placed.number)
            ended += not self._operations[placed.number].is_open
            if placed.untried is not None:
                return TakenBack(placed, ended)
        return TakenBack(None, ended)

    def _untried(self, number: int, taken: int, state: S) -> Iterator[S]:
        """Yield the states that an operation leads to, but for those that were tried with the same operations taken.

        Raises:
            DefinitionError: the limit is reached, or a state cannot be hashed.
        """
        is_open = self._operations[number].is_open
        for after in self._model.step(state, self._operations[number]):
            if is_open and after == state:
                continue  # it need not be in the order, and changes nothing
            configuration = taken | 1 << number, after
            try:
                if configuration in self._seen:
                    continue
            except TypeError as error:
                raise DefinitionError(
                    f"a {self._model.name} that holds {stable_text(after)} cannot be checked: give operations values "
                    "that can be hashed, such as numbers, texts and tuples"
                ) from error
            if len(self._seen) >= self._limit:
                raise DefinitionError(
                    f"after {self._limit:,} tries it is not known whether {len(self._operations)} operations are "
                    "linearizable: give objects keys of their own, have fewer clients at a time, or raise limit="
                )
            self._seen.add(configuration)
            yield after

    def _remove(self, i: int) -> None:
        """Take begin and end of an operation out of the list."""
        following, before = self._next, self._before
        for place in (2 * i + 1, 2 * i + 2):
            if place % 2 or self._operations[i].end is not None:
                following[before[place]] = following[place]
                if following[place]:
                    before[following[place]] = before[place]

    def _restore(self, i: int) -> None:
        """Put begin and end of the operation that was taken out last back into the list."""
        following, before = self._next, self._before
        for place in (2 * i + 2, 2 * i + 1):
            if place % 2 or self._operations[i].end is not None:
                following[before[place]] = place
                if following[place]:
                    before[following[place]] = place

    def _note(self, order: list[Placed[S]], state: S) -> None:
        if len(order) > len(self.longest):
            self.longest = [self._operations[placed.number] for placed in order]
            self._state = state

    def explain(self) -> str:
        """Say how far the longest order comes, and which operations do not fit behind it."""
        in_order = set(map(id, self.longest))
        rest = [operation for operation in self._operations if id(operation) not in in_order]
        must_end = min(operation.end for operation in rest if operation.end is not None)
        fit = [operation for operation in rest if operation.begin < must_end]
        cut = "... " if len(self.longest) > SHOWN else ""
        so_far = cut + ", ".join(map(repr, self.longest[-SHOWN:]))
        start = f"after {so_far} the" if self.longest else "the"
        more = f", and {len(fit) - SHOWN} more" if len(fit) > SHOWN else ""
        return (
            f"{start} {self._model.name} holds {stable_text(self._state)}, and none of these can be next: "
            f"{', '.join(map(repr, fit[:SHOWN]))}{more}"
        )
