"""Source: the document that an element stands in; it compiles the expressions in the element's attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from actorflow.errors import DefinitionError
from actorflow.machine.scxml.code import Code
from actorflow.machine.scxml.datamodels import DATAMODELS, Assign, Datamodel
from actorflow.machine.scxml.elements import MAX_BYTES, Element
from actorflow.machine.scxml.limits import EvaluationError, ExpressionRefused, LimitExceeded, copy

MAX_INVOKED: Final = 8  # documents that invoke each other: one that invokes itself comes to an end

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DocumentSource:
    """A document's place, its language, and how far it is trusted.

    Attributes:
        file: its name in errors.
        language: its data model.
        folder: the folder that it may read files from; None: it has none.
        trust: whether its scripts run.
        level: how many documents invoke each other above it.
        default: the data model of a document that names none.
    """

    file: str
    language: str = "null"
    folder: str | None = None
    trust: bool = False
    level: int = 0
    default: str = "python"

    @property
    def datamodel(self) -> Datamodel:
        """The data model."""
        return DATAMODELS[self.language]

    def error(self, element: Element, text: str) -> DefinitionError:
        """Make an error that says where."""
        return DefinitionError(f"{self.file}:{element.line}: <{element.tag}>: {text}")

    def expression(self, element: Element, attribute: str) -> Code | None:
        """Compile an attribute that is an expression; None without it."""
        return self._compile(element, attribute, self.datamodel.expression)

    def condition(self, element: Element, attribute: str = "cond") -> Code | None:
        """Compile an attribute that is a condition; None without it."""
        return self._compile(element, attribute, self.datamodel.condition)

    def place(self, element: Element, attribute: str) -> Assign | None:
        """Compile an attribute that is a location; None without it."""
        return self._compile(element, attribute, self.datamodel.place)

    def _compile(self, element: Element, attribute: str, compile_it: Callable[[str], T]) -> T | None:
        text = element.get(attribute)
        if text is None:
            return None
        try:
            return compile_it(text)
        except ExpressionRefused as error:
            raise self.error(element, f"{attribute}: {error}") from None

    def need(self, element: Element, attribute: str) -> str:
        """Return an attribute that must be there."""
        value = element.get(attribute)
        if not value:
            raise self.error(element, f"the attribute {attribute} is missing")
        return value

    def has(self, element: Element, attribute: str) -> None:
        """Refuse an element without this attribute; an empty one is refused, or not, where it is compiled."""
        if element.get(attribute) is None:
            raise self.error(element, f"the attribute {attribute} is missing")

    def one_of(self, element: Element, *attributes: str, needed: bool = False) -> str | None:
        """Return which of these attributes is there; the recommendation allows but one."""
        there = [name for name in attributes if element.get(name) is not None]
        if len(there) > 1:
            raise self.error(element, f"{' and '.join(there)} exclude each other")
        if needed and not there:
            raise self.error(element, f"give {' or '.join(attributes)}")
        return there[0] if there else None

    def either(self, element: Element, attribute: str, expression: str | None = None) -> Code | None:
        """Compile a pair such as `event` and `eventexpr`: the text itself, or the expression."""
        expression = expression or f"{attribute}expr"
        if self.one_of(element, attribute, expression) == attribute:
            text = element.get(attribute)
            return lambda _scope: text
        return self.expression(element, expression)

    def path(self, reference: str) -> Path:
        """Return the file that `src` names: it stands in the document's folder, or below it.

        Raises:
            EvaluationError: it is no such file.
        """
        if self.folder is None:
            raise EvaluationError(f"src={reference!r}: the document was given as text, so it can name no files")
        name = reference.removeprefix("file:").removeprefix("//")
        folder = Path(self.folder).resolve()
        path = (folder / name).resolve()
        if "://" in name or not path.is_relative_to(folder):
            raise EvaluationError(f"src={reference!r}: a document may read files of its own folder only")
        if not path.is_file():
            raise EvaluationError(f"src={reference!r}: there is no file {path.name} in the document's folder")
        return path

    def read(self, reference: str) -> str:
        """Read a file that `src` names."""
        with self.path(reference).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise EvaluationError(f"src={reference!r}: the file is larger than {MAX_BYTES // 1_000_000} MB")
        return raw.decode(errors="replace")

    def value_of(self, element: Element) -> Code | None:
        """Compile the value of `<data>`, `<assign>`, `<content>`: from expr, src, or the content; or none."""
        inside = element.content if element.tag != "content" or element.get("expr") is None else ""
        if element.get("expr") is not None or element.get("src") is not None:
            if self.one_of(element, "expr", "src") == "src":
                reference = self.need(element, "src")
                return lambda _scope: self.datamodel.content(self.read(reference))
            if inside.strip():
                raise self.error(element, "expr and a value inside the element exclude each other")
            return self.expression(element, "expr")
        if not inside.strip():
            return None
        if self.language == "null" and element.tag != "content":
            raise self.error(element, "the null data model has no variables")
        try:
            value = self.datamodel.content(inside)
        except LimitExceeded as error:
            raise self.error(element, f"too much data: {error}") from None
        return lambda scope: copy(scope, value)


def checked_language(root: Element, file: str, default: str) -> str:
    """Return the document's data model by name; one that names none gets the default."""
    given = root.get("datamodel")
    language = default if given is None or not given.strip() else given.strip()
    if language not in DATAMODELS:
        known = ", ".join(DATAMODELS)
        raise DefinitionError(f"{file}:{root.line}: <scxml>: no data model {language!r}; there are {known}")
    return language
