"""Session: the model of a chart that was read from SCXML: variables, log, and the services for its content."""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.machine.running.event import Event
from actorflow.machine.running.snapshot import event_of as event_of_dict
from actorflow.machine.running.snapshot import event_to_dict, shown
from actorflow.machine.scxml.datamodels import DATAMODELS
from actorflow.machine.scxml.elements import Element
from actorflow.machine.scxml.family import Family
from actorflow.machine.scxml.limits import MAX_STEPS, EvaluationError, LimitExceeded
from actorflow.machine.scxml.sending import PROCESSOR, Delayed, SelfSent, event_of
from actorflow.machine.scxml.source import DocumentSource
from actorflow.machine.scxml.stored import data_of, kept, plain

if TYPE_CHECKING:
    from actorflow.machine.running.interpreter import Interpreter

NUMBERS: Final = itertools.count(1)
MAX_LOG: Final = 10_000  # lines that a session keeps
SESSIONS: Final[weakref.WeakValueDictionary[str, Session]] = weakref.WeakValueDictionary()


def new_session_id() -> str:
    """Return an id that is new in this process."""
    return f"session-{next(NUMBERS)}"


class Session:
    """One run of a document: give it to the interpreter as the model, then `attach` the interpreter, then start that.

    Attributes:
        id: `_sessionid`; "#_scxml_<id>" is its address in `<send>`.
        name: `_name`.
        data: the variables.
        log: the lines of `<log>`: [label, value].
        bound: states whose data has its values.
        invokeid: of the `<invoke>` that made it.
        failure: the first limit that the document exceeded.
        sent: how many events it has sent.
        family: the sessions that are counted with it: those that it has invoked, and that has invoked it.
        cancelled: its parent has left the state that invoked it.
    """

    def __init__(
        self,
        name: str = "",
        *,
        id: str | None = None,
        values: dict[str, Any] | None = None,
        invokeid: str | None = None,
        language: str = "python",
        family: Family | None = None,
    ) -> None:
        self.id = id or new_session_id()
        self.family = family or Family()
        self.family.join(self)
        self.cancelled = False
        self.invoked: dict[Any, str] = {}  # ids of the sessions of its children, by child
        self.name = name
        self.language = language
        self.invokeid = invokeid
        self.given = values or {}
        self.data: dict[str, Any] = {}
        self.log: list[list[Any]] = []
        self.bound: list[str] = []
        self.failure: str | None = None
        self.sent = 0
        self._left = MAX_STEPS
        self._since = 0.0
        self._interpreter: Interpreter | None = None
        self._parent: Callable[[Event], bool] | None = None
        self._receive: Callable[[Event], bool] | None = None
        self._event: tuple[Event | None, Any] = (None, None)
        self._system: dict[str, Any] | None = None
        self._delayed: dict[str, Delayed] = {}
        self._given = 0  # numbers in ids

    # --- what surrounds it -------------------------------------------------------------------------------------------

    @property
    def interpreter(self) -> Interpreter:
        """The interpreter that runs the session."""
        assert self._interpreter is not None, "the session is not attached to an interpreter"
        return self._interpreter

    def attach(
        self,
        interpreter: Interpreter,
        *,
        parent: Callable[[Event], bool] | None = None,
        receive: Callable[[Event], bool] | None = None,
    ) -> None:
        """Join the session with its interpreter, before that starts.

        Args:
            interpreter: has the session as its model.
            parent: takes events for "#_parent", for a session that was invoked; False: there is nobody any more.
            receive: takes events of other sessions, from any thread; without it, the interpreter does.
        """
        self._interpreter = interpreter
        self._parent = parent
        self._receive = receive or self._take
        SESSIONS[self.id] = self

    def _take(self, event: Event) -> bool:
        """Handle an event of another session at once."""
        if self.interpreter.done:
            return False
        self.interpreter.send_event(event)
        return True

    # --- the scope of expressions ------------------------------------------------------------------------------------

    def system(self, name: str) -> Any:
        """Return a system variable."""
        if name == "_event":
            return self._current()
        if self._system is None:
            place = {"location": f"#_scxml_{self.id}"}
            processors = {PROCESSOR: place, "scxml": place}
            self._system = {"_sessionid": self.id, "_name": self.name, "_ioprocessors": processors, "_x": {}}
        try:
            return self._system[name]
        except KeyError:
            raise EvaluationError(f"there is no variable {name!r}") from None

    def _current(self) -> Any:
        event = self.interpreter.event
        if event is not self._event[0]:
            self._event = (event, self.described(event) if event is not None else self.missing)
        return self._event[1] if event is not None else self.missing

    @property
    def missing(self) -> Any:
        """The value of a variable without one: None, or undefined."""
        return DATAMODELS[self.language].missing

    def described(self, event: Event) -> dict[str, Any]:
        """Return an event as `_event` (5.10.1)."""
        data = event.kwargs if event.kwargs and not event.args else event.data
        if isinstance(data, BaseException):
            data = f"{type(data).__name__}: {data}"
        missing = self.missing
        fields = {
            "name": event.name,
            "type": event.kind,
            "sendid": event.sendid,
            "origin": event.origin,
            "origintype": event.origintype,
            "invokeid": event.invokeid,
            "data": data,
        }
        return {key: missing if value is None else value for key, value in fields.items()}

    def in_state(self, name: str) -> bool:
        """Say whether a state is active: `In`."""
        return self.interpreter.in_state(name)

    def begin(self) -> None:
        """Begin a block or a condition. An event from outside brings a new budget of steps, and so does time."""
        event = self._interpreter.event if self._interpreter is not None else None
        if event is not None and event is not self._event[0]:
            self._current()
            from_child = event.invokeid is not None
            if (event.kind == "external" or from_child) and event.__class__ is not SelfSent:
                now = self.interpreter._platform.time()
                if now > self._since or not (from_child or event.origin):
                    self._left = MAX_STEPS
                self._since = now
        self.spend(1)

    def spend(self, steps: int) -> None:
        """Count steps of evaluation.

        Raises:
            LimitExceeded: there were too many since the last event from outside.
        """
        self._left -= steps
        if self._left < 0:
            raise LimitExceeded(f"more than {MAX_STEPS:,} steps of evaluation for one event")
        family = self.family
        family.steps += steps
        if family.steps > family.room:
            family.weigh()

    def held(self) -> list[Any]:
        """List the objects that the session keeps alive: variables, log lines, and the data of events that wait."""
        pending = self._interpreter._pending if self._interpreter is not None else None
        held: list[Any] = [self.data, self.given, *self.log]
        held += [delayed.event for delayed in list(self._delayed.values())]
        if pending is not None:
            held += [*pending.internal, *pending.external]
            held += [due.event for due in list(pending.timers.values()) if due.event is not None]
        return [one.args if isinstance(one, Event) else one for one in held]

    # --- the end -----------------------------------------------------------------------------------------------------

    def cancel_invoked(self, child: Any) -> None:
        """Cancel the session of a child: its sends from now on are dropped, and its states are exited (6.4)."""
        session = SESSIONS.get(self.invoked.pop(child, ""))
        if session is not None:
            session.be_cancelled()

    def be_cancelled(self) -> None:
        """End with the state that has invoked the session; so do those that it has invoked."""
        self.cancelled = True
        for child in list(self.invoked):
            self.cancel_invoked(child)

    def close(self) -> None:
        """Count no more, and send nothing more: the session is over."""
        self.family.leave(self)
        for delayed in self._delayed.values():
            delayed.cancel()
        self._delayed.clear()

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def _snapshot_data(self) -> dict[str, Any]:
        """Return the parts that a snapshot of the interpreter lacks: variables, log, and delayed sends to others."""
        return {
            "session": self.id,
            "variables": {name: kept(name, value) for name, value in self.data.items()},
            "bound": list(self.bound),
            "log": [[label, shown([plain(value)])[0]] for label, value in self.log],
            "counts": [self.sent, self._given],
            "failure": self.failure,
            "sends": [
                {"key": key, "event": event_to_dict(one.event, "delayed"), "where": one.where, "due": one.due}
                for key, one in self._delayed.items()
            ],
        }

    def _restore_data(self, interpreter: Interpreter, data: dict[str, Any]) -> None:
        """Go back to the state of a snapshot; sends to others that are still to come keep their time."""
        SESSIONS.pop(self.id, None)
        self.id = data["session"]
        if self._interpreter is None:
            self.attach(interpreter)
        SESSIONS[self.id] = self
        self.data = {name: data_of(value, self.missing) for name, value in data["variables"].items()}
        self.bound, self.failure = data["bound"], data["failure"]
        self.log = [[label, data_of(value, self.missing)] for label, value in data["log"]]
        self.sent, self._given = data["counts"]
        now = interpreter._platform.time()
        for send in data["sends"]:
            self._delay(send["key"], event_of_dict(send["event"]), send["where"], max(0.0, send["due"] - now))

    # --- what content asks for ---------------------------------------------------------------------------------------

    def write_log(self, label: str | None, value: Any) -> None:
        """Keep a line of `<log>`, and drop the oldest line of too many."""
        self.log.append([label, value])
        if len(self.log) > MAX_LOG:
            del self.log[0]
        logger.info("%s: %s: %s", self.name or self.id, label, value)

    def raise_error(
        self,
        error: Exception,
        source: DocumentSource | None = None,
        element: Element | None = None,
        *,
        name: str = "error.execution",
        sendid: str | None = None,
    ) -> None:
        """Queue an error as an internal event."""
        place = f" (at {source.file}:{element.line}, in <{element.tag}>)" if source and element else ""
        logger.info("%s: %s: %s%s", self.name or self.id, name, error, place)
        if isinstance(error, LimitExceeded) and self.failure is None:
            self.failure = f"{error}{place}"
        sendid = sendid or getattr(error, "sendid", None)
        self.interpreter.enqueue(Event(name, (error,), kind="platform", sendid=sendid))

    def new_id(self, prefix: str) -> str:
        """Return an id that the session has not given before."""
        return f"{prefix}.{self.id}.{self._number()}"

    def _number(self) -> int:
        self._given += 1
        return self._given

    def send(
        self, name: str, value: Any, *, where: Any = None, seconds: float = 0.0, sendid: str | None = None
    ) -> None:
        """Send an event: to the session itself, its parent, a child, another session; now or later."""
        event = event_of(self, name, value, sendid)
        self.sent += 1
        if where == "#_internal":
            event.kind, event.origin, event.origintype = "internal", None, None
            self.interpreter.enqueue(event)
            return
        if where in {None, "", f"#_scxml_{self.id}"}:
            self._send_to_self(event, seconds, sendid)
            return
        if not (isinstance(where, str) and where.startswith("#_")):
            raise EvaluationError(f"the target {where!r} is not supported")
        if seconds:
            self._delay(f"{sendid or 'send'} #{self._number()}", event, where, seconds)
        else:
            self._deliver(event, where, sendid)

    def _send_to_self(self, event: Event, seconds: float, sendid: str | None) -> None:
        if seconds:
            key = f"{sendid or 'send'} #{self._number()}"
            self.interpreter.start_event_timer(key, seconds, event)
        else:
            again = SelfSent(event.name, event.args, sendid=sendid, origin=event.origin, origintype=event.origintype)
            self.interpreter.send_event(again)

    def _delay(self, key: str, event: Event, where: str, seconds: float) -> None:
        def fire() -> None:
            del self._delayed[key]
            if not self.interpreter.done:  # what a session has not sent yet ends with it (6.2.4)
                self._deliver(event, where, event.sendid)

        platform = self.interpreter._platform
        self._delayed[key] = Delayed(event, where, platform.time() + seconds, platform.add_timer(seconds, fire))

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be sent later."""
        return bool(self._delayed) or (self._interpreter is not None and self._interpreter.due is not None)

    def cancel(self, sendid: str) -> None:
        """Cancel a delayed send that has not been delivered."""
        for key in list(self.interpreter.timers):
            if isinstance(key, str) and key.rpartition(" #")[0] == sendid:
                self.interpreter.cancel_timer(key)
        for key in list(self._delayed):
            if key.rpartition(" #")[0] == sendid:
                self._delayed.pop(key).cancel()

    def _deliver(self, event: Event, where: str, sendid: str | None) -> None:
        """Give an event to another session; error.communication if there is none."""
        if where == "#_parent":
            if self.cancelled:
                return  # it ignores what it gets from a session that it has cancelled (6.4.3)
            receive = self._parent
        elif where.startswith("#_scxml_"):
            other = SESSIONS.get(where.removeprefix("#_scxml_"))
            receive = None if other is None else other._receive
        else:
            receive = self._child(where.removeprefix("#_"))
        if receive is None or not receive(event):
            lost = EvaluationError(f"there is no session at {where!r}")
            self.raise_error(lost, name="error.communication", sendid=sendid)

    def _child(self, invokeid: str) -> Callable[[Event], bool] | None:
        pending = self.interpreter._pending
        for invoke, child in () if pending is None else pending.children.values():
            if invoke.id == invokeid:
                return functools.partial(self._pass_on, child)
        return None

    def _pass_on(self, child: Any, event: Event) -> bool:
        self.interpreter._platform.forward(child, event)
        return True

    # --- data --------------------------------------------------------------------------------------------------------

    def bind(self, name: str, value: Callable[[Session], Any] | None, source: DocumentSource, element: Element) -> None:
        """Give a variable its first value; without one, or when that fails, it has none (5.3.2)."""
        if name in self.given:
            self.data[name] = self.given[name]
            return
        self.data[name] = self.missing
        try:
            if value is not None:
                self.data[name] = value(self)
        except Exception as error:  # noqa: BLE001 - the document may handle it
            self.raise_error(error, source, element)
