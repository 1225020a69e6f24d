"""Rules: states of the class form, and the decorators that give them rules.

A rule is kept at the function that it decorates, so the class whose body holds the function owns the rule, and pickling
the class by value keeps both. A rule refers to states by their names, since a copy of a class has copies of its states.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, overload

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import Child
from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import Chart, Hook, Invoke, is_wait
from actorflow.machine.definition.direct import event_method
from actorflow.machine.definition.hooks import hook_of
from actorflow.text import text_of

if TYPE_CHECKING:
    from typing import NoReturn

    from actorflow.machine.running.event import Event

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S")
R = TypeVar("R")
H = TypeVar("H", bound="Callable[[Any], Any] | Callable[[Any, Event], Any]")

RuleKind: TypeAlias = Literal["move", "after", "always", "enter", "exit", "defer", "invoke", "donedata"]

EVENTS: Final = frozenset({"move", "defer", "invoke"})  # kinds whose method is an event
RULES: Final = "_machine_rules"  # key in the __dict__ of a decorated function
_numbers = itertools.count()  # of states and rules, as they are written


@dataclass(frozen=True, slots=True)
class Rule:
    """One decorator's statement about the function under it.

    Attributes:
        kind: "move" for `to` and `stay`, else the decorator's name.
        sources: the states that it holds in; none: in any state.
        targets: none: no change of state.
        guard: of `when=`.
        internal: of `internal=`.
        events: of `event=`; None is the function's own name.
        seconds: of `after`.
        invoke: of `invoke`; an empty id is the function's own name.
        number: counts rules as they are written: a class that was pickled has its methods in another order.
    """

    kind: RuleKind
    sources: tuple[State, ...]
    targets: tuple[State, ...] = ()
    guard: Hook | None = None
    internal: bool = False
    events: tuple[str, ...] | None = None
    seconds: float = 0.0
    invoke: Invoke | None = None
    number: int = field(default_factory=lambda: next(_numbers))

    def __call__(self, function: F) -> F:
        """Add the rule to a function. Decorators apply bottom-up, so it goes before those that are there."""
        if not inspect.isfunction(function):
            place = repr(self.sources[0]) if self.sources else "any state"
            raise DefinitionError(f"a rule of {place} decorates {function!r}: give it a method, by def")
        method = event_method(function) if self.kind in EVENTS else function
        method.__dict__[RULES] = (self, *rules_of(method))
        return method  # pyright: ignore[reportReturnType] - isfunction narrowed it


def rules_of(function: Any) -> tuple[Rule, ...]:
    """Return the rules of a function, top to bottom."""
    rules: tuple[Rule, ...] = getattr(function, "__dict__", {}).get(RULES, ())
    return rules


class StateGroup:
    """Several states in one rule: ``(new | paid).to(dead)``. A state is a group of one.

    Its methods are decorators. They keep the method's type; of several at one method, or for one event, the upper is
    tried first. A group contains its states and their names: ``order.state in Order.open_ones``.
    """

    def __init__(self, *states: State) -> None:
        self._states = states

    @property
    def states(self) -> tuple[State, ...]:
        """The states in it, in the order written."""
        return self._states

    def __or__(self, other: StateGroup) -> StateGroup:
        if not isinstance(other, StateGroup):
            return NotImplemented
        if isinstance(other, AnyState):
            raise DefinitionError(f"{self!r} | {other!r}: any state includes these; leave them out")
        new = [state for state in other.states if not any(state is one for one in self.states)]
        return StateGroup(*self.states, *new)  # by identity: they have no names yet

    def __iter__(self) -> Iterator[State]:
        return iter(self.states)

    def __contains__(self, state: object) -> bool:
        return any(state == one for one in self.states)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.states))

    def to(
        self,
        target: StateGroup,
        /,
        *,
        when: Callable[..., bool] | None = None,
        internal: bool = False,
        event: str | None = None,
    ) -> Callable[[F], F]:
        """In these states, the event takes the machine to the target; the method is the action.

        Args:
            target: a state, or one state of each region: ``a | b``.
            when: the guard: a method defined above or a lambda, with the same arguments as the method; if it returns a
                false value, the next rule is tried.
            internal: a target within the state is entered without leaving the state.
            event: the event's name, or a pattern ("done.state.on", "error.*", "*"), or several with spaces between;
                without it, the method's name.
        """
        targets = _targets(self, target)
        return Rule("move", self.states, targets, _guard(when), internal, _events_of(event))

    @overload
    def stay(self, action: F, /) -> F: ...
    @overload
    def stay(self, /, *, when: Callable[..., bool] | None = None, event: str | None = None) -> Callable[[F], F]: ...
    def stay(
        self,
        action: Callable[..., Any] | None = None,
        /,
        *,
        when: Callable[..., bool] | None = None,
        event: str | None = None,
    ) -> Callable[..., Any]:
        """In these states, the event runs the method and changes no state. Arguments: see `to`."""
        rule = Rule("move", self.states, (), _guard(when), events=_events_of(event))
        return rule if action is None else rule(action)

    def after(self, seconds: float, target: StateGroup, /) -> Callable[[Callable[[S], R]], Callable[[S], R]]:
        """After so many seconds in the state the machine goes to the target; the method is the action, and no event."""
        if not is_wait(seconds):
            raise DefinitionError(f"after({text_of(seconds)}, ...): give a number of seconds, 0 or more")
        return Rule("after", self.states, _targets(self, target), seconds=seconds)

    def always(self, target: StateGroup, /, *, when: Callable[..., bool] | None = None) -> Callable[[F], F]:
        """As soon as the state is active and the guard allows, the machine goes on; the method is the action."""
        return Rule("always", self.states, _targets(self, target), _guard(when))

    def enter(self, hook: H, /) -> H:
        """The method runs when the state is entered; one that takes an argument gets the `Event` that led there."""
        return Rule("enter", self.states)(hook)

    def exit(self, hook: H, /) -> H:
        """The method runs when the state is left; one that takes an argument gets the `Event`."""
        return Rule("exit", self.states)(hook)

    def defer(self, event: F, /) -> F:
        """The event waits, while the state has no rule for it, for the next change of state."""
        return Rule("defer", self.states)(event)


class AnyState(StateGroup):
    """Any state of the machine, those of subclasses too: made by `State.any()`."""

    def __or__(self, other: StateGroup) -> StateGroup:
        raise DefinitionError(f"{self!r} | {other!r}: any state includes these; leave them out")

    def __repr__(self) -> str:
        return "State.any()"


class State(StateGroup):
    """A state of a `StateMachine` class, named after the attribute that it is assigned to.

    A state equals its own name, so ``order.state == Order.paid`` tests for it.

    Args:
        initial: it is entered first: with the machine, or with its parent.
        final: the machine, or its parent, is done in it.
        parent: the state that it is in; a state with others in it is compound.
        parallel: all states in it are active at once, as regions.
    """

    name: str = ""
    final: bool

    def __init__(
        self, *, initial: bool = False, final: bool = False, parent: State | None = None, parallel: bool = False
    ) -> None:
        super().__init__()
        if final and parallel:
            raise DefinitionError("State(final=True, parallel=True): a final state has no states in it; leave one out")
        if isinstance(parent, History) or not isinstance(parent, State | None):
            raise DefinitionError(f"State(parent={parent!r}): give the state that it is in")
        if parent is not None and parent.final:
            raise DefinitionError(f"State(parent={parent!r}): nothing is within a final state")
        self.name = ""
        self.owner = ""
        self.initial = initial
        self.final = final
        self.parent = parent
        self.parallel = parallel
        self.number = next(_numbers)

    @staticmethod
    def any() -> StateGroup:
        """Return the object that stands for any state in a rule: ``@af.State.any().to(cancelled)``.

        Its transitions, timeouts and deferred events are those of all states that are not final, and are tried after a
        state's own; its hooks run when any state is entered or left.
        """
        return AnyState()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, State):
            return self is other or bool(self.name and (self.name, self.owner) == (other.name, other.owner))
        if isinstance(other, str):
            return self.name == other != ""
        return NotImplemented

    def __hash__(self) -> int:
        if not self.name:
            msg = "a state has no name, and so no hash, before its class is made: write a group, new | paid, or a tuple"
            raise TypeError(msg)
        return hash(self.name)

    def __set_name__(self, owner: type, name: str) -> None:
        # Raises nothing: Python 3.11 would wrap it. A second name is found when the class is read.
        if not self.name:
            self.name = name
            self.owner = full_name(owner)

    def __repr__(self) -> str:
        return (
            f"{self.owner.rpartition('.')[2]}.{self.name}" if self.name else f"<{type(self).__name__} without a name>"
        )

    @property
    def states(self) -> tuple[State, ...]:
        """The state itself."""
        return (self,)

    def invoke(
        self,
        child: type[Actor] | Child[Any] | Chart,
        /,
        *,
        id: str | None = None,
        autoforward: bool = False,
        finalize: Callable[..., Any] | None = None,
    ) -> Callable[[F], F]:
        """While the state is active, a child runs; its end is the method's event, with the child's result.

        Without another rule the method is an action that changes no state; ``@on.to(off)`` below makes it a transition.

        Args:
            child: an actor class, a recipe (`af.child`), or a chart.
            id: its name; without it, the method's.
            autoforward: it gets all events that the machine gets from outside.
            finalize: a method or lambda, run on each event from the child before a transition is chosen.
        """
        if not isinstance(child, Child | Chart) and not (isinstance(child, type) and issubclass(child, Actor)):
            raise DefinitionError(f"invoke({child!r}): give an actor class, a child recipe (af.child) or a chart")
        if id is not None and (not isinstance(id, str) or not id or id.split() != [id]):
            raise DefinitionError(f"invoke(id={id!r}): give a name without spaces")
        end = None if finalize is None else hook_of(finalize, "finalize")
        return Rule("invoke", self.states, invoke=Invoke(id or "", child, autoforward, end))

    def donedata(self, method: Callable[[S], R], /) -> Callable[[S], R]:
        """The method returns the result that this final state gives its parent, or the machine's parent."""
        return Rule("donedata", self.states)(method)


