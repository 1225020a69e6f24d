"""Builder: a chart made step by step at run time, also from state objects."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self, TypeAlias

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Hook, Invoke, Kind, Transition, is_wait
from actorflow.machine.definition.checks import check
from actorflow.machine.definition.draft import Draft, complete_history, freeze
from actorflow.machine.definition.hooks import cannot_take, hook_of
from actorflow.text import text_of

Function: TypeAlias = str | Callable[..., Any]


class ChartBuilder:
    """Builds a chart from calls instead of a class.

    Guards and actions are functions, called with the model and the event's arguments, or names of the model's methods.
    A state may be an object of your own with a `name`, and if it likes `enter()`, `exit()` and `handle(event)`: that
    returns the next state's name, or None for an event that it does not take.

    >>> builder = ChartBuilder("door")
    >>> builder.add_state("open").add_state("shut").set_initial("shut")
    ChartBuilder('door')
    >>> builder.add_transition("shut", "push", "open", when=lambda model, force: force > 3)
    ChartBuilder('door')
    >>> builder.add_transition("open", "pull", "shut")
    ChartBuilder('door')
    >>> list(builder.build().states)
    ['', 'open', 'shut']
    """

    def __init__(self, name: str, *, version: int = 1) -> None:
        self.name = name
        self.version = version
        self._root = Draft(ROOT)
        self._drafts: dict[str, Draft] = {}
        self._handlers: dict[str, Transition] = {}  # of state objects: tried after all that was added

    def __repr__(self) -> str:
        return f"ChartBuilder({self.name!r})"

    def add_state(
        self,
        state: Any,
        /,
        *,
        initial: bool = False,
        final: bool = False,
        parent: Any = None,
        parallel: bool = False,
        enter: Function | Sequence[Function] = (),
        exit: Function | Sequence[Function] = (),
        defer: str | Sequence[str] = (),
        donedata: Function | None = None,
    ) -> Self:
        """Add a state.

        Args:
            state: its name, or a state object.
            initial: it is entered first: with the machine, or with its parent.
            final: the machine, or its parent, is done in it.
            parent: the state that it is in.
            parallel: all states in it are active at once.
            enter: run when it is entered.
            exit: run when it is left.
            defer: events that wait in it for the next change of state.
            donedata: of a final state, returns its result.

        Raises:
            DefinitionError: the name is taken, the parent unknown, or both `final` and `parallel` are set.
        """
        if final and parallel:
            self._fail(f"state {state!r}: a final state has no states in it; leave final or parallel out")
        draft = self._new(_name(state), parent, "final" if final else "parallel" if parallel else None)
        draft.enter = self._hooks(enter, "enter")
        draft.exit = self._hooks(exit, "exit")
        draft.defer = [defer] if isinstance(defer, str) else list(defer)
        draft.donedata = None if donedata is None else self._hook(donedata, "donedata")
        handler = None if isinstance(state, str) else self._adopt(draft, state)
        if initial:
            self._make_initial(draft)
        if handler is not None:
            self._handlers[draft.name] = handler
        self._drafts[draft.name] = draft
        return self

    def add_history(self, name: str, /, *, of: Any, deep: bool = False, default: Any = None) -> Self:
        """Add a target that stands for the states last active in a state; without a past, for `default`."""
        draft = self._new(name, of, "deep" if deep else "shallow")
        if default is not None:
            draft.initial = Transition(name, targets=(self._known(default),))
        self._drafts[name] = draft
        return self

    def add_transition(
        self,
        source: Any,
        event: str | None,
        target: Any = None,
        /,
        *,
        when: Function | None = None,
        action: Function | Sequence[Function] = (),
        internal: bool = False,
        after: float | None = None,
    ) -> Self:
        """Add a transition; of those that fit an event, the first that was added is taken.

        Args:
            source: the state that it leads from.
            event: a name or a pattern; None: it is taken as soon as its guard allows, or after `after` seconds.
            target: the state that it leads to; a tuple of one state a region; None: no change of state.
            when: the guard, which may veto it.
            action: run when it is taken; if it raises, the transition fails.
            internal: a target within the source is entered without leaving the source.
            after: seconds in the source.

        Raises:
            DefinitionError: a state is unknown, or there is an event and a time.
        """
        if event is not None and (after is not None or not isinstance(event, str) or not event.strip()):
            given = f"add_transition({source!r}, {event!r}, after={after!r})"
            self._fail(f"{given}: give an event's name, or None and a time")
        if after is not None and not is_wait(after):
            self._fail(f"after={text_of(after)}: give a number of seconds, 0 or more")
        targets = () if target is None else target if isinstance(target, tuple) else (target,)
        transition = Transition(
            self._known(source),
            () if event is None else tuple(event.split()),
            tuple(self._known(each) for each in targets),
            None if when is None else self._hook(when, "when"),
            tuple(self._hooks(action, "action")),
            internal,
            after,
        )
        self._drafts[transition.source].transitions.append(transition)
        return self

    def add_invoke(
        self, state: Any, child: Any, /, *, id: str, autoforward: bool = False, finalize: Function | None = None
    ) -> Self:
        """Let a child run while a state is active; its end is the event "done.invoke.<id>"."""
        end = None if finalize is None else self._hook(finalize, "finalize")
        self._drafts[self._known(state)].invoke.append(Invoke(id, child, autoforward, end))
        return self

    def set_initial(self, state: Any, /) -> Self:
        """Set the state that is entered first: with the machine or, if the state is in another, with that.

        Raises:
            DefinitionError: the state is unknown, or another is initial already.
        """
        self._make_initial(self._drafts[self._known(state)])
        return self

    def build(self) -> Chart:
        """Return the chart. A doubtful part, such as a missing initial state, is a `ChartWarning`."""
        drafts = {name: self._finished(draft) for name, draft in self._drafts.items()}
        for draft in drafts.values():
            if draft.kind in HISTORY and draft.initial is None:
                complete_history(draft, drafts)
        chart = freeze(self.name, Draft(ROOT, initial=self._root.initial), drafts.values(), version=self.version)
        check(chart, loud="warning")
        return chart

    # --- parts -------------------------------------------------------------------------------------------------------

    def _new(self, name: Any, parent: Any, kind: Kind | None) -> Draft:
        if not isinstance(name, str) or not name.strip():
            self._fail(f"state {name!r}: give a name, or an object with one")
        if name in self._drafts:
            self._fail(f"state {name!r}: there is one already; names are unique in the whole chart")
        return Draft(name, ROOT if parent is None else self._known(parent), kind)

    def _make_initial(self, draft: Draft) -> None:
        around = self._drafts.get(draft.parent, self._root)
        if around.initial is not None and around.initial.targets != (draft.name,):
            self._fail(f"initial state {draft.name!r}: {around.initial.targets[0]!r} is initial already; keep one")
        around.initial = Transition(draft.parent, targets=(draft.name,))

    def _adopt(self, draft: Draft, state: Any) -> Transition | None:
        """Take over the parts of a state object; return the transition by its `handle`."""
        for hooks, what in ((draft.enter, "enter"), (draft.exit, "exit")):
            method = getattr(state, what, None)
            if method is not None:
                hook_of(method, what)
                wants_model = bool(cannot_take(method, ()))
                hooks.append(Hook(f"{draft.name}.{what}", functools.partial(_run, method, wants_model=wants_model)))
        handle = getattr(state, "handle", None)
        if handle is None:
            return None
        hook_of(handle, "handle")
        if wrong := cannot_take(handle, (None,)):
            self._fail(f"state {draft.name!r}: handle(event) gets the event alone: {wrong}")
        choose = Hook(f"{draft.name}.handle", functools.partial(_next_state, handle))
        return Transition(draft.name, ("*",), choose=choose)

    def _finished(self, draft: Draft) -> Draft:
        handler = [self._handlers[draft.name]] if draft.name in self._handlers else []
        return dataclasses.replace(draft, transitions=[*draft.transitions, *handler])

    def _known(self, state: Any) -> str:
        """Return the name of a state, which is to be there."""
        name = _name(state)
        if name not in self._drafts:
            near = difflib.get_close_matches(str(name), self._drafts, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "add it first"
            self._fail(f"there is no state {name!r}; {hint}")
        return str(name)

    def _hook(self, function: Any, what: str) -> Hook:
        if isinstance(function, str) and function.isidentifier():
            return Hook(function)
        return hook_of(function, what)

    def _hooks(self, functions: Any, what: str) -> list[Hook]:
        if isinstance(functions, str) or callable(functions):
            functions = (functions,)
        return [self._hook(function, what) for function in functions]

    def _fail(self, text: str) -> NoReturn:
        raise DefinitionError(f"{self.name}: {text}")


def _name(state: Any) -> Any:
    """Return the name of a state in an object that stands for it; for an Enum member that is text, the text."""
    return str.__str__(state) if isinstance(state, str) else getattr(state, "name", state)


def _run(method: Callable[..., Any], model: Any, *, wants_model: bool) -> Any:
    """Run enter or exit of a state object, which may take the model."""
    return method(model) if wants_model else method()


def _next_state(handle: Callable[[Any], Any], _model: Any, event: Any) -> str | None:
    """Ask a state object for the next state: its name, or the object."""
    state = handle(event)
    return None if state is None else _name(state)
