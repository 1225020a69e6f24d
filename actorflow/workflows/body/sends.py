"""Sends: the messages of a body to durable actors: a tell is a record, and an ask is a step, whose answer is mail.

They leave in the order in which the code has made them: those that come during a commit wait for the next one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import ProxyCall, ProxyGetAttr, ProxySetAttr
from actorflow.core.messages.messages import Call, Stop
from actorflow.durable.rows.answers import AnswerAddress
from actorflow.durable.rows.payload import pack, with_cause
from actorflow.durable.rows.records import Letter
from actorflow.errors import AskTimeout, DefinitionError
from actorflow.store.error_json import write_error
from actorflow.workflows.body.branch import current_branch
from actorflow.workflows.body.gathering import BodyFuture
from actorflow.workflows.body.steps import NOTHING, BodyStep, error_of
from actorflow.workflows.body.timed_steps import LONGEST_NAP, TimedStep
from actorflow.workflows.rows.records import ASKED, RESULT, TOLD

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.ref import DurableRef
    from actorflow.durable.rows.answers import StepEnded
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.rows.records import Identity, RunRecord


PROXIED: Final = frozenset({ProxyCall, ProxyGetAttr, ProxySetAttr})


class TellStep(BodyStep):
    """A tell: once it is committed, with its record, nothing is left of it to wait for."""

    __slots__ = ("letter",)

    is_send = True

    def __init__(self, body: Body, identity: Identity, start: int, letter: Letter, digest: bytes) -> None:
        super().__init__(body, identity, start, digest)
        self.letter = letter

    def sent_record(self) -> RunRecord:
        """Return the record that is committed with the message."""
        return self.record(TOLD, None, None)


class AskStep(TimedStep):
    """An ask: it is made once, and answered by mail.

    Attributes:
        was_sent: the message is in the mailbox of the actor, or was handled.
        is_ended: its end is in the journal.
    """

    __slots__ = ("is_ended", "letter", "was_sent")

    def __init__(self, body: Body, identity: Identity, start: int, letter: Letter, digest: bytes) -> None:
        super().__init__(body, identity, start, digest, None)
        self.letter = letter
        self.was_sent = self.is_ended = False

    @property
    def is_send(self) -> bool:  # type: ignore[override]
        """Whether the launch of the step puts a message into the next commit."""
        return not self.was_sent

    def sent_record(self) -> RunRecord:
        """Return the record that is committed with the message."""
        return self.record(ASKED, None, None)

    def launch(self) -> None:
        """Take the answer that has come, or wait for it."""
        if not self.is_over and not self.body.mail.take_end(self):
            self.body.node.tell_wait(self)
            self.look()

    def limit(self, seconds: float) -> None:
        """Have the wait end in so many seconds of the body's clock; a second limit counts if it is over earlier."""
        if self.due is None or self.body.now + seconds < self.due:
            self.set_time(seconds)
            if self.is_launched:
                self.look()

    def drop(self) -> bool:
        """Have no timeout any more: nobody waits, and the answer is recorded if it comes."""
        self.due = None
        return False

    def look(self) -> None:
        """End the wait if its time is over."""
        left, node = self.left, self.body.node
        if left is None or self.is_over:
            return
        if left > 0:
            node.scheduler.call_later(min(left, LONGEST_NAP), self.look)
        else:
            self.give_up(f"in {self.seconds:g} s")

    def cut_short(self) -> None:
        """End the wait, as a saga that undoes its steps has waited for long."""
        self.give_up("for long")

    def give_up(self, when: str) -> None:
        """End the wait: the actor may act all the same."""
        if self._ends():
            error = AskTimeout(f"no answer to {self.identity[1]} came {when}")
            self.body.arrive(self.record(RESULT, None, write_error(error)))

    def finish(self, ended: StepEnded, mail: int) -> None:
        """Record the answer; one that comes behind the timeout is dropped."""
        if self._ends():
            value = (ended.value or NOTHING) if ended.error is None else None
            self.body.arrive(self.record(RESULT, value, ended.error), mail)

    def _ends(self) -> bool:
        with self.body.lock:
            is_first = not self.is_ended and self.body.open.get(self.identity) is self
            self.is_ended = True
        return is_first

    @property
    def is_over(self) -> bool:
        """Whether the end is recorded, or the code is over."""
        return self.body.is_over or self.is_ended or self.identity not in self.body.open

    def hear(self, record: RunRecord) -> None:
        """Set the future: the value, or the error that the actor has raised."""
        if record.value is not None:
            self.future._settle(self.body.node.read(record.value), None)
            return
        error = error_of(self.identity[1], record.error)
        if self.due is not None and isinstance(error, AskTimeout):
            self.body.mail.dismiss(self.identity)
        self.future._settle(None, error)


