"""Unreadable: the errors of stored events that this program cannot read."""

from __future__ import annotations

from actorflow.errors import PayloadError
from actorflow.text import text_of


class UnknownEvent(PayloadError):
    """A stored event is of a name or version that this process does not know; a newer program, or another, may.

    Attributes:
        name: the name of the event.
        version: its version.
        known: the version that this process knows; 0: it does not know the name.
    """

    def __init__(self, name: str, version: int, known: int = 0) -> None:
        self.name = name
        self.version = version
        self.known = known
        cure = (
            f"its class is at version {known} here: start the newer program"
            if known
            else "import the module of its class, or declare it by @af.event(name=...)"
        )
        super().__init__(f"a stored event {text_of(name)} of version {version} is not known here: {cure}")

    def __reduce__(self) -> tuple[type[UnknownEvent], tuple[str, int, int]]:
        """Pickle by the arguments, since `args` holds the text."""
        return type(self), (self.name, self.version, self.known)


class UpcastFailed(PayloadError):
    """A stored event of an older version cannot be read: its upcaster is missing, or failed.

    Attributes:
        name: the name of the event.
        version: the version that could not be read.
        why: the reason, with the cure.
    """

    def __init__(self, name: str, version: int, why: str) -> None:
        self.name = name
        self.version = version
        self.why = why
        super().__init__(f"a stored event {text_of(name)} of version {version} cannot be brought up to date: {why}")

    def __reduce__(self) -> tuple[type[UpcastFailed], tuple[str, int, str]]:
        """Pickle by the arguments, since `args` holds the text."""
        return type(self), (self.name, self.version, self.why)
