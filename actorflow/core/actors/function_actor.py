"""FunctionActor: an actor that calls functions, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actorflow.core.actors.actor import Actor
from actorflow.core.log import logger
from actorflow.core.messages.messages import Call
from actorflow.text import text_of


class FunctionActor(Actor):
    """Calls functions of users or of the runtime, as the messages of an actor; an error is logged and stops no other.

    `calling(function, *args)` is the message that has one called. An actor that is made with a function calls it with
    each message that it gets.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def on_receive(self, message: Any) -> None:
        """Call the function that the actor was made with."""
        self.run(self._function, message)

    def run(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function; its error is logged, with the arguments of the call."""
        try:
            function(*args)
        except KeyboardInterrupt:
            raise  # it ends the system, wherever it is raised
        except BaseException:  # noqa: BLE001 - a SystemExit is no business of the other functions
            on = ", ".join(map(text_of, args))
            logger.exception("[%s] A function failed: %s(%s)", self.actor_ref.path, text_of(function), on)


def calling(function: Callable[..., Any], *args: Any) -> Call:
    """Return the message that has a FunctionActor call a function."""
    return Call("run", (function, *args), {})
