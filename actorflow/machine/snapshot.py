"""Snapshot: all that an instance is, as builtins; and the way back. Layer 3.

No hook runs at a restore, and timers keep their deadlines: what came due meanwhile fires at once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.errors import DefinitionError, PayloadError
from actorflow.machine import macrostep
from actorflow.machine.event import Event, Record
from actorflow.machine.pending import Due, TimerKey
from actorflow.machine.sets import is_atomic

if TYPE_CHECKING:
    from actorflow.machine.chart import Chart
    from actorflow.machine.interpreter import Interpreter

BUILTIN = (type(None), bool, int, float, str, bytes)


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
    return {
        "machine": machine.chart.name,
        "version": machine.chart.version,
        "configuration": machine.chart.in_order(machine.configuration),
        "remembered": {} if pending is None else {name: list(held) for name, held in pending.remembered.items()},
        "timers": [] if pending is None else [timer_to_dict(due) for due in pending.timers.values()],
        "deferred": [] if pending is None else [event_to_dict(event, "deferred") for event in pending.deferred],
        "history": [[*record[:3], shown(list(record.data)), record.time] for record in machine.history],
    }


def put(machine: Interpreter, snapshot: dict[str, Any]) -> None:
    """Make a fresh instance what a snapshot says.

    Raises:
        DefinitionError: the snapshot is of another chart or version, or names what is no configuration of the chart.
    """
    chart = machine.chart
    check(chart, snapshot)
    names = frozenset(snapshot["configuration"])
    machine._configuration = machine._program.configuration(names)
    records = [
        Record(source, target, event, tuple(data), time) for source, target, event, data, time in snapshot["history"]
    ]
    if records and machine._records:
        limit = machine._records if isinstance(machine._records, int) else machine._records.maxlen
        machine._records = deque(records, maxlen=limit)
    if snapshot["remembered"] or snapshot["timers"] or snapshot["deferred"]:
        pending = macrostep.pending_of(machine)
        pending.remembered.update({name: tuple(held) for name, held in snapshot["remembered"].items()})
        pending.deferred.extend(event_of(event) for event in snapshot["deferred"])
        for timer in snapshot["timers"]:
            due = Due(key_of(timer), timer["due"], event_of(timer["event"]) if timer["event"] is not None else None)
            pending.timers[due.key] = due


def go_on(machine: Interpreter, *, children: bool = True) -> None:
    """Start again what a restored instance had running: its timers, and the children of its active states."""
    pending = machine._pending
    now = machine._platform.time()
    for due in list(pending.timers.values()) if pending is not None else ():
        macrostep.add_timer(machine, due, max(0.0, due.due - now))
    chart = machine.chart
    for name in chart.in_order(machine.configuration) if children else ():
        for invoke in chart.states[name].invoke:
            if pending is None or (name, invoke.id) not in pending.children:
                macrostep.pending_of(machine).invoking.append((name, invoke))
    if machine._pending is not None and machine._pending.invoking:
        macrostep.complete(machine, lambda: None)


def take_over(machine: Interpreter, old: Interpreter, *, children: bool) -> None:
    """Let an instance go on that was restored in another's place; what that one has invoked is not invoked twice."""
    for key, (invoke, child) in old._pending.children.items() if old._pending is not None else ():
        if key[0] in machine.configuration:
            macrostep.pending_of(machine).children[key] = (invoke, child)
        else:
            machine._platform.end_child(child)
    go_on(machine, children=children)


def check(chart: Chart, snapshot: dict[str, Any]) -> None:
    """Refuse a snapshot that is not one of this chart."""
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
    names = snapshot["configuration"]
    named = [*names, *(name for held in snapshot["remembered"].values() for name in held), *snapshot["remembered"]]
    named += [timer["state"] for timer in snapshot["timers"] if timer.get("state") is not None]
    unknown = [name for name in named if name not in chart.states]
    if unknown or not is_legal(chart, frozenset(names)):
        what = f"it names {unknown[0]!r}" if unknown else f"{sorted(names)} cannot be active together"
        msg = f"a snapshot of {snapshot['machine']!r} does not fit chart {chart.name!r}: {what}"
        raise DefinitionError(msg)


def is_legal(chart: Chart, names: frozenset[str]) -> bool:
    """Say whether these states may be active together (SCXML section 3.11)."""
    for name in ("", *names):
        node = chart.states[name]
        inside = [child for child in node.children if child in names]
        regions = [child for child in node.children if chart.states[child].kind not in ("shallow", "deep")]
        if name and node.parent and node.parent not in names:
            return False
        if node.kind == "compound" and len(inside) != 1:
            return False
        if node.kind == "parallel" and len(inside) != len(regions):
            return False
    return any(is_atomic(chart, name) for name in names)


# --- parts -----------------------------------------------------------------------------------------------------------


def event_to_dict(event: Event, place: str) -> dict[str, Any]:
    """Return an event as builtins."""
    check_builtin([*event.args, event.kwargs], f"{place} event {event.name!r}")
    return {"name": event.name, "args": list(event.args), "kwargs": event.kwargs, "kind": event.kind}


def event_of(data: dict[str, Any]) -> Event:
    """Return the event that was made builtins."""
    return Event(data["name"], tuple(data["args"]), data["kwargs"], data["kind"])


def timer_to_dict(due: Due) -> dict[str, Any]:
    """Return a timer as builtins."""
    state, place = due.key if isinstance(due.key, tuple) else (None, None)
    name = None if isinstance(due.key, tuple) else due.key
    event = None if due.event is None else event_to_dict(due.event, f"timer {name!r}")
    return {"name": name, "state": state, "place": place, "due": due.due, "event": event}


def key_of(timer: dict[str, Any]) -> TimerKey:
    """Return by what a timer is known."""
    return timer["name"] if timer["state"] is None else (timer["state"], timer["place"])


def check_builtin(value: object, place: str) -> None:
    """Refuse what is no builtin: a snapshot is not pickled."""
    if isinstance(value, dict):
        for key, inner in value.items():
            check_builtin(key, place)
            check_builtin(inner, f"{place}[{key!r}]")
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            check_builtin(inner, place)
    elif type(value) not in BUILTIN:
        msg = (
            f"{place} is {type(value).__name__}, and a snapshot holds builtins only: keep a str or a dict instead, or "
            "start the attribute's name with '_' and set it in `on_restore`"
        )
        raise PayloadError(msg)


def shown(data: list[Any]) -> list[Any]:
    """Return arguments for the history of a snapshot: what is no builtin is shown as text."""
    values = []
    for value in data:
        try:
            check_builtin(value, "")
        except PayloadError:
            values.append(repr(value))
        else:
            values.append(value)
    return values
