"""Executable content: raise, if, foreach, log, assign, script, compiled once to functions of the session.

`send`, `cancel` and `invoke` have their own modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorflow.machine.running.event import Event
from actorflow.machine.scxml.code import Code
from actorflow.machine.scxml.datamodels import READ_ONLY
from actorflow.machine.scxml.elements import Element
from actorflow.machine.scxml.limits import EvaluationError, LimitExceeded, copy
from actorflow.machine.scxml.sending import compile_cancel, compile_send
from actorflow.machine.scxml.source import DocumentSource

if TYPE_CHECKING:
    from actorflow.machine.scxml.session import Session

Step: TypeAlias = "Callable[[Session], None]"


class Block:
    """One block of executable content, as a hook: `onentry`, `onexit`, or the content of a transition.

    It keeps its elements, so that a chart can be written out again, and pickles as them.
    """

    __slots__ = ("_steps", "elements", "source")

    def __init__(self, elements: tuple[Element, ...], source: DocumentSource) -> None:
        self.elements = elements
        self.source = source
        self._steps = compile_steps(source, elements)

    def __call__(self, session: Session, *_args: Any, **_kwargs: Any) -> None:
        """Run the block; the first error ends it, and becomes error.execution."""
        element = None
        try:
            session.begin()
            for element, step in self._steps:  # noqa: B007 - an error tells where
                step(session)
        except Exception as error:  # noqa: BLE001 - the document may handle it
            session.raise_error(error, self.source, element)

    def __reduce__(self) -> tuple[type[Block], tuple[Any, ...]]:
        return Block, (self.elements, self.source)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Block) and (self.elements, self.source) == (other.elements, other.source)

    def __hash__(self) -> int:
        return hash((len(self.elements), self.source))


class Condition:
    """The `cond` of a transition, as a guard."""

    __slots__ = ("_code", "element", "source")

    def __init__(self, element: Element, source: DocumentSource) -> None:
        self.element = element
        self.source = source
        self._code = source.condition(element)

    def __call__(self, session: Session, *_args: Any, **_kwargs: Any) -> bool:
        """Evaluate the condition; an error is false, and error.execution (5.9.1)."""
        assert self._code is not None
        try:
            session.begin()
            return bool(self._code(session))
        except Exception as error:  # noqa: BLE001 - the document may handle it
            session.raise_error(error, self.source, self.element)
            return False

    def __reduce__(self) -> tuple[type[Condition], tuple[Any, ...]]:
        return Condition, (self.element, self.source)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and (self.element, self.source) == (other.element, other.source)

    def __hash__(self) -> int:
        return hash((self.element.get("cond"), self.source))


def compile_steps(source: DocumentSource, elements: tuple[Element, ...]) -> list[tuple[Element, Step]]:
    """Compile elements of executable content."""
    return [(element, compile_step(source, element)) for element in elements]


def compile_step(source: DocumentSource, element: Element) -> Step:
    """Compile one element.

    Raises:
        DefinitionError: it is not executable content, or an attribute is wrong.
    """
    compiler = COMPILERS.get(element.tag)
    if compiler is None:
        known = ", ".join(sorted(COMPILERS))
        raise source.error(element, f"this is not executable content; choose from {known}")
    return compiler(source, element)


def _run(steps: list[tuple[Element, Step]], session: Session) -> None:
    for _, step in steps:
        session.spend(1)
        step(session)


def _raise(source: DocumentSource, element: Element) -> Step:
    name = source.need(element, "event")

    def run(session: Session) -> None:
        session.spend(5)
        session.interpreter.enqueue(Event(name, kind="internal"))

    return run


def _holds(condition: Code, session: Session, source: DocumentSource, part: Element) -> bool:
    """Evaluate the condition of a branch; an error counts as false, and error.execution follows (5.9.1)."""
    try:
        return bool(condition(session))
    except LimitExceeded:
        raise  # the budget is spent: nothing after it may go on
    except Exception as error:  # noqa: BLE001 - the document may handle it
        session.raise_error(error, source, part)
        return False


def _if(source: DocumentSource, element: Element) -> Step:
    source.has(element, "cond")
    parts: list[tuple[Element, list[Element]]] = [(element, [])]
    for child in element.elements:
        if child.tag in {"elseif", "else"}:
            if parts[-1][0].tag == "else":
                raise source.error(child, "nothing may follow <else>")
            if child.tag == "elseif":
                source.has(child, "cond")
            parts.append((child, []))
        else:
            parts[-1][1].append(child)
    branches = [(part, source.condition(part), compile_steps(source, tuple(inside))) for part, inside in parts]

    def run(session: Session) -> None:
        for part, condition, steps in branches:
            if condition is None or _holds(condition, session, source, part):
                _run(steps, session)
                return

    return run


def _foreach(source: DocumentSource, element: Element) -> Step:
    source.need(element, "array")
    array = source.expression(element, "array")
    item, index = source.need(element, "item"), element.get("index")
    steps = compile_steps(source, tuple(element.elements))
    datamodel = source.datamodel

    def run(session: Session) -> None:
        assert array is not None
        values = array(session)
        if not isinstance(values, list | tuple):
            raise EvaluationError(f"foreach needs an array, not {type(values).__name__}")
        for name in (item, index):
            if name is not None and (name in READ_ONLY or not datamodel.is_name(name)):
                raise EvaluationError(f"foreach: {name!r} cannot be a variable")
        session.spend(len(values) // 16 + 1)
        for number, value in enumerate(list(values)):
            session.spend(1)
            session.data[item] = value
            if index is not None:
                session.data[index] = number
            _run(steps, session)

    return run


def _log(source: DocumentSource, element: Element) -> Step:
    label = element.get("label")
    code = source.expression(element, "expr")

    def run(session: Session) -> None:
        value = None if code is None else code(session)
        session.write_log(label, copy(session, value))

    return run


def _assign(source: DocumentSource, element: Element) -> Step:
    source.need(element, "location")
    place = source.place(element, "location")
    value = source.value_of(element)
    if value is None:
        raise source.error(element, "give expr, or a value inside the element")

    def run(session: Session) -> None:
        assert place is not None
        place(session, value(session))

    return run


def _script(source: DocumentSource, element: Element) -> Step:
    from actorflow.machine.scxml.script import compile_script  # noqa: PLC0415 - few documents have one

    return compile_script(source, element)


COMPILERS: Final[dict[str, Callable[[DocumentSource, Element], Step]]] = {
    "assign": _assign,
    "cancel": compile_cancel,
    "foreach": _foreach,
    "if": _if,
    "log": _log,
    "raise": _raise,
    "script": _script,
    "send": compile_send,
}
