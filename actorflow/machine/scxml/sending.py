"""`<send>`, `<cancel>`, and the parts that sends and invokes share: param, namelist, content."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorflow.machine.running.event import Event
from actorflow.machine.scxml.code import Code
from actorflow.machine.scxml.elements import Element
from actorflow.machine.scxml.limits import EvaluationError, copy
from actorflow.machine.scxml.source import DocumentSource

if TYPE_CHECKING:
    from actorflow.machine.scxml.session import Session

PROCESSOR: Final = "http://www.w3.org/TR/scxml/#SCXMLEventProcessor"
TYPES: Final = ("scxml", "http://www.w3.org/TR/scxml", PROCESSOR)
UNITS: Final = {"s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0, "d": 86400.0}


def compile_send(source: DocumentSource, element: Element) -> Callable[[Session], None]:
    """Compile `<send>` (6.2)."""
    event = source.either(element, "event")
    target = source.either(element, "target")
    kind = source.either(element, "type")
    delay = source.either(element, "delay")
    source.one_of(element, "id", "idlocation")
    sendid, place = element.get("id"), source.place(element, "idlocation")
    data = compile_data(source, element)
    if event is None and not element.all("content"):
        raise source.error(element, "give event or eventexpr")
    if element.get("target") == "#_internal" and delay is not None:
        raise source.error(element, "an event for #_internal cannot have a delay")
    if element.get("delay") is not None:
        try:
            seconds_of(element.get("delay"))
        except EvaluationError as error:
            raise source.error(element, str(error)) from None

    def run(session: Session) -> None:
        session.spend(10)
        number = sendid
        if place is not None:
            number = session.new_id("send")
            place(session, number)
        try:
            how = None if kind is None else str(kind(session))
            if how is not None and how.rstrip("/") not in TYPES:
                raise EvaluationError(f"the type {how!r} is not supported")
            name = "" if event is None else _name(event(session))
            where = None if target is None else target(session)
            seconds = 0.0 if delay is None else seconds_of(delay(session))
            session.send(name, _sent(session, data), where=where, seconds=seconds, sendid=number)
        except EvaluationError as error:
            error.sendid = number
            raise

    return run


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise EvaluationError(f"an event's name is a string, not {value!r}")
    return value


def _sent(session: Session, data: Code | None) -> Any:
    return None if data is None else copy(session, data(session))


def compile_cancel(source: DocumentSource, element: Element) -> Callable[[Session], None]:
    """Compile `<cancel>` (6.3)."""
    source.one_of(element, "sendid", "sendidexpr", needed=True)
    sendid = source.either(element, "sendid")

    def run(session: Session) -> None:
        assert sendid is not None
        session.cancel(str(sendid(session)))

    return run


def seconds_of(delay: Any) -> float:
    """Convert a delay, such as "1.5s", "20ms" or "2", to seconds.

    >>> seconds_of("20ms"), seconds_of(".5s"), seconds_of(2)
    (0.02, 0.5, 2.0)
    """
    if isinstance(delay, int | float) and not isinstance(delay, bool) and 0 <= delay < 1e9:
        return float(delay)
    match = re.fullmatch(r"\s*\+?(\d{1,9}\.?\d{0,9}|\.\d{1,9})\s*(ms|s|m|h|d)?\s*", str(delay))
    if match is None:
        raise EvaluationError(f"{delay!r} is not a delay; write '1.5s' or '200ms'")
    return round(float(match[1]) * UNITS[match[2] or "s"], 9)


# --- what is sent along -----------------------------------------------------------------------------------------------


def compile_params(source: DocumentSource, element: Element) -> tuple[list[tuple[str, Code]], list[tuple[str, Code]]]:
    """Compile `namelist` and `<param>` (5.7): names with the code of their values."""
    names = (element.get("namelist") or "").split()
    listed = []
    for name in names:
        code = source.expression(Element(element.tag, {"namelist": name}, (), element.line), "namelist")
        assert code is not None
        listed.append((name, code))
    params = []
    for param in element.all("param"):
        attribute = source.one_of(param, "expr", "location", needed=True)
        assert attribute is not None
        code = source.expression(param, attribute)
        assert code is not None
        params.append((source.need(param, "name"), code))
    return listed, params


def compile_data(source: DocumentSource, element: Element, *, lenient: bool = False) -> Code | None:
    """Compile the data of an event: namelist and params as an object, or content as any value; None without.

    `lenient`: a param without a value is left out, with error.execution, as in `<donedata>` (5.7.1).
    """
    contents = element.all("content")
    listed, params = compile_params(source, element)
    if contents:
        if len(contents) > 1 or listed or params:
            raise source.error(element, "<content> cannot be combined with namelist, <param> or a second <content>")
        return source.value_of(contents[0])
    if not (listed or params):
        return None

    def run(session: Session) -> dict[str, Any] | None:
        values: dict[str, Any] = {}
        for name, code in (*listed, *params):
            try:
                values[name] = code(session)
            except Exception as error:
                if not lenient:
                    raise
                session.raise_error(error)
        return values or None  # where every param failed there is no data (5.7.1)

    return run


def event_of(session: Session, name: str, value: Any, sendid: str | None) -> Event:
    """Make an event as the SCXML event processor does (C.1)."""
    return Event(
        name,
        () if value is None else (value,),
        sendid=sendid,
        origin=f"#_scxml_{session.id}",
        origintype=PROCESSOR,
        invokeid=session.invokeid,
    )


class SelfSent(Event):
    """An event that a session sends to itself without delay: it goes on with the current work, on the same budget."""

    __slots__ = ()


class Delayed(NamedTuple):
    """An event that is to be sent to another session at `due`, in seconds since the epoch."""

    event: Event
    where: str
    due: float
    cancel: Callable[[], object]