class History(State):
    """A target that stands for the states last active in a state: its child, or with `deep` all within it.

    Args:
        of: the state whose past is meant.
        deep: down to the innermost states, not only its direct child.
        default: the state entered while there is no past; without it, the one that `of` enters by default.

    >>> import actorflow as af
    >>> class Player(af.StateMachine):
    ...     on, off = af.State(), af.State(initial=True)
    ...     radio, disc = af.State(parent=on, initial=True), af.State(parent=on)
    ...     last = af.History(on)
    ...
    ...     @off.to(last)
    ...     @on.to(off)
    ...     def power(self) -> None: ...
    ...
    ...     @radio.to(disc)
    ...     def switch(self) -> None: ...
    >>> player = Player.local()
    >>> for event in (player.power, player.switch, player.power, player.power):
    ...     event()
    >>> player.state
    'disc'
    """

    def __init__(self, of: State, /, *, deep: bool = False, default: StateGroup | None = None) -> None:
        if not isinstance(of, State):
            raise DefinitionError(f"History({of!r}): give the state whose past is meant")
        if not isinstance(default, StateGroup | None) or isinstance(default, AnyState):
            raise DefinitionError(f"History(default={default!r}): give a state within {of!r}")
        super().__init__(parent=of)
        self.deep = deep
        self.default = default

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise DefinitionError(f"{self!r} is a history, which is only a target: give the rule to {self.parent!r}")

    if not TYPE_CHECKING:
        to = stay = after = always = enter = exit = defer = invoke = donedata = _refuse


def full_name(cls: type) -> str:
    """Return module and qualified name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _guard(when: Callable[..., bool] | None) -> Hook | None:
    return None if when is None else hook_of(when, "when")


def _targets(source: StateGroup, target: Any) -> tuple[State, ...]:
    if not isinstance(target, StateGroup) or isinstance(target, AnyState):
        raise DefinitionError(f"a rule of {source!r} has the target {target!r}: give a state")
    return target.states


def _events_of(event: Any) -> tuple[str, ...] | None:
    """Return the names in `event=`; None if there is none."""
    if event is None:
        return None
    if not isinstance(event, str) or not event.split():
        msg = f"event={event!r}: give a name, a pattern such as 'error.*' or '*', or several with spaces between"
        raise DefinitionError(msg)
    return tuple(event.split())
