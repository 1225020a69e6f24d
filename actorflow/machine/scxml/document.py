"""ScxmlChart: a chart that was read from SCXML, with the data for which a chart has no place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import Chart
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.running.platform import ALONE, Platform
from actorflow.machine.scxml.elements import Element
from actorflow.machine.scxml.family import Family
from actorflow.machine.scxml.session import Session
from actorflow.machine.scxml.source import DocumentSource

if TYPE_CHECKING:
    from actorflow.machine.running.program import Program


@dataclass(frozen=True, eq=False)
class ScxmlChart(Chart):
    """A chart that was read from a document. Its models are sessions: `chart.session()` makes one.

    It pickles as its document, and is compiled again where it arrives.

    Attributes:
        document: the root element.
        source: the document's file and language.
    """

    _read_element: ClassVar[Callable[..., Any]]  # scxml.reader, which makes such charts, puts it here

    document: Element = field(default_factory=lambda: Element("scxml"))
    source: DocumentSource = field(default_factory=lambda: DocumentSource(""))

    def session(
        self,
        *,
        id: str | None = None,
        values: dict[str, Any] | None = None,
        invokeid: str | None = None,
        family: Family | None = None,
    ) -> Session:
        """Make a model for one run.

        Args:
            id: the session's id; else one that is new in this process.
            values: of variables at the top, in place of the document's own.
            invokeid: of the invoke that starts it.
            family: the sessions that it is counted with.
        """
        known = {data.get("id") for model in self.document.all("datamodel") for data in model.all("data")}
        given = {name: value for name, value in (values or {}).items() if name in known}
        return Session(self.name, id=id, values=given, invokeid=invokeid, language=self.source.language, family=family)

    def interpreter(
        self, *, values: dict[str, Any] | None = None, platform: Platform = ALONE, history: int = 32, start: bool = True
    ) -> Interpreter:
        """Make an interpreter on a new session, without an actor: its delays fire in `advance()`.

        Invoked sessions are actors, so a document with `<invoke>` is spawned: `system.spawn(ScxmlActor, chart)`.

        >>> from actorflow.machine.scxml import load
        >>> lamp = load('''<scxml datamodel="python"><datamodel><data id="n" expr="0"/></datamodel>
        ...   <state id="off">
        ...     <transition event="press" target="on"><assign location="n" expr="n + 1"/></transition></state>
        ...   <state id="on"><transition event="press" target="off"/></state></scxml>''').interpreter()
        >>> lamp.send("press")
        >>> lamp.state, lamp.model.data
        ('on', {'n': 1})
        """
        session = self.session(values=values)
        interpreter = Interpreter(self, session, platform=platform, history=history, start=False)
        session.attach(interpreter)
        if start:
            interpreter.start()
        return interpreter

    def program(self, model_class: type) -> Program:
        """Return the chart made ready for sessions.

        Raises:
            DefinitionError: the model is none.
        """
        if not issubclass(model_class, Session):
            msg = (
                f"{self.name!r} was read from SCXML, and its model is a session: "
                "system.spawn(ScxmlActor, chart), or chart.interpreter() without actors"
            )
            raise DefinitionError(msg)
        return super().program(model_class)

    def __reduce__(self) -> tuple[Any, ...]:
        return ScxmlChart._read_element, (self.document, self.source)
