"""Cron: a schedule, and its times. Computes; knows no store."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from cronsim import CronSim, CronSimError

from actorflow.core.actors.traits import check_choice, check_type
from actorflow.errors import DefinitionError
from actorflow.tasks.options import check_text
from actorflow.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.queues.packing import Packed

LATE_SECONDS: Final = 60.0  # after which a time counts as missed
MOST: Final = 1000  # times that are enqueued at once; more follow


class ScheduleKeywords(TypedDict, total=False):
    """Options of `queue.cron()`, for type checkers."""

    tz: str
    catch_up: Literal["skip", "latest", "all"]
    name: str | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task with the times at which it is enqueued.

    Raises:
        DefinitionError: the expression or the zone makes no sense, or never comes.
    """

    name: str
    cron: str
    zone: str
    catch_up: Literal["skip", "latest", "all"]
    packed: Packed

    def __post_init__(self) -> None:
        check_choice("catch_up", self.catch_up, ("skip", "latest", "all"))
        for what in ("cron", "name"):
            check_type(what, getattr(self, what), str)
        check_text("name", self.name)
        if self.packed.options.conn is not None:
            msg = "cron(): a schedule cannot enqueue in a transaction of yours, options(conn=)"
            raise DefinitionError(msg)
        try:
            zoneinfo.ZoneInfo(self.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
            zone = text_of(self.zone)
            msg = f"tz={zone}: there is no such time zone here; if there are none at all, pip install tzdata"
            raise DefinitionError(msg) from error
        try:
            next(self.times(0.0))
        except (CronSimError, StopIteration, ValueError, TypeError, AttributeError) as error:
            msg = (
                f"cron {self.cron!r}: {str(error) or 'its time never comes'}; write minute, hour, day, month and "
                "weekday, such as '*/5 * * * *'"
            )
            raise DefinitionError(msg) from error

    def times(self, after: float) -> Iterator[float]:
        """Yield the times of the expression after a time, in seconds since the epoch."""
        start = dt.datetime.fromtimestamp(after, zoneinfo.ZoneInfo(self.zone))
        return (time.timestamp() for time in CronSim(self.cron, start))

    def following(self, after: float) -> float:
        """Return the first time after another; in an hour that comes twice `times` may begin with one before it."""
        return next(time for time in self.times(after) if time > after)

    def due(self, first: float, now: float) -> tuple[list[float], float]:
        """Return for which times it is to be enqueued now, of those from `first` on, and its next time."""
        if self.catch_up == "all":
            return self.all_due(first, now)
        latest, following = self.latest_due(first, now)
        if self.catch_up == "skip" and latest < now - LATE_SECONDS:
            return [], following
        return [latest], following

    def all_due(self, first: float, now: float) -> tuple[list[float], float]:
        """Return the times from `first` until now, as many as one transaction takes, and the one behind them."""
        fired = [first]
        for time in self.times(first):
            if time > now or len(fired) == MOST:
                return fired, time
            fired.append(time)
        raise AssertionError(self)  # an expression has times for ever

    def latest_due(self, first: float, now: float) -> tuple[float, float]:
        """Return the last time until now, `first` at least, and the one behind it.

        It is looked for from now backwards: after a year's downtime of a schedule for each minute, one step instead of
        525,600. Where clocks are set, backwards may miss some; forwards from there finds them.
        """
        end = dt.datetime.fromtimestamp(now, zoneinfo.ZoneInfo(self.zone))
        backwards = (time.timestamp() for time in CronSim(self.cron, end, reverse=True))
        latest = max(first, next((time for time in backwards if time <= now), first))
        for time in self.times(latest):
            if time > now:
                return latest, time
            latest = max(latest, time)
        raise AssertionError(self)  # an expression has times for ever


def schedule_of(
    cron: str,
    packed: Packed,
    *,
    tz: str = "UTC",
    catch_up: Literal["skip", "latest", "all"] = "skip",
    name: str | None = None,
) -> Schedule:
    """Make a schedule; without a name it is known by its task, expression and zone.

    Raises:
        DefinitionError: as for `Schedule`.
    """
    check_type("cron", cron, str)
    check_type("tz", tz, str)
    return Schedule(f"{packed.task} {cron} {tz}" if name is None else name, cron, tz, catch_up, packed)
