"""Data and done data: `<datamodel>`, its two bindings, the script at the top, `<donedata>`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from actorflow.machine.scxml.code import Code
from actorflow.machine.scxml.content import Block
from actorflow.machine.scxml.datamodels import READ_ONLY
from actorflow.machine.scxml.elements import Element
from actorflow.machine.scxml.limits import copy
from actorflow.machine.scxml.sending import compile_data
from actorflow.machine.scxml.source import DocumentSource

if TYPE_CHECKING:
    from actorflow.machine.scxml.session import Session

Variable = tuple[str, Code | None, Element]


def data_of(source: DocumentSource, root: Element) -> list[Variable]:
    """Compile all `<data>` of the document, in document order; ids are unique in it."""
    found: dict[str, Variable] = {}
    for element in _data_in(root):
        name = source.need(element, "id")
        if name in READ_ONLY or not source.datamodel.is_name(name):
            why = (
                "the null data model has no variables"
                if source.language == "null"
                else f"{name!r} cannot be the name of a variable"
            )
            raise source.error(element, why)
        if name in found:
            raise source.error(element, f"the id {name!r} is already used in line {found[name][2].line}")
        found[name] = (name, source.value_of(element), element)
    return list(found.values())


def _data_in(element: Element) -> Iterator[Element]:
    for child in element.elements:
        if child.tag == "datamodel":
            yield from child.all("data")
        elif child.tag in {"state", "parallel"}:
            yield from _data_in(child)


class DocumentStart:
    """Runs as a session begins: binds data, then runs the script at the top (5.3.3, 5.8)."""

    __slots__ = ("early", "late", "script", "source")

    def __init__(self, root: Element, source: DocumentSource, *, late: bool) -> None:
        variables = data_of(source, root)
        top = {id(data) for model in root.all("datamodel") for data in model.all("data")}
        self.source = source
        self.early = [each for each in variables if not late or id(each[2]) in top]
        self.late = [each for each in variables if late and id(each[2]) not in top]
        scripts = tuple(root.all("script"))
        self.script = Block(scripts, source) if scripts else None

    def __call__(self, session: Session, *_args: Any) -> None:
        """Bind."""
        for name, _, _ in self.late:
            session.data[name] = session.missing
        for name, value, element in self.early:
            session.bind(name, value, self.source, element)
        if self.script is not None:
            self.script(session)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DocumentStart) and [each[2] for each in self.early] == [
            each[2] for each in other.early
        ]

    def __hash__(self) -> int:
        return hash(len(self.early))


class BindState:
    """Runs before a state's own blocks when it is first entered: binds its data, with binding="late"."""

    __slots__ = ("element", "name", "source", "variables")

    def __init__(self, element: Element, name: str, source: DocumentSource) -> None:
        only = Element("scxml", {}, tuple(element.all("datamodel")), element.line)
        self.element = element
        self.name = name
        self.source = source
        self.variables = data_of(source, only)

    def __call__(self, session: Session) -> None:
        """Bind, once."""
        if self.name not in session.bound:
            session.bound.append(self.name)
            for name, value, element in self.variables:
                session.bind(name, value, self.source, element)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BindState) and (self.element, self.source) == (other.element, other.source)

    def __hash__(self) -> int:
        return hash(self.name)


class DoneData:
    """Makes the data of a final state's done event; a param without a value is left out (5.5)."""

    __slots__ = ("_code", "element", "source")

    def __init__(self, element: Element, source: DocumentSource) -> None:
        self.element = element
        self.source = source
        self._code = compile_data(source, element, lenient=True)

    def __call__(self, session: Session) -> Any:
        """Evaluate the data."""
        if self._code is None:
            return None
        try:
            session.begin()
            return copy(session, self._code(session))
        except Exception as error:  # noqa: BLE001 - the document may handle it
            session.raise_error(error, self.source, self.element)
            return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DoneData) and (self.element, self.source) == (other.element, other.source)

    def __hash__(self) -> int:
        return hash(self.element.line)
