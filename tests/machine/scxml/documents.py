"""Running documents in tests: on virtual time, as actors."""

from __future__ import annotations

from typing import Any, NamedTuple

from actorflow.machine.scxml import load
from actorflow.machine.scxml.actor import ScxmlActor
from actorflow.testing import VirtualSystem

ENDS = "<final id='pass'/><final id='fail'/>"


class Outcome(NamedTuple):
    configuration: list[str]
    log: list[list[Any]]
    data: dict[str, Any]
    time: float  # virtual seconds


def document(body: str, **attributes: str) -> str:
    """A whole document around a body; python is its data model unless told otherwise; it ends in pass or fail."""
    given = {"datamodel": "python", "version": "1.0", **attributes}
    text = " ".join(f'{name}="{value}"' for name, value in given.items())
    return f'<scxml xmlns="http://www.w3.org/2005/07/scxml" {text}>{body}{ENDS}</scxml>'


def run(source: Any, *events: Any, seconds: float = 60) -> Outcome:
    """Run a document's text or file; an event is a name or (name, data)."""
    with VirtualSystem("test") as system:
        ref = system.spawn(ScxmlActor, load(source))
        for event in events:
            name, *args = (event,) if isinstance(event, str) else event
            ref.send(name, *args).get()
        system.sleep(seconds)
        report = ref.call(ScxmlActor.report).get()
        session = ref.proxy().model.get()
        last = ref.history[-1].time if ref.history else 0
        return Outcome(report.configuration, report.log, dict(session.data), last)


def passes(body: str, *events: Any, **attributes: str) -> None:
    """The document reaches its state "pass"."""
    outcome = run(document(body, **attributes), *events)
    assert outcome.configuration == ["pass"], outcome
