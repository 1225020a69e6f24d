"""Elements of an SCXML document: a parser that refuses hostile input and keeps lines, and its opposite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from actorflow.errors import DefinitionError

NAMESPACE: Final = "http://www.w3.org/2005/07/scxml"
OWN: Final = "urn:actorflow:machine"  # of what SCXML has no words for, such as guards that are functions
PREFIXES: Final = {OWN: "af", "http://www.w3.org/XML/1998/namespace": "xml"}
VERBATIM: Final = frozenset({"assign", "content", "data", "script"})  # what stands inside is the author's own
MAX_BYTES: Final = 2_000_000
MAX_ELEMENTS: Final = 20_000  # 0.4 s and 40 MB in the worst case, with what is compiled from them
MAX_DEPTH: Final = 100  # of elements in each other; what is compiled from them recurses

Child: TypeAlias = "Element | str"


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the document; those of SCXML go by their local names, others by "namespace name".

    Attributes:
        tag: its name.
        attributes: by local name; those of other namespaces by "namespace name".
        children: elements and text, in document order.
        line: where it begins; it does not count when elements are compared.
    """

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: tuple[Child, ...] = ()
    line: int = field(default=0, compare=False)

    def get(self, name: str) -> str | None:
        """Return an attribute."""
        return self.attributes.get(name)

    @property
    def elements(self) -> Iterator[Element]:
        """Go through the child elements of SCXML; those of other namespaces (an editor's layout) mean nothing to it."""
        return (child for child in self.children if isinstance(child, Element) and " " not in child.tag)

    def all(self, *tags: str) -> list[Element]:
        """List the child elements of these names."""
        return [child for child in self.elements if child.tag in tags]

    @property
    def content(self) -> str:
        """The content of the element, as text; elements inside are written out as XML."""
        return "".join(child if isinstance(child, str) else to_text(child) for child in self.children)


def parse(document: str | bytes, file: str) -> Element:
    """Parse a document.

    Raises:
        DefinitionError: it is no XML, too large or too deep, or it has a DOCTYPE: entities could blow up or read files.

    >>> parse("<scxml><state id='a'/></scxml>", "a.scxml").children[0].get("id")
    'a'
    """
    raw = _encoded(document, file) if isinstance(document, str) else document
    if len(raw) > MAX_BYTES:
        raise DefinitionError(f"{file}: the document is larger than {MAX_BYTES // 1_000_000} MB")
    return _ElementParser(file, "utf-8" if isinstance(document, str) else None).parse(raw)


def _encoded(document: str, file: str) -> bytes:
    try:
        return document.encode()
    except UnicodeEncodeError as error:
        line = document.count("\n", 0, error.start) + 1
        raise DefinitionError(f"{file}:{line}: {document[error.start]!r} is half a character; leave it out") from None


