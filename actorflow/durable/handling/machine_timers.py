"""Timers of durable machines, and the processes that have died on them.

They are part of its snapshot, and no rows. So is the count of deaths: `crashes` counts them, and `started` says that
one on which a process may have died is being handled; the interpreter keeps the first, and not the second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorflow.core.messages.messages import Call, Sent
from actorflow.core.refs.timers import Timer
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import KILLS, TimerRow
from actorflow.store.codec import decode, encode

if TYPE_CHECKING:
    from actorflow.machine.running.pending import TimerKey


def suspect(state: bytes, now: float) -> bytes:
    """Return the state of a machine whose process has died: a timer counts that if it was handled, or may have been."""
    return changed(state, lambda timer: timer.pop("started", False) or (not count_of(timer) and timer["due"] <= now))


def blame(state: bytes, key: TimerKey) -> bytes:
    """Return the state of a machine whose process has died while it handled a timer."""
    return changed(state, lambda timer: is_known_by(timer, key))


def changed(state: bytes, counts: Callable[[dict[str, Any]], Any]) -> bytes:
    """Return a state in which one death more is counted on some timers."""
    snapshot = decode(state)
    for timer in snapshot["timers"]:
        if counts(timer):
            timer["crashes"] = count_of(timer) + 1
    return encode(snapshot)


def begin(state: bytes, key: TimerKey) -> bytes:
    """Return a state that says of a timer that it is being handled."""
    snapshot = decode(state)
    for timer in snapshot["timers"]:
        if is_known_by(timer, key):
            timer["started"] = True
    return encode(snapshot)


def without(state: bytes, key: TimerKey) -> tuple[bytes, TimerRow] | None:
    """Return a state less a timer that has killed too often, and that as a row; None if there is none."""
    snapshot = decode(state)
    for place, timer in enumerate(snapshot["timers"]):
        if is_known_by(timer, key) and count_of(timer) >= KILLS:
            del snapshot["timers"][place]
            return encode(snapshot), TimerRow(0, timer["due"], None, 0, body_of(timer), count_of(timer))
    return None


def timer_of(message: Timer) -> tuple[TimerKey, int]:
    """Return the key of a machine's timer, and how many processes have died while handling it.

    A delayed send of an SCXML session to another one has no key, and deaths on it are not counted.
    """
    from actorflow.machine.actor_platform import due_of  # noqa: PLC0415 - a process with such a timer has imported it

    due = due_of(message)
    return ("", 0) if due is None else (due.key, due.crashes)


def is_known_by(timer: dict[str, Any], key: TimerKey) -> bool:
    """Say whether a timer of a snapshot is known by a name, or by a state and the place of its transition."""
    return bool(timer["name"] == key if isinstance(key, str) else (timer["state"], timer["place"]) == key)


def count_of(timer: dict[str, Any]) -> int:
    """Return how many processes have died on a timer."""
    return int(timer.get("crashes", 0))


def body_of(timer: dict[str, Any]) -> bytes:
    """Return a message that does the work of a timer, for a retry of it; the state was within the limit."""
    if timer["event"] is None:
        return pack(Call("_time_out", (timer["state"], timer["place"]), {}), sys.maxsize)
    event = timer["event"]
    return pack(Sent(event["name"], tuple(event["args"]), event["kwargs"]), sys.maxsize)
