"""Pickling: an interpreter as pickle takes it: with its model and its chart, unlike a snapshot."""

from __future__ import annotations

import copy
from collections import deque
from typing import TYPE_CHECKING, Any

from actorflow.machine.running.pending import Pending, PendingTimer

if TYPE_CHECKING:
    from actorflow.machine.running.interpreter import Interpreter


def take(machine: Interpreter) -> dict[str, Any]:
    """Return the whole state of an interpreter, between two events."""
    pending, records = machine._pending, machine._records
    of_class = getattr(type(machine.model), "chart", None) is machine.chart  # which has it there too, lambdas and all
    return {
        "chart": None if of_class else machine.chart,
        "model": machine.model,
        "names": machine.configuration,
        "records": machine.history,
        "limit": records if isinstance(records, int) else records.maxlen,
        "remembered": {} if pending is None else pending.remembered,
        "timers": [] if pending is None else [(due.key, due.due, due.event) for due in pending.timers.values()],
        "deferred": [] if pending is None else list(pending.deferred),
    }


def copied(machine: Interpreter) -> Interpreter:
    """Return a shallow copy. A machine and its interpreter know each other, so neither is shared."""
    state = machine.__getstate__()
    if machine._program.adopts:
        state["model"] = copy.copy(machine.model)
    other = object.__new__(type(machine))
    other.__setstate__(state)
    return other


def put(machine: Interpreter, state: dict[str, Any]) -> None:
    """Put the state that `take` returned into an interpreter that has not started."""
    machine._configuration = machine._program.configuration(state["names"])
    if state["records"]:
        machine._records = deque(state["records"], maxlen=state["limit"])
    if state["remembered"] or state["timers"] or state["deferred"]:
        pending = machine._pending = Pending()
        pending.remembered.update(state["remembered"])
        pending.deferred.extend(state["deferred"])
        for event in pending.deferred:
            event.waits = True
        pending.timers.update({key: PendingTimer(key, due, event) for key, due, event in state["timers"]})
