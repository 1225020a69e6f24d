"""Retry: how often a failed task is tried again, and when. Computes; never sleeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actorflow.core.backoff import Backoff
from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    import random


DEFAULT: Final = Backoff(1.0)


@dataclass(frozen=True, slots=True)
class Retry:
    """The rule for another try of a task after an error: `attempts` in all, with the pauses of a `Backoff` between.

    Attributes:
        attempts: the number of tries, the first included.
        backoff: the pauses: growing by default; `Backoff(2, factor=1)` for fixed ones.
        on: only after errors of these classes.

    >>> Retry(3, Backoff(1, jitter=0)).pause(1, ValueError())
    1.0
    >>> Retry(3).pause(3, ValueError()) is None
    True
    """

    attempts: int
    backoff: Backoff = DEFAULT
    on: type[BaseException] | tuple[type[BaseException], ...] = Exception

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or isinstance(self.attempts, bool) or self.attempts < 1:
            msg = f"Retry({self.attempts!r}): the attempts count the first try, so 1 or more"
            raise DefinitionError(msg)
        kinds = self.on if isinstance(self.on, tuple) else (self.on,)
        if not kinds or not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            msg = f"Retry(on={self.on!r}): give a class of errors, or several in a tuple"
            raise DefinitionError(msg)

    def pause(self, attempt: int, error: BaseException, rng: random.Random | None = None) -> float | None:
        """Return the seconds to wait after try `attempt` failed; None if that was the last, or the error is another."""
        if attempt >= self.attempts or not isinstance(error, self.on):
            return None
        return self.backoff.delay(attempt, rng)

    def to_list(self) -> list[float]:
        """Return the numbers, for the store."""
        backoff = self.backoff
        return [self.attempts, backoff.first, backoff.factor, backoff.limit, backoff.jitter]

    def with_numbers(self, numbers: list[float]) -> Retry:
        """Return this rule with the numbers of a stored one; the classes of errors are code, and are not stored."""
        attempts, *backoff = numbers
        return Retry(int(attempts), Backoff(*backoff), self.on)


ONCE = Retry(1)
