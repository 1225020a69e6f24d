"""Chart: the definition of a state machine, shared by all its instances.

Pure data: states by name, transitions in document order, and the user's functions by name. Nothing in it changes after
it is made, so it can be shared, compared and pickled. The words are those of the SCXML recommendation (W3C, 2015).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from pathlib import Path

    from actorflow.machine.running.program import Program
    from actorflow.machine.scxml.document import ScxmlChart

Kind: TypeAlias = Literal["atomic", "compound", "parallel", "final", "shallow", "deep"]
Order: TypeAlias = Literal["action first", "scxml"]

ROOT: Final = ""  # name of the state around all others; it is in no configuration
HISTORY: Final = ("shallow", "deep")
LONGEST_WAIT: Final = sys.float_info.max  # seconds: an int beyond it is no time that a clock could add to its own


@dataclass(frozen=True, slots=True)
class Hook:
    """A function of the user's: a guard, an action, or a hook that runs when a state is entered or left.

    Attributes:
        name: its name in pictures and `to_dict`; without a function, the method of the model that is meant.
        function: it is called with the model first: `function(model, *args)`. A guard and an action get the event's
            arguments, a hook at enter or exit gets none.
    """

    name: str
    function: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A way from a state, at an event, to others.

    Attributes:
        source: the state that it belongs to.
        events: patterns, any of which is to match: "pay", "error.*", "*". None at all: eventless, taken as soon as its
            guard allows.
        targets: none: the configuration stays, and nothing is exited or entered.
        guard: vetoes the transition by returning a false value.
        actions: run when it is taken.
        internal: a transition into descendants of its source that does not exit the source.
        after: seconds in the source state after which it is taken by itself; it has no events then.
        choose: names the target at run time, in place of `targets`: it is called with the model and the event, after
            the guard and before the actions, and returns the name of a state, or None if it does not take the event.
    """

    source: str
    events: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    guard: Hook | None = None
    actions: tuple[Hook, ...] = ()
    internal: bool = False
    after: float | None = None
    choose: Hook | None = None


@dataclass(frozen=True, slots=True)
class Invoke:
    """A child that lives as long as a state is active.

    Attributes:
        id: its name; its end is the event "done.invoke.<id>".
        child: the child that the platform starts: an actor class or recipe, a chart, or SCXML's attributes.
        autoforward: it gets each external event that the machine gets.
        finalize: run on each event that comes from the child, before transitions are selected.
    """

    id: str
    child: Any
    autoforward: bool = False
    finalize: Hook | None = None


@dataclass(frozen=True, slots=True)
class StateNode:
    """One state of a chart.

    Attributes:
        name: unique in the chart.
        kind: "atomic", "compound", "parallel", "final", or the pseudo-states "shallow" and "deep" history.
        parent: name of the state around it; `ROOT` for those at the top.
        children: names of the states within, history included, in document order.
        initial: of a compound state, the state entered with it; of a history, the one entered while it is empty.
        enter: run when the state is entered.
        exit: run when it is left.
        transitions: in document order.
        defer: patterns of events that wait, while the state is active and has no transition for them, for the next
            change of configuration.
        invoke: children that live as long as the state is active.
        donedata: of a final state, returns the data of the done event.
    """

    name: str
    kind: Kind = "atomic"
    parent: str = ROOT
    children: tuple[str, ...] = ()
    initial: Transition | None = None
    enter: tuple[Hook, ...] = ()
    exit: tuple[Hook, ...] = ()
    transitions: tuple[Transition, ...] = ()
    defer: tuple[str, ...] = ()
    invoke: tuple[Invoke, ...] = ()
    donedata: Hook | None = None


