"""Probe: an actor that stands in for another, and a test that expects messages at it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor
from actorflow.core.messages.reply import Reply
from actorflow.errors import AskTimeout
from actorflow.text import plural, text_of

if TYPE_CHECKING:
    from actorflow.app.system import ActorSystem
    from actorflow.core.refs.ref import ActorRef

SHOWN: Final = 4_000  # characters of a message, in a failure


class Recorder(Actor):
    """Keeps the messages it receives until the probe asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: deque[Any] = deque()
        self._waiting: Reply | None = None

    def on_receive(self, message: Any) -> None:
        """Keep a message, or hand it to the probe that waits for it."""
        if self._waiting is None:
            self._kept.append(message)
        else:
            waiting, self._waiting = self._waiting, None
            waiting.set(message)

    def take(self) -> Any:
        """Answer with the next message, once it is there."""
        if self._kept:
            return self._kept.popleft()
        self._waiting = self.ctx.reply_later()
        return None

    def withdraw(self) -> None:
        """Stop waiting; a message that crossed this request stays with the waiter's future."""
        if self._waiting is not None:
            self._waiting.fail(AskTimeout("withdrawn"))
            self._waiting = None


class Probe:
    """Stands in for an actor: give out `probe.ref`, and state the messages that must arrive.

    >>> import actorflow as af
    >>> with af.ActorSystem("test") as system:
    ...     probe = Probe(system)
    ...     probe.ref.tell("ready")
    ...     probe.expect("ready")
    ...     probe.expect_none(within=0.01)
    'ready'
    """

    def __init__(self, system: ActorSystem) -> None:
        self.ref: ActorRef[Any] = system.spawn(Recorder)

    def expect(self, expected: Any = ..., *, within: float = 1.0) -> Any:
        """Return the next message; it must arrive in time and be as expected.

        Args:
            expected: an equal message, a class that it must be of, a function that must be true of it; by default any.
            within: seconds on the system's clock.

        Raises:
            AssertionError: none came in time, or another one.
        """
        arrived, message = self._next(within)
        if not arrived:
            wanted = "a message" if expected is ... else text_of(expected, SHOWN)
            msg = f"no message within {plural(within, 'second')}; expected {wanted}"
            raise AssertionError(msg)
        if expected is not ... and not matches(message, expected):
            msg = f"got {text_of(message, SHOWN)}; expected {text_of(expected, SHOWN)}"
            raise AssertionError(msg)
        return message

    def expect_none(self, *, within: float = 0.1) -> None:
        """Check that nothing arrives for so long.

        Raises:
            AssertionError: a message came.
        """
        arrived, message = self._next(within)
        if arrived:
            msg = f"got {text_of(message, SHOWN)}; expected no message"
            raise AssertionError(msg)

    def _next(self, within: float) -> tuple[bool, Any]:
        future = self.ref.call(Recorder.take)
        try:
            return True, future.get(timeout=within)
        except AskTimeout:
            self.ref.call(Recorder.withdraw).get()
        try:
            return True, future.get(timeout=within)  # it arrived while we gave up
        except AskTimeout:
            return False, None


def matches(message: Any, expected: Any) -> bool:
    """Say whether a message is as expected."""
    if isinstance(expected, type):
        return isinstance(message, expected)
    if isinstance(expected, Callable):  # type: ignore[arg-type]
        return bool(expected(message))
    return bool(message == expected)