class AskFuture(BodyFuture):
    """The future of an ask: it may be waited for with a timeout."""

    __slots__ = ()

    step: AskStep

    def _drop(self, error: BaseException) -> None:
        """End with the error of the code that awaited it, and have nobody wait for the answer."""
        if self._settle(None, error):
            self.step.abandon()


class Sends:
    """The messages of one body to durable actors.

    Attributes:
        untold: the records of those that were sent when the run was loaded, and that the code has not come to.
        unlaunched: how many wait for the commit of what the code had heard of.
        barrier: the record of the last one that is on its way: no step begins before that is committed.
    """

    __slots__ = ("_body", "_is_under_way", "_queue", "barrier", "unlaunched", "untold")

    def __init__(self, body: Body) -> None:
        self._body = body
        self._queue: list[tuple[RunRecord, Letter]] = []
        self._is_under_way = False
        self.untold: dict[Identity, RunRecord] = {}
        self.unlaunched = 0
        self.barrier = 0

    def make(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:
        """Send a message, for which the code waits by `future`, if at all.

        Raises:
            DefinitionError: the actor is not durable, or is to be stopped.
            PayloadError: a part of the message cannot be stored.
        """
        body = self._body
        if type(message) is Stop:
            raise DefinitionError(
                f"the body of run {body.run.name} stops {ref.path}, and a replay would stop it again: have a task do "
                "it, as a step"
            )
        if not body.node.durable.keeps(ref):
            raise DefinitionError(
                f"the body of run {body.run.name} sends {ref.path} a message, and a replay would send it again: have "
                "a task send it, as a step, or make the actor durable"
            )
        durable: DurableRef = ref  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        plain = pack(message, body.node.site.payload_limit)
        letter, digest = Letter(durable._key, with_cause(plain, body.run.event)), digest_of(plain)
        how = "tell" if future is None else "ask"
        identity, start = (current_branch() or body.trunk).next(f"{how} {durable._key}.{name_of(message)}")
        if future is None:
            self._begin_tell(TellStep(body, identity, start, letter, digest))
            return
        letter.asker = AnswerAddress(body.run.address, [body.run.turn, *identity]).text
        step = AskStep(body, identity, start, letter, digest)
        step.was_sent = self.sent(step) is not None
        step.future = as_ask(future, step)
        self.unlaunched += not step.was_sent
        body.begin(step)

    def _begin_tell(self, step: TellStep) -> None:
        if self.sent(step) is None:
            self.unlaunched += 1
            self._body.begin_send(step)

    def sent(self, step: BodyStep) -> RunRecord | None:
        """Return the record by which the message, or the job, of a step has left; None if it has not.

        Raises:
            Unload: it is there with another message, or at another place.
        """
        record = self.untold.pop(step.identity, None) if self.untold else None
        if record is not None and (record.start, record.hash) != (step.start, step.hash):
            raise self._body.misfit(step.identity, step)
        return record

    def check_told(self) -> None:
        """Refuse code that waits, with nothing left to hear of, and has not made all sends that are recorded.

        Raises:
            Unload: there is one that it has not made.
        """
        if self.untold and not self._body.is_replaying:
            raise self._body.misfit(next(iter(self.untold)), None)

    def leave(self, step: Any) -> None:
        """Have a message leave with the next commit; the body's lock is held."""
        record: RunRecord = step.sent_record()
        self._body.number(record)
        self.unlaunched -= 1
        self.barrier = record.n
        self._queue.append((record, step.letter))
        if not self._is_under_way:
            self._is_under_way = True
            self._go()

    def _go(self) -> None:
        queue, self._queue = self._queue, []
        self._body.node.send(self._body, queue)

    def put_back(self, sends: list[tuple[RunRecord, Letter]]) -> None:
        """Have some leave before those that have come meanwhile: there was no room for all."""
        with self._body.lock:
            self._queue[:0] = sends

    def committed(self) -> None:
        """Have those leave that have come meanwhile."""
        with self._body.lock:
            self._is_under_way = bool(self._queue)
            if self._queue:
                self._go()


def as_ask(future: Future[Any], step: AskStep) -> Future[Any]:
    """Make the future of an ask one that the body sets as it hears of a record, in whatever class it came."""
    future.__class__ = AskFuture
    future._target = None  # nobody else answers it, and no setting bounds the wait
    future.step = step  # type: ignore[attr-defined]
    return future


def digest_of(plain: bytes) -> bytes:
    """Return the hash of a message, by which a replay is compared; its cause does not count."""
    return hashlib.blake2b(plain, digest_size=16).digest()


def name_of(message: Any) -> str:
    """Return the name that a message has in a step's: of its method, or of its class."""
    if isinstance(message, Call):
        return message.name
    path: tuple[str, ...] | None = getattr(message, "attr_path", None) if type(message) in PROXIED else None
    if path is not None:
        return ".".join(path)
    return type(message).__qualname__
