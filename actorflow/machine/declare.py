"""Declare: the chart of a class that states and rules are written in.

The states are those of the class and of its bases; of a method's rules, those of the nearest class that gives it any.
Nothing is kept here: a class that cloudpickle builds gets its body after `__init_subclass__`, so its chart is made when
it is first wanted.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from actorflow.machine.definition.chart import Chart, Hook, Invoke, Transition
from actorflow.machine.definition.checks import Problem, covers, fail, problems
from actorflow.machine.definition.direct import action_of
from actorflow.machine.definition.draft import Draft, complete_history, freeze
from actorflow.machine.definition.hooks import cannot_follow, cannot_take, not_plain, shown, takes_model
from actorflow.machine.rules import History, Rule, State, StateGroup, full_name, rules_of

__all__ = ["History", "State", "StateGroup", "chart_of", "check_class"]

OURS = ("actorflow", "pykka")


def chart_of(cls: type, *, version: int = 1) -> Chart:
    """Make the chart of a class.

    Raises:
        DefinitionError: it has no states, or the chart has mistakes; all are named.
    """
    reading = _Reading(cls)
    chart = reading.chart(version)
    if not reading.states:
        reading.add("", "it has no states: assign af.State(initial=True) to an attribute of the class")
    else:
        inherited = {name for name in reading.states if name not in vars(cls)}
        reading.problems += problems(chart, whole=not reading.astray, inherited=inherited)
    if reading.problems:
        raise fail(chart.name, dict.fromkeys(reading.problems))
    return chart


def check_class(cls: type) -> None:
    """Check the states and rules of a class; one that has neither is abstract, and fine.

    Raises:
        DefinitionError: they cannot work; all mistakes are named.
    """
    if any(_own_states(cls)) or any(rules for _, rules in _rules(cls)) or any(_wrapped(cls)):
        chart_of(cls)


# --- the class body --------------------------------------------------------------------------------------------------


def _own_states(cls: type) -> Iterator[tuple[type, str, State]]:
    """Go through the states in class bodies, bases first, those of a body as they were created."""
    for base in reversed(cls.__mro__):
        here = [(name, value) for name, value in vars(base).items() if isinstance(value, State)]
        for name, state in sorted(here, key=lambda pair: pair[1].number):
            yield base, name, state


def _former_names(cls: type) -> Iterator[str]:
    """Go through the full names that classes had where they were written, by the states in their bodies.

    Of a class within a function or another class, cloudpickle leaves the last part of the name only.
    """
    for base, _, state in _own_states(cls):
        if state.owner.startswith(f"{base.__module__}.") and state.owner.endswith(f".{base.__name__}"):
            yield state.owner


def _rules(cls: type) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    """Go through the methods that have rules, bases first, those of a body as they were written."""
    found: dict[str, tuple[Rule, ...]] = {}
    for base in reversed(cls.__mro__):
        here = [(name, rules) for name, value in vars(base).items() if (rules := rules_of(value))]
        found.update(sorted(here, key=lambda pair: min(rule.number for rule in pair[1])))
        for name in found.keys() & vars(base).keys():
            if not callable(vars(base)[name]):
                found[name] = ()  # `pay = None`: the event is taken away
    yield from found.items()


def _wrapped(cls: type) -> Iterator[tuple[str, str]]:
    """Go through the descriptors with rules inside, where nothing reads them: their names, and their kinds."""
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, staticmethod | classmethod):
                inner: Any = value.__func__
            elif isinstance(value, property):
                inner = value.fget
            else:
                continue
            if rules_of(inner):
                yield name, type(value).__name__


def _is_ours(base: type) -> bool:
    """Say whether a class is one of those that machines are made of; an example in a docstring of ours is none."""
    return base.__module__.split(".")[0] in OURS and not any(True for _ in _own_states(base))


def _has_other(base: type, name: str) -> bool:
    """Say whether a class body has something else than a state under a name."""
    return name in vars(base) and not isinstance(vars(base)[name], State)


def _own_events(method: str, rules: tuple[Rule, ...]) -> tuple[str, ...]:
    """Return a method's events: the ends of children that it invokes, or its name, or those that `event=` says."""
    ids = [rule.invoke.id or method for rule in rules if rule.invoke is not None]
    if ids:
        return tuple(f"done.invoke.{id_}" for id_ in dict.fromkeys(ids))
    moves = [rule.events for rule in rules if rule.kind == "move"]
    if not moves or None in moves:
        return (method,)
    return tuple(dict.fromkeys(event for events in moves if events is not None for event in events))


