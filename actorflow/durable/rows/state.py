"""State: a durable actor's state, out of the incarnation and back into it."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from actorflow.errors import DefinitionError
from actorflow.store.codec import encode


def is_machine(actor: Any) -> bool:
    """Say whether an actor, or a class of actors, is a state machine: its row is its snapshot."""
    return getattr(actor, "_is_machine", False)


def state_bytes(actor: Any) -> bytes:
    """Return an actor's state as it is stored.

    Raises:
        PayloadError: a part of it cannot be stored.
        DefinitionError: it has no state that can be stored.
    """
    if is_machine(actor):
        return encode(actor.snapshot(), type(actor).__name__)
    state = getattr(actor, "state", None)
    kind = type(state)
    if not dataclasses.is_dataclass(kind) and not issubclass(kind, msgspec.Struct):
        msg = (
            f"{actor.actor_ref.path} is durable: it stores self.state, which is {state!r}; set it in "
            "__init__ to a dataclass or a msgspec.Struct"
        )
        raise DefinitionError(msg)
    return encode(state, "self.state")


def put_state(actor: Any, value: Any, *, again: bool) -> None:
    """Give an actor a stored state; `again`: it has had that before."""
    if not is_machine(actor):
        actor.state = value
    elif again:
        actor._roll_back(value)
    else:
        actor._restore(value)
