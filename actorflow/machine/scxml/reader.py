"""Reader: an SCXML document (W3C recommendation, 2015) becomes a chart."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, ROOT, Hook, Kind, StateNode, Transition
from actorflow.machine.scxml.binding import BindState, DocumentStart, DoneData, data_of
from actorflow.machine.scxml.content import Block, Condition
from actorflow.machine.scxml.document import ScxmlChart
from actorflow.machine.scxml.elements import MAX_BYTES, VERBATIM, Element, parse
from actorflow.machine.scxml.invoking import Invocation, read_invoke
from actorflow.machine.scxml.limits import MAX_SOURCE
from actorflow.machine.scxml.source import DocumentSource, checked_language

STATES: Final = ("state", "parallel", "final", "history")
INSIDE: Final[dict[str, tuple[str, ...]]] = {
    "scxml": ("state", "parallel", "final", "datamodel", "script"),
    "state": (*STATES, "onentry", "onexit", "transition", "initial", "datamodel", "invoke"),
    "parallel": ("state", "parallel", "history", "onentry", "onexit", "transition", "datamodel", "invoke"),
    "final": ("onentry", "onexit", "donedata"),
    "history": ("transition",),
    "initial": ("transition",),
    "datamodel": ("data",),
}
EXPRESSIONS: Final = frozenset({"array", "cond", "location", "namelist"})  # and those that end in "expr"
MAX_STATES: Final = 2_000
MAX_REGIONS: Final = 50  # of a parallel state: what a step costs grows with their square
MAX_TARGETS: Final = 50
MAX_ACTIVE: Final = 200  # innermost states that may be active together, over all regions
MAX_PAIRS: Final = 50_000  # of targets of one transition, which are compared with each other; 10 us each
MAX_EXPRESSIONS: Final = 100_000  # characters of all expressions; compiling takes up to 5 us each
EXPRESSION: Final = 20  # characters that the shortest expression counts for


def load(document: str | Path, *, trust: bool = False, datamodel: str = "python") -> ScxmlChart:
    """Read a document from its text, or from a file.

    Args:
        document: text that begins with "<", or the path of a file.
        trust: run `<script>`, which is any Python code. Without it, nothing in a document can run code.
        datamodel: of a document that names none: "python", "ecmascript", "c89" or "null".

    Raises:
        DefinitionError: the document is wrong, too large or hostile; the text names file and line.

    >>> chart = load("<scxml><state id='a'><transition event='go' target='b'/></state><final id='b'/></scxml>")
    >>> chart.order, list(chart.states)
    ('scxml', ['', 'a', 'b'])
    """
    if isinstance(document, str) and document.lstrip("\ufeff \t\r\n").startswith("<"):
        return read(document, DocumentSource("scxml", trust=trust, default=datamodel))
    if not str(document).strip():
        raise DefinitionError("there is no document: give its text, which begins with '<', or the path of its file")
    path = Path(document)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror}") from None
    except ValueError as error:  # a path with a NUL in it
        raise DefinitionError(f"{str(path)!r:.60}: {error}") from None
    return read(raw, DocumentSource(str(path), folder=str(path.parent), trust=trust, default=datamodel))


def read(document: str | bytes, source: DocumentSource) -> ScxmlChart:
    """Read a document's text."""
    text = document.lstrip("\ufeff \t\r\n") if isinstance(document, str) else document
    return read_element(parse(text, source.file), source)


def read_element(root: Element, source: DocumentSource) -> ScxmlChart:
    """Read a document that is parsed."""
    if root.tag != "scxml":
        raise DefinitionError(f"{source.file}:{root.line}: the root of an SCXML document is <scxml>, not <{root.tag}>")
    source = dataclasses.replace(source, language=checked_language(root, source.file, source.default))
    return _DocumentReader(root, source).chart()


