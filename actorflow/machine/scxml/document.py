"""ScxmlChart: a chart that was read from SCXML, with what the chart itself has no place for: its data. Layer 3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from actorflow.machine.chart import Chart
from actorflow.machine.scxml.elements import Element
from actorflow.machine.scxml.session import Session
from actorflow.machine.scxml.source import Source


@dataclass(frozen=True, eq=False)
class ScxmlChart(Chart):
    """A chart that was read from a document. Its models are sessions: `chart.session()` makes one.

    It pickles as its document, and is compiled again where it arrives.

    Attributes:
        document: the root element.
        source: the document's file and language.
    """

    document: Element = field(default_factory=lambda: Element("scxml"))
    source: Source = field(default_factory=lambda: Source(""))

    def session(
        self, *, id: str | None = None, values: dict[str, Any] | None = None, invokeid: str | None = None
    ) -> Session:
        """Make a model for one run.

        Args:
            id: the session's id; else one that is new in this process.
            values: of variables at the top, in place of what the document gives them.
            invokeid: of the invoke that starts it.
        """
        known = {data.get("id") for model in self.document.all("datamodel") for data in model.all("data")}
        given = {name: value for name, value in (values or {}).items() if name in known}
        return Session(self.name, id=id, values=given, invokeid=invokeid, language=self.source.language)

    def __reduce__(self) -> tuple[Any, ...]:
        from actorflow.machine.scxml.reader import read_element  # noqa: PLC0415 - the reader makes charts

        return read_element, (self.document, self.source)
