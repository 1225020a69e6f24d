"""Snapshot: the whole state of an instance, as builtins; and the way back.

No hook runs at a restore, and timers keep their deadlines: those that came due meanwhile fire at once.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.core.messages.messages import Record
from actorflow.errors import DefinitionError, PayloadError
from actorflow.machine.definition.chart import HISTORY, ROOT
from actorflow.machine.running.event import Event
from actorflow.machine.running.pending import PendingTimer, TimerKey, pending_of
from actorflow.machine.running.steps import macrostep, timers
from actorflow.machine.running.transition_sets import is_legal, was_active
from actorflow.text import reason_of, text_of

if TYPE_CHECKING:
    from actorflow.machine.definition.chart import Chart
    from actorflow.machine.running.interpreter import Interpreter

PLAIN = frozenset({type(None), bool, int, float, str, bytes})
LONGEST = 1000  # characters of the text of an argument, in the history of a snapshot
SEQUENCES = frozenset({list, tuple, set, frozenset})


def take(machine: Interpreter) -> dict[str, Any]:
    """Return configuration, history states, records, timers and deferred events.

    Raises:
        DefinitionError: an event is being handled right now.
        PayloadError: an argument of a deferred event or a timer is no builtin.
    """
    if machine._running:
        msg = f"a snapshot of {machine.chart.name} in the middle of an event: take it between two"
        raise DefinitionError(msg)
    pending = machine._pending
    data_of_model = getattr(machine.model, "_snapshot_data", None)  # a model that is the chart's own keeps it here
    return {
        "machine": machine.chart.name,
        "version": machine.chart.version,
        "configuration": machine.chart.in_order(machine.configuration),
        "remembered": {} if pending is None else {name: list(held) for name, held in pending.remembered.items()},
        "timers": [] if pending is None else [timer_to_dict(due) for due in pending.timers.values()],
        "deferred": [] if pending is None else [event_to_dict(event, "deferred") for event in pending.deferred],
        "history": [[*record[:3], shown(list(record.data)), record.time] for record in machine.history],
        **({} if data_of_model is None else {"data": data_of_model()}),
    }


def put(machine: Interpreter, snapshot: dict[str, Any]) -> None:
    """Put a fresh instance into the state of a snapshot.

    Raises:
        DefinitionError: the snapshot is of another version, or is none, or names no configuration of the chart.
    """
    try:
        check(machine.chart, snapshot)
        _put(machine, snapshot)
    except DefinitionError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, PayloadError) as error:
        msg = f"this is no snapshot of {machine.chart.name!r}: {reason_of(error)}"
        raise DefinitionError(msg) from error


def _put(machine: Interpreter, snapshot: dict[str, Any]) -> None:
    machine._configuration = machine._program.configuration(frozenset(snapshot["configuration"]))
    records = [
        Record(source, target, event, tuple(copied(list(data), "history")), float(time))
        for source, target, event, data, time in snapshot["history"]
    ]
    if records and machine._records:
        limit = machine._records if isinstance(machine._records, int) else machine._records.maxlen
        machine._records = deque(records, maxlen=limit)
    if snapshot["remembered"] or snapshot["timers"] or snapshot["deferred"]:
        pending = pending_of(machine)
        pending.remembered.update({name: tuple(held) for name, held in snapshot["remembered"].items()})
        for data in snapshot["deferred"]:
            event = event_of(data)
            event.waits = True
            pending.deferred.append(event)
        for timer in snapshot["timers"]:
            sent = event_of(timer["event"]) if timer["event"] is not None else None
            due = PendingTimer(key_of(timer), float(timer["due"]), sent, int(timer.get("crashes", 0)))
            pending.timers[due.key] = due
    restore_data = getattr(machine.model, "_restore_data", None)
    if restore_data is not None:
        restore_data(machine, data_of(snapshot))


def data_of(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes in a snapshot, as copies.

    Raises:
        DefinitionError: they are none that a snapshot has.
    """
    data = snapshot.get("data", {})
    if not isinstance(data, dict) or not all(isinstance(name, str) and not name.startswith("_") for name in data):
        msg = f"a snapshot has its attributes as a dict by name, none of which starts with '_', under 'data': {data!r}"
        raise DefinitionError(msg)
    return {name: copied(value, name) for name, value in data.items()}


def place(machine: Interpreter, names: frozenset[str]) -> None:
    """Put a fresh instance into states as if entered before: no hook runs. `begin` starts their timers and children."""
    machine._configuration = machine._program.configuration(names)


def start_in(machine: Interpreter, names: frozenset[str], *, begins: bool) -> None:
    """Start in given states, instead of the initial ones; `begins`: their timers and children are started too."""
    machine._configuration = machine._program.nowhere
    place(machine, names)
    if begins:
        begin(machine)


def begin(machine: Interpreter) -> None:
    """Start an instance that was placed: the timeouts and the children of its states, and the steps that follow."""
    for name in machine.chart.in_order(machine.configuration):
        for move in machine._program.timeouts_of(name):
            assert move.transition.after is not None
            timers.start_timer(machine, move.key, move.transition.after, None)
    go_on(machine)
    macrostep.complete(machine, lambda: None)


def go_on(machine: Interpreter) -> None:
    """Start a restored instance's timers, and the children of its active states, again."""
    pending = machine._pending
    now = machine._platform.time()
    for due in list(pending.timers.values()) if pending is not None else ():
        if due.cancel is None:
            timers.add_timer(machine, due, max(0.0, due.due - now))
    chart = machine.chart
    for name in chart.in_order(machine.configuration):
        for invoke in chart.states[name].invoke:
            pending = pending_of(machine)
            if (name, invoke.id) not in pending.children:
                pending.invoking.append((name, invoke))
    if machine._pending is not None and machine._pending.invoking:
        macrostep.complete(machine, lambda: None)


