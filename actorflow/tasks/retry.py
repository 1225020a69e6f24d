"""Retry: how often a failed task is tried again, and when. Computes; never sleeps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actorflow.core.backoff import Backoff
from actorflow.errors import DefinitionError, Permanent, is_a

if TYPE_CHECKING:
    import random


DEFAULT: Final = Backoff(1.0)
MEMBERS: Final = BaseExceptionGroup.exceptions.__get__  # a subclass may have made anything of it


@dataclass(frozen=True, slots=True)
class Retry:
    """The rule for another try of a task after an error: `attempts` in all, with the pauses of a `Backoff` between.

    After an `af.Permanent` there is none, nor after an exception group that has one in it, at any depth.

    Attributes:
        attempts: the number of tries, the first included.
        backoff: the pauses: growing by default; `Backoff(2, factor=1)` for fixed ones.
        on: only after errors of these classes.
        within: seconds from the begin of the first try, after which none begins; without it, there is no such limit.

    >>> Retry(3, Backoff(1, jitter=0)).pause(1, ValueError())
    1.0
    >>> Retry(3).pause(3, ValueError()) is None
    True
    >>> Retry(9, Backoff(10, jitter=0), within=60).pause(1, ValueError(), spent=55) is None
    True
    """

    attempts: int
    backoff: Backoff = DEFAULT
    on: type[BaseException] | tuple[type[BaseException], ...] = Exception
    within: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or isinstance(self.attempts, bool) or self.attempts < 1:
            msg = f"Retry({self.attempts!r}): the attempts count the first try, so 1 or more"
            raise DefinitionError(msg)
        if not isinstance(self.backoff, Backoff):
            msg = f"Retry(backoff={self.backoff!r}): give a Backoff, such as Backoff(5), or Backoff(5, factor=1)"
            raise DefinitionError(msg)
        kinds = self.on if isinstance(self.on, tuple) else (self.on,)
        if not kinds or not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            msg = f"Retry(on={self.on!r}): give a class of errors, or several in a tuple"
            raise DefinitionError(msg)
        within: object = self.within
        if within is not None and not (type(within) in {int, float} and 0 < within < math.inf):  # type: ignore[operator]
            msg = f"Retry(within={within!r}): seconds, above 0"
            raise DefinitionError(msg)

    def pause(
        self, attempt: int, error: BaseException, rng: random.Random | None = None, *, spent: float = 0.0
    ) -> float | None:
        """Return the seconds to wait after try `attempt` failed; None if that was the last, or the error is another.

        Args:
            attempt: counts from 1.
            error: of that try.
            rng: for the jitter of the pause.
            spent: seconds since the begin of the first try.
        """
        if attempt >= self.attempts or is_permanent(error) or not isinstance(error, self.on):
            return None
        pause = self.backoff.delay(attempt, rng)
        return None if self.is_over(spent + pause) else pause

    def is_over(self, spent: float) -> bool:
        """Say whether no try may begin so many seconds after the begin of the first one."""
        return self.within is not None and spent > self.within

    def to_list(self) -> list[float]:
        """Return the numbers, for the store; `within` is stored beside them, as older programs do not know it."""
        backoff = self.backoff
        return [self.attempts, backoff.first, backoff.factor, backoff.limit, backoff.jitter]

    def with_numbers(self, numbers: list[float], within: float | None = None) -> Retry:
        """Return this rule with the numbers of a stored one; the classes of errors are code, and are not stored."""
        attempts, *backoff = numbers
        return Retry(int(attempts), Backoff(*backoff), self.on, within)


def is_permanent(error: BaseException) -> bool:
    """Say whether an error is a `Permanent`, or a group with one in it, such as that of a TaskGroup."""
    if is_a(error, Permanent):
        return True
    if not is_a(error, BaseExceptionGroup):
        return False
    found: set[int] = set()  # a group may be in another one twice
    left = [error]
    while left:
        for inner in MEMBERS(left.pop()):
            if is_a(inner, Permanent):
                return True
            if is_a(inner, BaseExceptionGroup) and id(inner) not in found:
                found.add(id(inner))
                left.append(inner)
    return False


ONCE = Retry(1)