@dataclass(frozen=True)
class Chart:
    """The definition of a state machine: immutable, checked, and shared by all instances.

    A `StateMachine` class has its own as `Order.chart`. Others are made by `Chart.from_dict`, `Chart.from_scxml` and
    `ChartBuilder`.

    Attributes:
        name: of the machine.
        states: by name, in document order; the first is the root, named "".
        order: the order of a transition's parts: "action first" is action, exit, record, listeners, enter; "scxml" is
            exit, action, record, listeners, enter.
        version: a snapshot says for which version of the chart it is.

    >>> lamp = {"initial": "off", "states": {"off": {"on": {"push": "lit"}}, "lit": {"on": {"push": "off"}}}}
    >>> chart = Chart.from_dict(lamp)
    >>> list(chart.states), chart.states["off"].transitions[0].targets
    (['', 'off', 'lit'], ('lit',))
    """

    # Returns what makes another form of a chart, by name; machine.forms, which is above all of them, puts it here.
    _form: ClassVar[Callable[[str], Callable[..., Any]]]

    name: str
    states: Mapping[str, StateNode]
    order: Order = "action first"
    version: int = 1
    _order_of: dict[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)
    _programs: dict[type, Program] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", MappingProxyType(dict(self.states)))
        self._order_of.update((name, number) for number, name in enumerate(self.states))

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "states": dict(self.states), "order": self.order, "version": self.version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_order_of", {})
        object.__setattr__(self, "_programs", {})
        self.__post_init__()

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.states)))

    # --- structure ---------------------------------------------------------------------------------------------------

    def ancestors(self, name: str) -> Iterator[StateNode]:
        """Go from a state's parent outwards; the root comes last."""
        while name != ROOT:
            name = self.states[name].parent
            yield self.states[name]

    def descendants(self, name: str) -> Iterator[StateNode]:
        """Go through all that is within a state, in document order."""
        for child in self.states[name].children:
            yield self.states[child]
            yield from self.descendants(child)

    def is_within(self, name: str, outer: str) -> bool:
        """Say whether a state is a descendant of another."""
        return any(node.name == outer for node in self.ancestors(name))

    def in_order(self, names: Any) -> list[str]:
        """Sort names of states in document order."""
        return sorted(names, key=self._order_of.__getitem__)

    @property
    def transitions(self) -> Iterator[Transition]:
        """Go through all transitions, in document order."""
        for node in self.states.values():
            yield from node.transitions

    @property
    def events(self) -> frozenset[str]:
        """Patterns of all events that some transition waits for or some state defers."""
        waited = {event for transition in self.transitions for event in transition.events}
        return frozenset(waited | {event for node in self.states.values() for event in node.defer})

    # --- other forms -------------------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None) -> Chart:
        """Make a chart from a dict of builtins, as JSON gives it; `to_dict` is the way back.

        Names of guards and actions are methods of the model, or are looked up in `functions`; nothing is evaluated.

        Raises:
            DefinitionError: an unknown key, with its place; other mistakes are warned of.
        """
        chart: Chart = Chart._form("chart_from_dict")(data, functions)
        return chart

    def to_dict(self) -> dict[str, Any]:
        """Return the chart as a dict of builtins: `Chart.from_dict(chart.to_dict())` is the same chart."""
        data: dict[str, Any] = Chart._form("chart_to_dict")(self)
        return data

    @staticmethod
    def from_scxml(document: str | Path, *, trust: bool = False, datamodel: str = "python") -> ScxmlChart:
        """Read a chart from SCXML: from its text, which begins with "<", or from a file.

        Args:
            document: text or path.
            trust: run `<script>`, which is any Python code. Without it nothing in a document can run code.
            datamodel: of a document that names none: "python", "ecmascript", "c89" or "null".

        Raises:
            DefinitionError: the document is wrong, too large or hostile; the text names file and line.
        """
        chart: ScxmlChart = Chart._form("load")(document, trust=trust, datamodel=datamodel)
        return chart

    def scxml(self) -> str:
        """Return the chart as an SCXML document; of Python's functions it has the names."""
        return str(Chart._form("chart_to_scxml")(self))

    def mermaid(self, *, active: Collection[str] = ()) -> str:
        """Return the chart as a Mermaid state diagram; states in `active` are marked."""
        return str(Chart._form("mermaid")(self, active=active))

    def dot(self, *, active: Collection[str] = ()) -> str:
        """Return the chart for Graphviz; states in `active` are marked."""
        return str(Chart._form("dot")(self, active=active))

    def svg(self, *, active: Collection[str] = ()) -> str:
        """Return the chart as an SVG picture, drawn by Graphviz.

        Raises:
            ActorflowError: Graphviz is not installed, or failed.
        """
        return str(Chart._form("svg")(self, active=active))

    # --- running -----------------------------------------------------------------------------------------------------

    def program(self, model_class: type) -> Program:
        """Return the chart made ready for models of a class; it is made at first need.

        Raises:
            DefinitionError: the class lacks a method that the chart names, or the states are nested too deep.
        """
        program = self._programs.get(model_class)
        if program is None:
            try:
                program = self._programs.setdefault(model_class, Chart._form("Program")(self, model_class))
            except RecursionError:
                msg = (
                    f"the states of chart {self.name!r} are nested too deep: put inner ones into a machine of their own"
                )
                raise DefinitionError(msg) from None
        return program


def is_wait(seconds: object) -> bool:
    """Say whether this is a number of seconds that a timer can wait.

    >>> is_wait(0.5), is_wait(-1), is_wait(float("inf")), is_wait("3"), is_wait(10**400)
    (True, False, False, False, False)
    """
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= LONGEST_WAIT