class _DocumentReader:
    def __init__(self, root: Element, source: DocumentSource) -> None:
        self.root = root
        self.source = source
        self.late = root.get("binding") == "late"
        self.names: dict[int, str] = {}  # of elements, by identity
        self.elements: dict[str, Element] = {ROOT: root}
        self.nodes: dict[str, StateNode] = {}
        self.counts: dict[str, int] = {}
        self.pairs = 0

    def chart(self) -> ScxmlChart:
        if self.root.get("binding") not in {None, "early", "late"}:
            raise self.source.error(self.root, "binding must be 'early' or 'late'")
        if self.root.get("version") not in {None, "1.0"}:
            raise self.source.error(self.root, "version must be '1.0'")
        check_expressions(self.source, self.root)
        self.name_states()
        data_of(self.source, self.root)
        self.read_state(self.root, ROOT, ROOT)
        chart = ScxmlChart(
            self.root.get("name") or Path(self.source.file).stem,
            self.nodes,
            "scxml",
            document=self.root,
            source=self.source,
        )
        for node in self.nodes.values():
            self.check(chart, node)
        if (width := self.width_of(ROOT)) > MAX_ACTIVE:
            raise self.source.error(self.root, f"{width:,} states may be active together; the limit is {MAX_ACTIVE}")
        return chart

    def width_of(self, name: str) -> int:
        """Return how many innermost states may be active in a state at once."""
        node = self.nodes[name]
        inside = [self.width_of(child) for child in node.children if self.nodes[child].kind not in HISTORY]
        return max(1, sum(inside) if node.kind == "parallel" else max(inside, default=1))

    # --- names -------------------------------------------------------------------------------------------------------

    def name_states(self) -> None:
        """Give each state its id; one without gets a new one, such as "state-1" (3.14)."""
        states = list(_states_in(self.root))
        if len(states) > MAX_STATES:
            raise self.source.error(states[MAX_STATES], f"more than {MAX_STATES:,} states")
        for element in states:
            name = element.get("id")
            if name is not None:
                if not name or name.split() != [name]:
                    raise self.source.error(element, f"{name!r} is not an id: give a name without spaces")
                if name in self.elements:
                    raise self.source.error(
                        element, f"the id {name!r} is already used in line {self.elements[name].line}"
                    )
                self.elements[name] = element
                self.names[id(element)] = name
        for element in states:
            if id(element) not in self.names:
                numbered = (
                    f"{element.tag}-{number}" for number in itertools.count(self.counts.get(element.tag, 0) + 1)
                )
                self.counts[element.tag] = self.counts.get(element.tag, 0) + 1
                name = next(name for name in numbered if name not in self.elements)
                self.elements[name] = element
                self.names[id(element)] = name

    # --- states ------------------------------------------------------------------------------------------------------

    def read_state(self, element: Element, name: str, parent: str) -> None:
        self.check_inside(element)
        children = [(child, self.names[id(child)]) for child in element.all(*STATES)]
        inner = [child for child, _ in children if child.tag != "history"]
        kind: Kind = "atomic"
        if element.tag in {"parallel", "final"}:
            kind = "parallel" if element.tag == "parallel" else "final"
        elif element.tag == "history":
            kind = self.kind_of_history(element)
        elif inner:
            kind = "compound"
        elif name == ROOT:
            raise self.source.error(element, "there is no state in it")
        if kind == "parallel" and len(inner) > MAX_REGIONS:
            raise self.source.error(element, f"more than {MAX_REGIONS} regions")
        self.nodes[name] = StateNode(  # first in its place: document order
            name,
            kind,
            parent,
            tuple(child for _, child in children),
            self.initial_of(element, name, kind),
            self.enter_of(element, name),
            self.blocks(element, "onexit"),
            () if kind in HISTORY else self.transitions_of(element, name),
            invoke=tuple(
                read_invoke(self.source, each, name, number) for number, each in enumerate(element.all("invoke"), 1)
            ),
            donedata=self.donedata_of(element),
        )
        for child, child_name in children:
            self.read_state(child, child_name, name)

    def check_inside(self, element: Element) -> None:
        allowed = INSIDE[element.tag]
        for child in element.elements:
            if child.tag not in allowed:
                raise self.source.error(
                    child, f"this is not allowed in <{element.tag}>, which may contain {', '.join(allowed)}"
                )
            if child.tag in {"initial", "datamodel"}:
                self.check_inside(child)
        for tag in ("initial", "datamodel", "donedata", "script"):
            if len(element.all(tag)) > 1 and not (tag == "script" and element.tag != "scxml"):
                raise self.source.error(element.all(tag)[1], f"<{element.tag}> may contain only one <{tag}>")

    def kind_of_history(self, element: Element) -> Kind:
        kind = element.get("type") or "shallow"
        if kind not in {"shallow", "deep"}:
            raise self.source.error(element, f"type must be 'shallow' or 'deep', not {kind!r}")
        return "deep" if kind == "deep" else "shallow"

    def initial_of(self, element: Element, name: str, kind: Kind) -> Transition | None:
        """Return the states entered with a state: its attribute, its `<initial>`, or the first state in it (3.6)."""
        if kind in HISTORY:
            return self.default_of(element, name, "history")
        attribute, initials = element.get("initial"), element.all("initial")
        if kind != "compound":
            if attribute is not None or initials:
                raise self.source.error(element, "it has an initial state, but no child states to choose from")
            return None
        if attribute is not None and initials:
            raise self.source.error(initials[0], "the attribute initial and <initial> exclude each other")
        start = (Hook("datamodel", DocumentStart(self.root, self.source, late=self.late)),) if name == ROOT else ()
        if initials:
            return self.default_of(initials[0], name, "initial")
        if attribute is not None:
            return Transition(name, targets=self.targets(element, attribute), actions=start)
        first = next(child for child in element.all(*STATES) if child.tag != "history")
        return Transition(name, targets=(self.names[id(first)],), actions=start)

    def default_of(self, element: Element, name: str, tag: str) -> Transition:
        transitions = element.all("transition")
        if len(transitions) != 1:
            raise self.source.error(element, f"<{tag}> must contain exactly one <transition>")
        transition = transitions[0]
        if transition.get("event") is not None or transition.get("cond") is not None:
            raise self.source.error(transition, f"the transition of <{tag}> must not have event or cond")
        targets = self.targets(transition, self.source.need(transition, "target"))
        return Transition(name, targets=targets, actions=self.actions_of(transition))

    def enter_of(self, element: Element, name: str) -> tuple[Hook, ...]:
        blocks = self.blocks(element, "onentry")
        if name != ROOT and self.late and element.all("datamodel"):
            return (Hook("datamodel", BindState(element, name, self.source)), *blocks)
        return blocks

    def blocks(self, element: Element, tag: str) -> tuple[Hook, ...]:
        return tuple(Hook(tag, Block(tuple(each.elements), self.source)) for each in element.all(tag))

    def donedata_of(self, element: Element) -> Hook | None:
        found = element.all("donedata")
        return Hook("donedata", DoneData(found[0], self.source)) if found else None

    # --- transitions -------------------------------------------------------------------------------------------------

    def transitions_of(self, element: Element, name: str) -> tuple[Transition, ...]:
        return tuple(self.transition(each, name) for each in element.all("transition"))

    def transition(self, element: Element, source: str) -> Transition:
        event, cond, target = (element.get(attribute) for attribute in ("event", "cond", "target"))
        if event is None and cond is None and target is None:
            raise self.source.error(element, "give event, cond or target")
        kind = element.get("type") or "external"
        if kind not in {"internal", "external"}:
            raise self.source.error(element, f"type must be 'internal' or 'external', not {kind!r}")
        if event is not None and not event.split():
            raise self.source.error(element, "event is empty")
        return Transition(
            source,
            tuple((event or "").split()),
            () if target is None else self.targets(element, target),
            None if cond is None else Hook(cond, Condition(element, self.source)),
            self.actions_of(element),
            kind == "internal",
        )

    def actions_of(self, element: Element) -> tuple[Hook, ...]:
        elements = tuple(element.elements)
        return (Hook("transition", Block(elements, self.source)),) if elements else ()

    def targets(self, element: Element, text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split()))
        if not names or len(names) > MAX_TARGETS:
            raise self.source.error(element, f"{text[:60]!r} names no target, or more than {MAX_TARGETS}")
        for name in names:
            if name == ROOT or name not in self.elements:
                raise self.source.error(element, f"there is no state {name!r}{_nearest(name, self.elements)}")
        return names

    # --- checks of the whole -----------------------------------------------------------------------------------------

    def check(self, chart: ScxmlChart, node: StateNode) -> None:
        """Check that targets lie where they may (3.2, 3.6, 3.10, 3.13)."""
        element = self.elements[node.name]
        if node.initial is not None:
            outer = node.parent if node.kind in HISTORY else node.name
            for target in node.initial.targets:
                if node.kind == "shallow" and chart.states[target].parent != outer:
                    raise self.source.error(
                        element, f"the default {target!r} of a shallow history must be a sibling of it"
                    )
                if not chart.is_within(target, outer):
                    raise self.source.error(element, f"{target!r} lies outside of {outer or 'the document'!r}")
        for transition in filter(None, (node.initial, *node.transitions)):
            self.check_together(chart, element, transition.targets)

    def check_together(self, chart: ScxmlChart, element: Element, targets: Iterable[str]) -> None:
        """Check that targets can be active at the same time: the state around two of them is parallel."""
        targets = tuple(targets)
        self.pairs += len(targets) ** 2 // 2
        if self.pairs > MAX_PAIRS:
            raise self.source.error(element, "the document has too many transitions with many targets")
        for one, other in itertools.combinations(targets, 2):
            if chart.is_within(one, other) or chart.is_within(other, one):
                continue
            around = next(each for each in chart.ancestors(one) if each.name in _around(chart, other))
            if around.kind != "parallel":
                raise self.source.error(element, f"{one!r} and {other!r} cannot be active at the same time")


def check_expressions(source: DocumentSource, root: Element) -> None:
    """Refuse a document whose expressions would take long to compile."""
    length, left = 0, [root]
    while left:
        element = left.pop()
        for name, text in element.attributes.items():
            if name in EXPRESSIONS or name.endswith("expr"):
                length += EXPRESSION + len(text)
        if element.tag in VERBATIM:
            text = element.content
            length += len(text) if len(text) <= MAX_SOURCE else 0  # longer text is no expression
        else:
            left += element.elements
        if length > MAX_EXPRESSIONS:
            raise source.error(element, f"expressions of more than {MAX_EXPRESSIONS:,} characters in one document")


def _around(chart: ScxmlChart, name: str) -> set[str]:
    return {each.name for each in chart.ancestors(name)}


def _states_in(element: Element) -> Iterator[Element]:
    for child in element.all(*STATES):
        yield child
        yield from _states_in(child)


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - for an error only

    near = difflib.get_close_matches(name, [each for each in known if each], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


ScxmlChart._read_element = staticmethod(read_element)
Invocation.read = staticmethod(read)