def cancel_timers(machine: Interpreter) -> None:
    """Have no timer of an instance fire that another one replaces: none that is queued, and none just started."""
    for key in machine.timers:
        timers.cancel_timer(machine, key)


def take_over(machine: Interpreter, old: Interpreter) -> None:
    """Let an instance that was restored in another's place go on; children of the other are not invoked twice."""
    for key, (invoke, child) in old._pending.children.items() if old._pending is not None else ():
        if key[0] in machine.configuration:
            pending_of(machine).children[key] = (invoke, child)
        else:
            machine._platform.end_child(child)
    go_on(machine)


def check(chart: Chart, snapshot: dict[str, Any]) -> None:
    """Refuse a snapshot that is not one of this chart."""
    if not isinstance(snapshot, dict):
        raise DefinitionError(f"this is no snapshot of a machine, but {type(snapshot).__name__}")
    missing = {"machine", "version", "configuration", "remembered", "timers", "deferred", "history"} - set(snapshot)
    if missing:
        msg = f"this is no snapshot of a machine: it has no {', '.join(sorted(missing))}"
        raise DefinitionError(msg)
    if snapshot["version"] != chart.version:
        msg = (
            f"a snapshot of version {snapshot['version']} for {chart.name!r} of version {chart.version}: "
            "declare `migrate(cls, snapshot)`, a class method that returns one of this version"
        )
        raise DefinitionError(msg)
    if wrong := misfit(chart, snapshot):
        raise DefinitionError(f"a snapshot of {snapshot['machine']!r} does not fit chart {chart.name!r}: {wrong}")


def misfit(chart: Chart, snapshot: dict[str, Any]) -> str:
    """Describe the part of a snapshot that the chart does not have; "" if it fits."""
    names = snapshot["configuration"]
    held = {name for held in snapshot["remembered"].values() for name in held}
    for name in (*names, *sorted(held), *snapshot["remembered"]):
        if name not in chart.states or name == ROOT:
            return f"it names {name!r}"
    for name in snapshot["remembered"]:
        if chart.states[name].kind not in HISTORY:
            return f"{name!r} is no history"
    if not is_legal(chart, frozenset(names)):
        return f"{sorted(names)} cannot be active together"
    for name, held in snapshot["remembered"].items():
        if not was_active(chart, name, held):
            return f"{sorted(held)} is no past of {chart.states[name].parent!r}, as {name!r} holds it"
    for timer in snapshot["timers"]:
        state, place = timer["state"], timer["place"]
        if state is not None and (state not in names or not has_timeout(chart, state, place)):
            return f"it has a timer of {state!r}, transition {place}, which is no timeout of an active state"
        if not math.isfinite(float(timer["due"])):
            return f"it has a timer that is due at {timer['due']}, which never comes"
    return ""


def has_timeout(chart: Chart, state: str, place: int) -> bool:
    """Say whether a state's transition at that place is a timeout."""
    transitions = chart.states[state].transitions
    return 0 <= place < len(transitions) and transitions[place].after is not None


# --- parts -----------------------------------------------------------------------------------------------------------


def event_to_dict(event: Event, place: str) -> dict[str, Any]:
    """Return an event as builtins."""
    place = f"an argument of the {place} event {event.name!r}"
    told = {"name": event.name, "args": copied(list(event.args), place), "kwargs": copied(event.kwargs, place)}
    return {**told, "kind": event.kind, **{key: value for key in ORIGIN if (value := getattr(event, key)) is not None}}


ORIGIN = ("sendid", "origin", "origintype", "invokeid")


def event_of(data: dict[str, Any]) -> Event:
    """Return the event that was made builtins."""
    kwargs = copied(dict(data["kwargs"]), "an argument")
    told = {key: data[key] for key in ORIGIN if key in data}
    return Event(data["name"], tuple(copied(list(data["args"]), "an argument")), kwargs, data["kind"], **told)


def timer_to_dict(due: PendingTimer) -> dict[str, Any]:
    """Return a timer as builtins."""
    state, place = due.key if isinstance(due.key, tuple) else (None, None)
    name = None if isinstance(due.key, tuple) else due.key
    event = None if due.event is None else event_to_dict(due.event, f"timer {name!r}")
    told = {"name": name, "state": state, "place": place, "due": due.due, "event": event}
    return {**told, "crashes": due.crashes} if due.crashes else told


def key_of(timer: dict[str, Any]) -> TimerKey:
    """Return the key of a timer."""
    return timer["name"] if timer["state"] is None else (timer["state"], timer["place"])


def copied(value: Any, place: str) -> Any:
    """Return a copy of a value made of builtins, and refuse any other: a snapshot is not pickled.

    A subclass is refused too: JSON would bring back another class.
    """
    try:
        return _copied(value, place)
    except RecursionError:
        msg = f"{place} contains itself, or is nested too deep for a snapshot"
        raise PayloadError(msg) from None


def _copied(value: Any, place: str) -> Any:
    kind = value.__class__
    if kind in PLAIN:
        return value
    if kind is dict:
        return {_copied(key, place): _copied(inner, f"{place}[{key!r}]") for key, inner in value.items()}
    if kind in SEQUENCES:
        return kind([_copied(inner, place) for inner in value])
    msg = (
        f"{place} is {kind.__name__}, and a snapshot holds builtins only: keep a str or a dict instead, or "
        "start the attribute's name with '_' and set it in `on_restore`"
    )
    raise PayloadError(msg)


def shown(data: list[Any]) -> list[Any]:
    """Return arguments for the history of a snapshot: those that are no builtins are shown as text."""
    values = []
    for value in data:
        try:
            values.append(copied(value, ""))
        except PayloadError:
            values.append(text_of(value, LONGEST))
    return values
