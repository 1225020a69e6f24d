"""Handlers: the functions that the scheduler runs for messages of the runtime's own classes.

A message of any other class goes to the actor's `on_receive`. Each module adds the classes that are its own; so what
such a message does stands beside its class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef

F = TypeVar("F", bound=Callable[..., Any])
K = TypeVar("K", bound=type)

HANDLERS: Final[dict[type, Callable[[ActorRef[Any], Any], Any]]] = {}  # a plain dict: each message is looked up in it
SILENT: Final[set[type]] = set()  # messages that nobody misses when their receiver is dead


def handles(*kinds: type, silent: bool = False) -> Callable[[F], F]:
    """Have a function run for messages of these classes, with the ref and the message.

    Args:
        kinds: classes of messages.
        silent: nobody misses one whose receiver is dead: it becomes no dead letter.
    """

    def add(function: F) -> F:
        HANDLERS.update(dict.fromkeys(kinds, function))
        if silent:
            SILENT.update(kinds)
        return function

    return add


def silent(kind: K) -> K:
    """Have nobody miss messages of a class whose receiver is dead."""
    SILENT.add(kind)
    return kind


def is_silent(message: object) -> bool:
    """Say whether nobody misses a message. The class of a user's may have a metaclass whose hash raises."""
    try:
        return type(message) in SILENT
    except BaseException:  # noqa: BLE001 - user code; ours have no metaclass
        return False


def dispatch(ref: ActorRef[Any], message: Any) -> Any:
    """Run the function of a message's class, else the actor's `on_receive`."""
    handler = HANDLERS.get(type(message))
    return handler(ref, message) if handler is not None else ref._actor.on_receive(message)  # type: ignore[union-attr]