class _ElementParser:
    def __init__(self, file: str, encoding: str | None) -> None:
        self.file = file
        self.open: list[tuple[Element, list[Child]]] = []
        self.root: Element | None = None
        self.count = 0
        self.verbatim = 0  # how many elements around are such
        self.expat = parser = expat.ParserCreate(encoding, " ")
        parser.buffer_text = True
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartDoctypeDeclHandler = self.refuse
        parser.EntityDeclHandler = self.refuse
        parser.ExternalEntityRefHandler = self.refuse
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text

    def parse(self, raw: bytes) -> Element:
        try:
            self.expat.Parse(raw, True)
        except expat.ExpatError as error:
            raise DefinitionError(f"{self.file}:{error.lineno}: not well-formed XML: {error}") from None
        except DefinitionError:
            raise
        except (
            LookupError,
            ValueError,
        ) as error:  # an encoding that Python or expat does not know
            raise DefinitionError(f"{self.file}:1: {error}; save the document as UTF-8") from None
        assert self.root is not None
        return self.root

    def error(self, text: str) -> DefinitionError:
        return DefinitionError(f"{self.file}:{self.expat.CurrentLineNumber}: {text}")

    def refuse(self, *_args: Any) -> int:
        raise self.error("a DOCTYPE or entities are refused; write the text out")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if self.count > MAX_ELEMENTS:
            raise self.error(f"more than {MAX_ELEMENTS} elements")
        if len(self.open) >= MAX_DEPTH:
            raise self.error(f"elements are nested more than {MAX_DEPTH} deep")
        self.verbatim += _local(tag) in VERBATIM
        children: list[Child] = []
        self.open.append((Element(_local(tag), attributes, (), self.expat.CurrentLineNumber), children))

    def end(self, _tag: str) -> None:
        opened, children = self.open.pop()
        if not (self.verbatim or " " in opened.tag or opened.tag in VERBATIM):
            children = [child for child in children if isinstance(child, Element)]
        element = Element(opened.tag, opened.attributes, tuple(children), opened.line)
        self.verbatim -= opened.tag in VERBATIM
        if self.open:
            self.open[-1][1].append(element)
        else:
            self.root = element

    def text(self, text: str) -> None:
        if not self.open:
            return
        around = self.open[-1][0].tag
        if not (self.verbatim or " " in around) and text.strip():
            raise self.error(f"<{around}> has elements in it, and no text: {text.strip()[:40]!r}")
        self.open[-1][1].append(text)


def _local(name: str) -> str:
    return name.removeprefix(f"{NAMESPACE} ")


# --- the opposite ----------------------------------------------------------------------------------------------------


def to_text(element: Element) -> str:
    """Write an element as XML on one line; namespaces are declared where they begin.

    >>> to_text(Element("log", {"expr": "a < 1"}))
    '<log expr="a &lt; 1"/>'
    """
    return "".join(_pieces(element, ""))


def to_document(root: Element) -> str:
    """Write a whole document, an element a line; the content of data, content and scripts is kept as it is."""
    declared = f' xmlns="{NAMESPACE}"'
    if any(name.startswith(f"{OWN} ") for name in _names_in(root)):
        declared += f' xmlns:af="{OWN}"'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *_lines(root, 0, declared), ""])


def _lines(element: Element, indent: int, declared: str = "") -> Iterator[str]:
    pad = "  " * indent
    elements = [child for child in element.children if isinstance(child, Element)]
    if not elements or element.tag in VERBATIM:
        yield pad + to_text(element)
        return
    tag, attributes = _opening(element, "")
    yield f"{pad}<{tag}{declared}{attributes}>"
    for child in elements:
        yield from _lines(child, indent + 1)
    yield f"{pad}</{tag}>"


def _names_in(element: Element) -> Iterator[str]:
    yield element.tag
    yield from element.attributes
    for child in element.children:
        if isinstance(child, Element):
            yield from _names_in(child)


def _pieces(element: Element, inherited: str) -> Iterator[str]:
    tag, attributes = _opening(element, inherited)
    if not element.children:
        yield f"<{tag}{attributes}/>"
        return
    yield f"<{tag}{attributes}>"
    namespace = element.tag.rpartition(" ")[0]
    for child in element.children:
        if isinstance(child, str):
            yield escape(child)
        else:
            yield from _pieces(child, inherited if namespace == OWN else namespace)
    yield f"</{tag}>"


def _opening(element: Element, inherited: str) -> tuple[str, str]:
    """Return name and attributes as text; `inherited` is the namespace around it, "" that of SCXML."""
    namespace, _, tag = element.tag.rpartition(" ")
    written: list[str] = []
    if namespace == OWN:
        tag = f"af:{tag}"
    elif namespace != inherited:
        written.append(f" xmlns={quoteattr(namespace or NAMESPACE)}")
    for number, (name, value) in enumerate(element.attributes.items()):
        other, _, local = name.rpartition(" ")
        prefix = PREFIXES.get(other, f"n{number}")
        if other and other not in PREFIXES:
            written.append(f" xmlns:{prefix}={quoteattr(other)}")
        written.append(f" {prefix}:{local}={quoteattr(value)}" if other else f" {local}={quoteattr(value)}")
    return tag, "".join(written)
