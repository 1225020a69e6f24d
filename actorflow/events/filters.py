"""Filters: the events that a subscriber wants, by class, by a pattern of names, or by a predicate."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, Final

from actorflow.errors import DefinitionError
from actorflow.events.envelope import Envelope
from actorflow.events.event import EventType, is_event_class
from actorflow.events.topics import compiled, matches
from actorflow.text import text_of

KNOWN: Final = "Started, Crashed, Restarted, Stopped, DeadLetter, RunEvent"  # which a system publishes itself


class EventFilter:
    """The events that a subscriber wants. A predicate is asked where the subscriber runs, as it is the user's code.

    Attributes:
        cls: the class; those of subclasses are wanted, too. None: any.
        pattern: of names; None: any.
        predicate: is called with an event; None: all of them.
    """

    __slots__ = ("cls", "pattern", "predicate")

    def __init__(
        self,
        cls: type[Any] | None = None,
        pattern: str | None = None,
        predicate: Callable[[Any], object] | None = None,
    ) -> None:
        self.cls = cls
        self.pattern = pattern
        self.predicate = predicate

    @classmethod
    def of(cls, wanted: object) -> EventFilter:
        """Return the filter that a subscription names.

        Raises:
            DefinitionError: it is no class of events, no pattern, and no function of one argument.
        """
        if isinstance(wanted, str):
            compiled(wanted)
            return cls(pattern=wanted)
        if wanted is Envelope:
            return cls(cls=Envelope)
        if isinstance(wanted, type):
            if not is_event_class(wanted) or is_of_package(wanted):
                msg = (
                    f"nothing publishes {text_of(wanted)}; subscribe to a dataclass or msgspec.Struct of yours, a "
                    f"pattern of names, a predicate, or one of {KNOWN}"
                )
                raise DefinitionError(msg)
            return cls(cls=wanted)
        if not callable(wanted) or inspect.iscoroutinefunction(wanted):
            msg = f"subscribe({text_of(wanted)}, ...): give a class of events, a pattern, or a function of an event"
            raise DefinitionError(msg)
        mismatch = misfit_of_one(wanted)
        if mismatch is not None:
            msg = f"subscribe({text_of(wanted)}, ...): a predicate takes one event"
            raise DefinitionError(msg) from mismatch
        return cls(predicate=wanted)

    @property
    def gives_envelopes(self) -> bool:
        """Whether the subscriber wants the envelopes of all events, and not the events."""
        return self.cls is Envelope

    def takes(self, type_: EventType) -> bool:
        """Say whether events of a type may be wanted."""
        if self.cls is not None and not self.gives_envelopes:
            return self.cls in type_.cls.__mro__
        return self.pattern is None or matches(self.pattern, type_.name)


def misfit_of_one(function: Callable[..., Any]) -> TypeError | None:
    """Return why a function cannot be called with an event, so that it would fail at each; None: it can."""
    try:
        inspect.signature(function).bind(None)
    except ValueError:  # of C, which has no signature
        return None
    except TypeError as mismatch:
        return mismatch
    return None


def is_of_package(cls: type[Any]) -> bool:
    """Say whether a class is one of actorflow's own, which nobody publishes."""
    module = cls.__module__
    return module.startswith("actorflow.") and getattr(sys.modules.get(module), cls.__name__, None) is cls
