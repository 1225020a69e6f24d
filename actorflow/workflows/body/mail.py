"""Mail: the signals to a run that its body has not taken yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from actorflow.durable.rows import ledger as mailboxes
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import Letter
from actorflow.store.error_json import name_of_class
from actorflow.workflows.rows.records import RESULT

if TYPE_CHECKING:
    from actorflow.durable.rows.answers import StepEnded
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.body.timed_steps import SignalStep
    from actorflow.workflows.rows.records import Identity, RunRecord
    from actorflow.workflows.signals import ChildEnded

MOST_TOLD: Final = 1000  # transient signals that wait at once


@dataclass(slots=True, eq=False)
class Returned:
    """A signal that a wait was given which nobody waited for any more; it is for the next.

    Attributes:
        is_given: the next was given it, and has not heard of that.
    """

    signal: Any
    value: bytes
    is_given: bool = False


SHOWN = 5  # classes of signals that a warning names
AGAIN = 2  # the attempt in the record of a wait that was given a signal which another one has returned


class EndedByMail(Protocol):
    """A step whose end is mail to the run."""

    identity: Identity

    def finish(self, ended: Any, mail: int, /) -> None:
        """Record the end, and take the row of the mailbox that told of it."""
        ...


class Mail:
    """The signals to one run, and the waits for them: each signal goes to the first wait for its class.

    Attributes:
        upto: the number up to which its rows were read.
        told: transient signals so far: these have no row, and a number below 0 in its place.
        told_left: those of them that no wait has taken.
    """

    __slots__ = (
        "_body",
        "_dismissed",
        "_ends",
        "_returned",
        "_signals",
        "_waits",
        "questions",
        "told",
        "told_left",
        "upto",
    )

    def __init__(self, body: Body) -> None:
        self._body = body
        self.upto = self.told = self.told_left = 0
        self.questions: dict[int, None] = {}  # rows of queries that are not answered
        self._signals: list[tuple[int, Any, bytes]] = []  # row, signal, and the signal as it is recorded
        self._returned: list[Returned] = []
        self._waits: list[SignalStep] = []
        self._ends: dict[Identity, tuple[int, ChildEnded | StepEnded]] = {}  # by the step that waits for each
        self._dismissed: dict[Identity, None] = {}  # steps that have ended without: what comes for them is dropped

    def tell(self, signal: Any, value: bytes) -> bool:
        """Take in a signal that has no row; False if the code is over, or has not taken many of them."""
        with self._body.lock:
            if self._body.is_over or self.told_left >= MOST_TOLD:
                return False
            self.told += 1
            self.put(-self.told, signal, value)
            return True

    def drop_told(self) -> list[Any]:
        """Return the transient signals that no wait has taken, and forget them: the code is unloaded, or has ended."""
        with self._body.lock:
            told = [signal for row, signal, _ in self._signals if row < 0] if self.told else []
            self._signals.clear()
            self.told_left = 0
            return told

    @property
    def handled(self) -> int:
        """The number of the row up to which the next owner of the run has nothing to read again."""
        return min([self.upto, *(row - 1 for row in self.questions)])

    def put(self, row: int, signal: Any, value: bytes) -> None:
        """Take in a signal: give it to the first wait for its class, or keep it."""
        with self._body.lock:
            for wait in self._waits:
                if isinstance(signal, wait.kind):
                    self._waits.remove(wait)
                    self._give(wait, row, value)
                    return
            self._signals.append((row, signal, value))
            self.told_left += row < 0

    def put_end(self, row: int, ended: ChildEnded | StepEnded) -> None:
        """Take in the end of a child, a job or an ask: record it, or keep it until the code has come to its step."""
        turn, *where = ended.step
        identity: Any = tuple(where)
        with self._body.lock:
            if turn != self._body.run.turn or identity in self._dismissed:
                self._body.node.drop_mail(self._body, row)
                return
            self._ends[identity] = (row, ended)
            step = self._body.open.get(identity)
        if step is not None and step.is_launched:
            self.take_end(step)  # type: ignore[arg-type]

    def take_end(self, step: EndedByMail) -> bool:
        """Record the end of a step that has come; False if it has not."""
        with self._body.lock:
            row, ended = self._ends.pop(step.identity, (0, None))
        if ended is None:
            return False
        step.finish(ended, row)
        return True

    def dismiss(self, identity: Identity) -> None:
        """Drop the end of a step that has ended without it, come or yet to come."""
        with self._body.lock:
            self._dismissed[identity] = None
            row, ended = self._ends.pop(identity, (0, None))
        if ended is not None:
            self._body.node.drop_mail(self._body, row)

    def take(self, wait: SignalStep) -> bool:
        """Give a wait the first signal of its class that is kept; False if there is none: then it is given the next."""
        with self._body.lock:
            for one in self._returned:
                if not one.is_given and isinstance(one.signal, wait.kind):
                    self._give_again(wait, one)
                    return True
            for place, (row, signal, value) in enumerate(self._signals):
                if isinstance(signal, wait.kind):
                    del self._signals[place]
                    self.told_left -= row < 0
                    self._give(wait, row, value)
                    return True
            self._waits.append(wait)
            return False

    def give_up(self, wait: SignalStep) -> None:
        """End a wait whose time is over."""
        with self._body.lock:
            if wait in self._waits:
                self._waits.remove(wait)
                self._body.arrive(wait.record(RESULT, None, None))

    def untaken(self) -> list[str]:
        """Return the classes of the signals that no wait has taken, a few of them."""
        with self._body.lock:
            signals = [signal for _, signal, _ in self._signals] + [one.signal for one in self._returned]
        return list(dict.fromkeys(name_of_class(type(signal)) for signal in signals))[:SHOWN]

    def drop(self, wait: SignalStep) -> None:
        """Give a wait no signal any more."""
        with self._body.lock:
            if wait in self._waits:
                self._waits.remove(wait)

    def heard(self, record: RunRecord, *, is_dropped: bool) -> None:
        """Note that the code hears of the end of a wait; if nobody waits any more, the signal is for the next one."""
        if record.value is None or not (is_dropped or record.attempt == AGAIN):
            return
        with self._body.lock:
            if record.attempt == AGAIN:
                values = [one.value for one in self._returned]
                del self._returned[values.index(record.value)]
            if is_dropped:
                one = Returned(self._body.node.read(record.value), record.value)
                self._returned.append(one)
                for wait in self._waits:
                    if isinstance(one.signal, wait.kind):
                        self._waits.remove(wait)
                        self._give_again(wait, one)
                        return

    def keep_returned(self, transaction: Transaction) -> None:
        """Put the signals that waits have returned into the mailbox, as the run begins anew."""
        for one in self._returned:
            if not one.is_given:
                runtime = self._body.node.durable
                letter = Letter(self._body.run.address, pack(one.signal, self._body.node.site.payload_limit))
                mailboxes.put(transaction, runtime, letter)

    def _give_again(self, wait: SignalStep, one: Returned) -> None:
        one.is_given = True
        self._body.arrive(wait.record(RESULT, one.value, None, attempt=AGAIN))

    def _give(self, wait: SignalStep, row: int, value: bytes) -> None:
        self._body.arrive(wait.record(RESULT, value, None), row if row > 0 else None)
