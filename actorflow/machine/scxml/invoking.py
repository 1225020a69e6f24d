"""`<invoke>`: the child that a state starts (6.4), as `Invoke.child` of the chart."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from actorflow.machine.definition.chart import Hook, Invoke
from actorflow.machine.scxml.content import Block
from actorflow.machine.scxml.elements import Element
from actorflow.machine.scxml.limits import EvaluationError, copy
from actorflow.machine.scxml.sending import compile_params
from actorflow.machine.scxml.source import MAX_INVOKED, DocumentSource

if TYPE_CHECKING:
    from actorflow.machine.scxml.document import ScxmlChart
    from actorflow.machine.scxml.session import Session

INVOKE_STEPS: Final = 100  # that starting a session costs, some 300 us
TYPES: Final = ("scxml", "http://www.w3.org/TR/scxml")


class Invocation:
    """An `<invoke>` of the document that it names.

    The actor of the session starts it: `open` gives the chart, and the values that go along.
    """

    __slots__ = ("_content", "_kind", "_params", "_place", "_reference", "element", "id", "source")

    read: ClassVar[Callable[..., Any]]  # scxml.reader, since documents have invokes and those documents, puts it here

    def __init__(self, element: Element, source: DocumentSource, id: str) -> None:
        self.element = element
        self.source = source
        self.id = id
        source.one_of(element, "id", "idlocation")
        self._place = source.place(element, "idlocation")
        self._kind = source.either(element, "type")
        self._reference = source.either(element, "src")
        listed, params = compile_params(source, element)
        self._params = [*listed, *params]
        contents = element.all("content")
        if len(contents) + (self._reference is not None) != 1:
            raise source.error(element, "give one of src, srcexpr and <content>")
        self._content = None if not contents else source.expression(contents[0], "expr") or _inline(contents[0])

    def __reduce__(self) -> tuple[type[Invocation], tuple[Any, ...]]:
        return Invocation, (self.element, self.source, self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Invocation) and (self.element, self.id) == (other.element, other.id)

    def __hash__(self) -> int:
        return hash(self.id)

    def open(self, session: Session) -> tuple[ScxmlChart, dict[str, Any]]:
        """Evaluate the document that it names, and the values that go along.

        Raises:
            EvaluationError: a part has no value, or the type or the document cannot be invoked.
            DefinitionError: the document is wrong.
        """
        if self.source.level >= MAX_INVOKED:
            raise EvaluationError(f"documents invoke each other more than {MAX_INVOKED} deep")
        session.begin()
        session.spend(INVOKE_STEPS)
        family = session.family
        family.check_room()
        kind = None if self._kind is None else str(self._kind(session)).rstrip("/")
        if kind is not None and kind not in TYPES:
            raise EvaluationError(f"invoke: the type {kind!r} is not supported")
        values = {name: copy(session, code(session)) for name, code in self._params}
        inner = dataclasses.replace(self.source, level=self.source.level + 1)
        if self._reference is not None:
            reference = str(self._reference(session))
            path = self.source.path(reference)
            found = dataclasses.replace(inner, file=path.name, folder=str(path.parent))
            text = self.source.read(reference)
        else:
            assert self._content is not None
            text = self._content(session)
            if not isinstance(text, str):
                raise EvaluationError(f"invoke: the content must be a document, not {type(text).__name__}")
            found = dataclasses.replace(inner, file=f"{self.source.file}, <invoke {self.id}>")
        session.spend(len(text) // 4)  # reading and compiling take some 5 us a character
        chart = family.chart(text, f"{found.level} {found.folder} {found.file}", lambda: Invocation.read(text, found))
        if self._place is not None:
            self._place(session, self.id)
        return chart, values


def _inline(content: Element) -> Any:
    text = content.content
    return lambda _scope: text


def read_invoke(source: DocumentSource, element: Element, state: str, number: int) -> Invoke:
    """Read `<invoke>`; an id that is not given is "state.number" (6.4.1)."""
    id = element.get("id") or f"{state}.{number}"
    finalizes = element.all("finalize")
    finalize = None
    if finalizes:
        elements = tuple(finalizes[0].elements) or _taken_over(source, element)
        refused = next((each for each in elements if each.tag in {"send", "raise"}), None)
        if refused is not None:
            raise source.error(refused, "<finalize> must not contain <send> or <raise>")
        finalize = Hook("finalize", Block(elements, source))
    autoforward = (element.get("autoforward") or "false").strip()
    if autoforward not in {"true", "false", "1", "0"}:
        raise source.error(element, f"autoforward must be 'true' or 'false', not {autoforward!r}")
    return Invoke(id, Invocation(element, source, id), autoforward in {"true", "1"}, finalize)


def _taken_over(source: DocumentSource, element: Element) -> tuple[Element, ...]:
    """Return the effect of an empty finalize: params given by location get the values that come back (6.5)."""
    names = {name: name for name in (element.get("namelist") or "").split()}
    for param in element.all("param"):
        if param.get("location") is not None:
            names[source.need(param, "name")] = source.need(param, "location")
    found = []
    for name, location in names.items():
        has = f"{name!r} in _event.data"
        assign = Element("assign", {"location": location, "expr": f"_event.data.{name}"}, (), element.line)
        found.append(Element("if", {"cond": has}, (assign,), element.line))
    return tuple(found)
