"""Stateful: a hypothesis test made of a chart: any events in any order, and the invariants after each.

Not imported by the package: hypothesis is a tool of tests, and slow to import.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import itertools
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actorflow.app.virtual import VirtualSystem
from actorflow.core.futures.future import Future
from actorflow.core.messages.messages import Crashed, Record
from actorflow.core.refs.ref import ActorRef
from actorflow.errors import DefinitionError, PayloadError, TransitionRefused
from actorflow.machine.actor import ChartActor, Machine
from actorflow.machine.definition.chart import Chart
from actorflow.machine.running import snapshot, transition_sets
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.running.paths import public_attributes
from actorflow.machine.state_machine import StateMachine

Strategy: TypeAlias = st.SearchStrategy[Any]
Arguments: TypeAlias = Mapping[str, Strategy | Mapping[str, Strategy]]

FOLLOWING = ("done", "error")  # events that come by themselves
RULE_WORDS = ("target", "targets")  # keywords of hypothesis' own that an argument's name must not be


def machine_rules(
    machine: type[StateMachine] | Chart, arguments: Arguments | None = None, *, make: Callable[[], Any] | None = None
) -> type[MachineRules]:
    """Make a hypothesis test of a machine: a class with one rule for each event, whose `TestCase` pytest collects.

    Events come in any order, legal or not, and so does time, in a virtual system. After each step:

    - the active states may be active together;
    - an event that was refused has changed nothing, and one that is not legal was refused;
    - the history is complete: each record begins where the one before ended, the last ends in the active state;
    - a snapshot, restored, is the same instance: states, histories, timers, deferred events.

    An error of a guard, an action or a hook fails the test. For invariants of your own, subclass; `self.machine` is the
    instance, `self.ref` its ref, `self.state` its state.

    Args:
        machine: a class, or a chart.
        arguments: for each event a strategy for its first argument, or a dict of them by the arguments' names. Others
            are drawn by annotation (`st.from_type`); those with a default are left out.
        make: for a class, returns the argument of `system.spawn`, if the class alone is not enough: ``lambda:
            af.child(Order, 5)``. For a chart, returns its model.

    Raises:
        DefinitionError: an argument has neither strategy nor annotation, or a name is unknown.

    >>> import actorflow as af
    >>> from hypothesis import settings
    >>> from hypothesis import strategies as st
    >>> from hypothesis.stateful import invariant, run_state_machine_as_test
    >>> class Tank(af.StateMachine):
    ...     open, full = af.State(initial=True), af.State(final=True)
    ...     litres = 0
    ...
    ...     @open.to(full, when=lambda self, litres: self.litres + litres >= 10)
    ...     @open.stay
    ...     def fill(self, litres: int) -> None:
    ...         self.litres += litres
    >>> class TankRules(machine_rules(Tank, {"fill": st.integers(1, 5)})):
    ...     @invariant()
    ...     def does_not_overflow(self):
    ...         assert self.machine.litres < 15
    >>> few = settings(TankRules.TestCase.settings, max_examples=5, derandomize=True)
    >>> run_state_machine_as_test(TankRules, settings=few)
    >>> TestTank = TankRules.TestCase  # in a test module
    """
    chart = machine if isinstance(machine, Chart) else machine.chart
    given = dict(arguments or {})
    names = {pattern.removesuffix(".*").removesuffix(".") for pattern in chart.events}
    events = sorted(
        name for name in names - {"*"} if not any(transition_sets.matches(word, name) for word in FOLLOWING)
    )
    _check_names(chart.name, given, events, "event")
    numbers = itertools.count(2)
    rules: dict[str, Any] = {}
    for event in events:
        name = re.sub(r"\W", "_", f"send_{event}")
        name = f"{name}_{next(numbers)}" if name in rules else name
        rules[name] = _rule(name, event, _parameters(machine, event, given.get(event, {})))
    timeouts = sorted({transition.after for transition in chart.transitions if transition.after is not None})
    body = {
        "__doc__": f"Rules of {chart.name}.",
        "chart": chart,
        "source": machine,
        "make": make if make is None else staticmethod(make),
        "wait": rule(seconds=st.sampled_from(timeouts or [1.0]))(_wait),
    }
    return type(f"{chart.name}Rules", (MachineRules,), body | rules)


class MachineRules(RuleBasedStateMachine):
    """The base of the classes that `machine_rules` makes.

    Attributes:
        system: the virtual system that it runs in.
        ref: the machine's ref.
    """

    chart: ClassVar[Chart]
    source: ClassVar[type[StateMachine] | Chart]
    make: ClassVar[staticmethod[[], Any] | None]

    def __init__(self) -> None:
        super().__init__()
        self._records: list[Record] = []
        self._crashes: list[Crashed] = []
        self._deferred: list[Future[Any]] = []
        self.system = VirtualSystem("rules")
        try:
            self.system.subscribe(Crashed, self._crashes.append)
            self.ref: ActorRef[Any] = self._spawn()
            self._interpreter.listen(self._records.append)
        except BaseException:
            self.system.stop()
            raise

    def _spawn(self) -> ActorRef[Any]:
        made = None if self.make is None else self.make()
        if isinstance(self.source, Chart):
            return self.system.spawn(ChartActor, self.source, made)
        return self.system.spawn(self.source if made is None else made)

    @property
    def machine(self) -> Any:
        """The instance: of the class, or the chart's model. It stands still between two steps."""
        actor = self._actor
        return actor.model if isinstance(actor, ChartActor) else actor

    @property
    def state(self) -> str:
        """The active state."""
        return self._interpreter.state

    @property
    def _actor(self) -> Machine:
        actor: Any = self.ref._actor
        return actor  # type: ignore[no-any-return]

    @property
    def _interpreter(self) -> Interpreter:
        return self._actor._interpreter

    # --- steps -------------------------------------------------------------------------------------------------------

    def _send(self, event: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Send an event, and compare its effect with the allowed ones."""
        machine = self._interpreter
        state, before = machine.state, self._seen()
        legal = any(transition_sets.matches(pattern, event) for pattern in machine.legal)
        deferred = any(transition_sets.matches(pattern, event) for pattern in machine._configuration.defers)
        self._records.clear()
        future = self.ref.send(event, *args, **kwargs)
        self._settle()
        if deferred and not future.done():
            self._deferred.append(future)
            return
        try:
            future.get()
        except TransitionRefused as refusal:
            if (refusal.event, refusal.state) != (event, state):
                raise  # by another machine, which an action called
            taken = False
        else:
            taken = bool(self._records) or self.chart.order == "action first"
        if not taken:
            assert self._seen() == before, f"{event!r} was refused in {state!r}, and changed the machine"
            return
        assert legal, f"{event!r} is not legal in {state!r}, and was not refused"
        begin = [record[:3:2] for record in self._records[:1]]
        assert begin == [(state, event)], f"{event!r} was taken in {state!r}, and the first record is of {begin}"

    def _settle(self) -> None:
        """Let due events happen; raise the error that has crashed the machine, or one that came after a deferral."""
        self.system.sleep(0)
        for crash in self._crashes:
            if crash.ref == self.ref and crash.reason is not None:
                raise crash.reason
        for future in [future for future in self._deferred if future.done()]:
            self._deferred.remove(future)
            with contextlib.suppress(TransitionRefused):  # it was recalled in a state that does not take it
                future.get()

    def _seen(self) -> tuple[Any, ...]:
        """Return the state that a refused event must not change."""
        if not self.ref.is_alive():
            return ()
        machine = self._interpreter
        return machine.configuration, machine.history, machine.timers, public_attributes(self.machine)

    # --- invariants --------------------------------------------------------------------------------------------------

    @invariant()
    def _active_states_may_be_active_together(self) -> None:
        if self.ref.is_alive():
            names = self._interpreter.configuration
            assert transition_sets.is_legal(self.chart, names), f"{sorted(names)} are active together"

    @invariant()
    def _history_is_one_chain_that_ends_here(self) -> None:
        history = self._interpreter.history if self.ref.is_alive() else []
        for one, next_one in itertools.pairwise(history):
            assert one.target == next_one.source, f"{next_one} does not begin where {one} ended"
        if history:
            assert history[-1].target == self.state, (
                f"the history ends in {history[-1].target!r}, not in {self.state!r}"
            )

    @invariant()
    def _snapshot_is_the_instance(self) -> None:
        if not self.ref.is_alive():
            return
        machine = self._interpreter
        try:
            taken = machine.snapshot()
        except PayloadError:
            return  # a waiting event has arguments that no snapshot can hold: there is none to compare
        restored = Interpreter(self.chart, machine.model, history=len(taken["history"]), start=False)
        snapshot.put(restored, taken)
        assert restored.snapshot() == taken, f"a restored snapshot is another instance than {taken}"

    def teardown(self) -> None:
        """Stop the system; called at the end of each run."""
        self.system.stop()


def _wait(self: MachineRules, seconds: float) -> None:
    """Let time pass."""
    self.system.sleep(seconds)
    self._settle()


def _rule(name: str, event: str, parameters: dict[str, tuple[Strategy, bool]]) -> Any:
    """Make the rule of an event; of each argument there is the strategy, and whether it goes by position."""
    strategies = {_rule_word(name): strategy for name, (strategy, _) in parameters.items()}

    def send(self: MachineRules, **drawn: Any) -> None:
        args = tuple(drawn[_rule_word(name)] for name, (_, positional) in parameters.items() if positional)
        kwargs = {name: drawn[_rule_word(name)] for name, (_, positional) in parameters.items() if not positional}
        self._send(event, args, kwargs)

    send.__name__ = send.__qualname__ = name
    made: Callable[..., Any] = rule  # its keywords are the arguments' names, and two of its own
    return precondition(lambda self: self.ref.is_alive())(made(**strategies)(send))


def _rule_word(name: str) -> str:
    return f"{name}_" if name in RULE_WORDS else name


# --- strategies for arguments ----------------------------------------------------------------------------------------


def _parameters(
    machine: type[StateMachine] | Chart, event: str, given: Strategy | Mapping[str, Strategy]
) -> dict[str, tuple[Strategy, bool]]:
    """Find a strategy for each argument of an event, and whether it goes by position: guards may call it otherwise."""
    method = _action(machine, event)
    if method is None:
        if isinstance(given, st.SearchStrategy):
            return {"value": (given, True)}
        return {name: (strategy, False) for name, strategy in given.items()}
    place = f"{machine.__name__ if isinstance(machine, type) else machine.name}.{event}"
    known = list(inspect.signature(method).parameters.values())[1:]
    if isinstance(given, st.SearchStrategy):
        if not known:
            raise DefinitionError(f"{place} takes no arguments: leave its strategy out")
        given = {known[0].name: given}
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known):
        _check_names(place, given, [parameter.name for parameter in known], "argument")
    found: dict[str, tuple[Strategy, bool]] = {}
    by_position = True
    for parameter in known:
        wanted = parameter.name in given or parameter.default is parameter.empty
        by_position = by_position and wanted and parameter.kind is not parameter.KEYWORD_ONLY
        if wanted and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            strategy = given[parameter.name] if parameter.name in given else _by_annotation(method, parameter, place)
            found[parameter.name] = (strategy, by_position)
    return {**found, **{name: (strategy, False) for name, strategy in given.items() if name not in found}}


def _action(machine: type[StateMachine] | Chart, event: str) -> Callable[..., Any] | None:
    """Find the function that an event runs; a chart's may be a method of a model, which is not known yet."""
    chart = machine if isinstance(machine, Chart) else machine.chart
    for transition in chart.transitions:
        if any(pattern.removesuffix(".*").removesuffix(".") == event for pattern in transition.events):
            for hook in transition.actions:
                function = getattr(machine, hook.name, None) if isinstance(machine, type) else None
                if hook.function is not None or inspect.isfunction(function):
                    return hook.function or function
    return None


def _by_annotation(method: Callable[..., Any], parameter: inspect.Parameter, place: str) -> Strategy:
    cure = f'give machine_rules(..., {{"{method.__name__}": {{"{parameter.name}": st.integers()}}}}), or the like'
    if parameter.annotation is parameter.empty:
        raise DefinitionError(f"{place} has no annotation for {parameter.name!r}: {cure}")
    try:
        hint = typing.get_type_hints(method)[parameter.name]
    except NameError as error:
        raise DefinitionError(f"{place}: {error}, so {parameter.name!r} cannot be drawn: {cure}") from error
    return st.from_type(hint)


def _check_names(place: str, given: Iterable[str], known: list[str], what: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
            raise DefinitionError(f"{place} has no {what} {name!r}; {hint}")
