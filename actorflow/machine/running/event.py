"""Event: an occurrence that a machine handles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["external", "internal", "platform"]


class Event:
    """An event with its arguments, and the fields of SCXML's `_event`.

    Attributes:
        name: as transitions name it.
        args: positional arguments; `data` is the first if it is the only one.
        kwargs: keyword arguments.
        kind: "external", "internal" (raised inside) or "platform" (errors, done events).
        sendid: id of the send that failed, or was to be cancelled.
        origin: where an answer may be sent to.
        origintype: how to send it there.
        invokeid: the child that it came from.
        waits: whether it is deferred.
        answer: called with (value, error) once it was handled, if it was deferred.
    """

    __slots__ = ("answer", "args", "invokeid", "kind", "kwargs", "name", "origin", "origintype", "sendid", "waits")

    def __init__(
        self,
        name: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        kind: Kind = "external",
        *,
        sendid: str | None = None,
        origin: str | None = None,
        origintype: str | None = None,
        invokeid: str | None = None,
    ) -> None:
        self.name = name
        self.args = args
        self.kwargs = {} if kwargs is None else kwargs
        self.kind = kind
        self.sendid = sendid
        self.origin = origin
        self.origintype = origintype
        self.invokeid = invokeid
        self.waits = False
        self.answer: Callable[[Any, BaseException | None], None] | None = None

    @property
    def data(self) -> Any:
        """The only positional argument; None without any, the tuple of them if there are several."""
        if len(self.args) == 1:
            return self.args[0]
        return self.args or None

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, tuple(getattr(self, name) for name in FIELDS)

    def __repr__(self) -> str:
        given = [repr(arg) for arg in self.args] + [f"{key}={value!r}" for key, value in self.kwargs.items()]
        return f"{self.name}({', '.join(given)})"


FIELDS: Final = ("name", "args", "kwargs", "kind", "sendid", "origin", "origintype", "invokeid")


def restored(*values: Any) -> Event:
    """Return a pickled event; nobody waits for its answer there."""
    name, args, kwargs, kind, *others = values
    return Event(name, args, kwargs, kind, **dict(zip(FIELDS[4:], others, strict=True)))