class _Reading:
    """Reads one class; mistakes are gathered, so that one error names them all."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.name = cls.__name__
        self.problems: list[Problem] = []
        self.astray = False  # some states or rules are left out, so the ways between states are not known
        self.owners = {full_name(base) for base in cls.__mro__} | set(_former_names(cls))
        self.states: dict[str, State] = {}
        self.drafts: dict[str, Draft] = {}
        self._read_states()
        self._nest()
        found = list(_rules(cls))
        for method, rules in found:
            self._read_method(method, rules, [rule for rule in rules if rule.sources])
        for method, rules in found:  # behind all others: a state's own come first
            self._read_method(method, rules, [rule for rule in rules if not rule.sources])
        for name, kind in _wrapped(cls):
            self.add(name, f"it has rules, but is a {kind}; make it an ordinary method", astray=True)

    def add(self, place: str, text: str, *, astray: bool = False) -> None:
        """Note a mistake."""
        self.astray |= astray
        self.problems.append(Problem(f"{self.name}.{place}" if place else self.name, text))

    def chart(self, version: int) -> Chart:
        """Return the chart, for better or worse."""
        root = Draft("", initial=self._initial("", [s for s in self.states.values() if s.parent is None]))
        return freeze(self.name, root, self.drafts.values(), version=version)

    # --- states ------------------------------------------------------------------------------------------------------

    def _read_states(self) -> None:
        mro = self.cls.__mro__
        for base, name, state in _own_states(self.cls):
            hidden = next((other for other in mro[mro.index(base) :] if _has_other(other, name)), None)
            if state.name != name:
                text = f"it is the state {state!r} under a second name; make a state of its own, or leave it out"
            elif hidden is not None:
                text = f"the state hides {hidden.__name__}.{name}; give the state another name"
            elif not isinstance(getattr(self.cls, name), State):
                text = f"it hides the state {state!r}; give it another name"
            else:
                self.states[name] = state
                continue
            self.add(name, text, astray=True)

    def _nest(self) -> None:
        for name, state in self.states.items():
            draft = self.drafts[name] = Draft(name)
            if state.parent is not None:
                draft.parent = self._name(state.parent, name) or ""
            if isinstance(state, History):
                draft.kind = "deep" if state.deep else "shallow"
            elif state.final:
                draft.kind = "final"
            elif state.parallel:
                draft.kind = "parallel"
        for name, state in self.states.items():
            within = [other for other in self.states.values() if other.parent is not None and other.parent.name == name]
            if not isinstance(state, History):
                self.drafts[name].initial = self._initial(name, within)
        for name, state in self.states.items():
            if isinstance(state, History) and state.default is not None:
                targets = tuple(self._names(state.default.states, name))
                self.drafts[name].initial = Transition(name, targets=targets)
            elif isinstance(state, History):
                complete_history(self.drafts[name], self.drafts)

    def _initial(self, parent: str, within: list[State]) -> Transition | None:
        chosen = [state.name for state in within if state.initial]
        if len(chosen) > 1:
            text = f"it has {len(chosen)} initial states, {', '.join(chosen)}; leave initial=True at one of them"
            self.add(parent, text)
        return Transition(parent, targets=(chosen[0],)) if chosen else None

    def _name(self, state: State, place: str) -> str | None:
        """Return the name of a state that something in the class means, if the class has it."""
        if state.name in self.states and state.owner in self.owners:
            return state.name
        if not state.name:
            text = "it means a state that is no attribute of the class: was its name given to something else?"
            self.add(place, text, astray=True)
        elif not any(problem.place == f"{self.name}.{state.name}" for problem in self.problems):
            near = difflib.get_close_matches(state.name, self.states, n=1)
            hint = f"; its own is {near[0]!r}" if near else ""
            self.add(place, f"it means {state!r}, which is no state of {self.name}{hint}", astray=True)
        return None

    def _names(self, states: tuple[State, ...], place: str) -> Iterator[str]:
        return (name for state in states if (name := self._name(state, place)) is not None)

    # --- rules -------------------------------------------------------------------------------------------------------

    def _read_method(self, method: str, rules: tuple[Rule, ...], wanted: list[Rule]) -> None:
        """Read those of a method's rules that are wanted now."""
        if not wanted:
            return
        ours = next((base for base in self.cls.__mro__ if method in vars(base) and _is_ours(base)), None)
        if ours is not None:
            text = f"{ours.__name__} has a method of that name: name it otherwise, with event={method!r}"
            self.add(method, text, astray=True)
            return
        function = action_of(getattr(self.cls, method))
        if wrong := not_plain(function):
            self.add(method, wrong)
        elif not takes_model(function):
            self.add(method, f"it takes nothing, not even the machine; write def {method}(self)")
        own = _own_events(method, rules)
        listens = any(rule.kind == "move" for rule in rules)
        for rule in wanted:
            if takes_model(function):
                self._check_call(method, function, rule)
            names = self._names(rule.sources, method) if rule.sources else self._any_state(rule, own)
            for name in list(names):
                self._apply(self.drafts[name], rule, method, own, listens=listens)

    def _any_state(self, rule: Rule, own: tuple[str, ...]) -> Iterator[str]:
        """Go through the states that a rule for any state is for: a state with a rule of its own needs none.

        Hooks are for all states. Rules of events are for those at the top, since inner states come first.
        """
        events = own if rule.events is None else rule.events
        for name, draft in self.drafts.items():
            if isinstance(self.states[name], History):
                continue
            if rule.kind in ("enter", "exit"):
                yield name
            elif not draft.parent and draft.kind != "final":
                free = [one.events for one in draft.transitions if one.guard is None and one.after is None]
                taken = [pattern for patterns in free for pattern in patterns]
                if rule.kind != "move" or not all(any(covers(one, event) for one in taken) for event in events):
                    yield name

    def _apply(self, draft: Draft, rule: Rule, method: str, own: tuple[str, ...], *, listens: bool) -> None:
        action = Hook(method)
        if rule.kind == "enter":
            draft.enter.append(action)
        elif rule.kind == "exit":
            draft.exit.append(action)
        elif rule.kind == "defer":
            draft.defer += own
        elif rule.kind == "donedata":
            if draft.donedata is not None:
                self.add(method, f"{draft.name!r} has its donedata from {draft.donedata.name!r} already; keep one")
            draft.donedata = action
        elif rule.invoke is not None:
            made = rule.invoke
            finalize = None if made.finalize is None else self._resolved(made.finalize)
            draft.invoke.append(Invoke(made.id or method, made.child, made.autoforward, finalize))
            if not listens:
                events = (f"done.invoke.{made.id or method}",)
                draft.transitions.append(Transition(draft.name, events, actions=(action,)))
        else:
            targets = tuple(self._names(rule.targets, method))
            if len(targets) == len(rule.targets):
                draft.transitions.append(self._transition(draft.name, rule, targets, action, own))

    def _transition(
        self, source: str, rule: Rule, targets: tuple[str, ...], action: Hook, own: tuple[str, ...]
    ) -> Transition:
        events = () if rule.kind != "move" else own if rule.events is None else rule.events
        guard = None if rule.guard is None else self._resolved(rule.guard)
        after = rule.seconds if rule.kind == "after" else None
        return Transition(source, events, targets, guard, (action,), rule.internal, after)

    def _resolved(self, hook: Hook) -> Hook:
        """Return a hook by name for a function that is a method, so that subclasses can override it."""
        if any(action_of(vars(base).get(hook.name)) is hook.function for base in self.cls.__mro__):
            return Hook(hook.name)
        return hook

    def _check_call(self, method: str, function: Any, rule: Rule) -> None:
        """Compare the parameters of a function with the arguments it is called with."""
        if rule.kind in ("enter", "exit"):
            if cannot_take(function, (None,)) and cannot_take(function, (None, None)):
                text = f"{rule.kind} calls it with the event or nothing, but it takes {shown(function)}"
                self.add(method, f"{text}; leave all but one argument out")
        elif rule.kind in ("donedata", "after", "always"):
            if cannot_take(function, (None,)):
                self.add(
                    method, f"{rule.kind} calls it with no arguments, but it takes {shown(function)}; leave them out"
                )
        elif rule.kind == "invoke" and (wrong := cannot_take(function, (None, None))):
            self.add(method, f"it gets the child's result, one argument, but takes {shown(function)}: {wrong}")
        for hook in (rule.guard, rule.invoke.finalize if rule.invoke is not None else None):
            if hook is not None:
                self._check_guard(method, function, rule, hook)

    def _check_guard(self, method: str, function: Any, rule: Rule, hook: Hook) -> None:
        resolved = self._resolved(hook)
        guard = hook.function if resolved.function is not None else action_of(getattr(self.cls, resolved.name))
        if wrong := not_plain(guard):
            self.add(method, f"{hook.name!r}: {wrong}")
        elif rule.kind == "move" and (wrong := cannot_follow(guard, function)):
            text = (
                f"its guard {hook.name!r} takes {shown(guard)}, but gets those of {method!r}, {shown(function)}: "
                f"{wrong}; let it take the same"
            )
            self.add(method, text)
        elif rule.kind == "always" and (wrong := cannot_take(guard, (None,))):
            self.add(method, f"its guard {hook.name!r} is called without arguments, but takes {shown(guard)}")
