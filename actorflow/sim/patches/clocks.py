"""Clocks: what the functions of `time` and `datetime` give in a simulated world."""

from __future__ import annotations

import datetime as dt
import gc
import sys
import time
from collections.abc import Callable
from functools import partial
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.futures.future import Future
from actorflow.errors import AskTimeout, DeadlockError
from actorflow.sim.patches.place import simulated
from actorflow.sim.patches.redirect import Redirect, TypeAttribute, definition_of, original

if TYPE_CHECKING:
    from actorflow.sim.patches.patched import Patch
    from actorflow.sim.patches.place import Here

BILLION: Final = 1_000_000_000
COUNTERS: Final = ("monotonic", "perf_counter", "process_time", "thread_time")
SHOWN: Final = ("localtime", "gmtime", "ctime")  # functions of a time that is now by default


def wall(here: Here) -> float:
    """Return seconds since the epoch, as the clock of the host shows them."""
    execution, world = here.execution, here.world
    ref = None if execution is None else execution.receiver
    return world.clock.time() if ref is None else ref._scheduler.time_for(ref)


def counter(name: str) -> Callable[[], float]:
    """Return the stand-in of a clock that goes since some time or other."""
    real = original(getattr(time, name))

    def read() -> float:
        here = simulated()
        return real() if here is None else here.world.clock.now

    return read


def counter_ns(name: str) -> Callable[[], int]:
    """Return the stand-in of such a clock in nanoseconds."""
    real = original(getattr(time, name))

    def read() -> int:
        here = simulated()
        return real() if here is None else round(here.world.clock.now * BILLION)

    return read


real_time: Final = original(time.time)
real_time_ns: Final = original(time.time_ns)
real_sleep: Final = original(time.sleep)
real_strftime: Final = original(time.strftime)
real_localtime: Final = original(time.localtime)
real_asctime: Final = original(time.asctime)
real_now: Final[Any] = vars(dt.datetime)["now"]
real_utcnow: Final[Any] = vars(dt.datetime)["utcnow"]


def read_time() -> float:
    """Stand in for time.time."""
    here = simulated()
    return real_time() if here is None else wall(here)


def read_time_ns() -> int:
    """Stand in for time.time_ns."""
    here = simulated()
    return real_time_ns() if here is None else round(wall(here) * BILLION)


def shown(name: str) -> Callable[..., Any]:
    """Return the stand-in of a function of a time that is now by default."""
    real = original(getattr(time, name))

    def show(*args: Any) -> Any:
        here = None if args and args != (None,) else simulated()
        return real(*args) if here is None else real(wall(here))

    return show


def strftime(*args: Any) -> str:
    """Stand in for time.strftime."""
    here = simulated() if len(args) == 1 else None
    return real_strftime(*args) if here is None else real_strftime(*args, real_localtime(wall(here)))  # type: ignore[no-any-return]


def asctime(*args: Any) -> str:
    """Stand in for time.asctime."""
    here = None if args else simulated()
    return real_asctime(*args) if here is None else real_asctime(real_localtime(wall(here)))  # type: ignore[no-any-return]


def gettime(name: str, scale: Callable[[float], Any]) -> Callable[..., Any]:
    """Return the stand-in of time.clock_gettime: a clock of the kernel, by its number."""
    real = original(getattr(time, name))

    def read(number: int) -> Any:
        here = simulated()
        if here is None:
            return real(number)
        return scale(wall(here) if number == time.CLOCK_REALTIME else here.world.clock.now)

    return read


def sleep(seconds: Any) -> None:
    """Stand in for time.sleep: it takes virtual time, and other handlers run."""
    here = simulated()
    if here is None or not isinstance(seconds, int | float) or not seconds >= 0:
        real_sleep(seconds)  # it raises what it raises
        return
    over: Future[None] = Future()
    try:
        if here.execution is None:
            over.get(timeout=seconds)
        else:
            here.execution.block(over, seconds)
    except DeadlockError:
        raise
    except AskTimeout:
        return


# --- datetime ---------------------------------------------------------------------------------------------------------


def moment(cls: Any, here: Here, zone: Any = None) -> Any:
    """Return the time of the host's clock as an object of a class of the user's, or datetime's."""
    return cls.fromtimestamp(wall(here), zone)


def now(cls: Any, tz: Any = None) -> Any:
    """Stand in for datetime.now."""
    here = simulated() if tz is None or isinstance(tz, dt.tzinfo) else None
    return real_now.__get__(None, cls)(tz) if here is None else moment(cls, here, tz)


def utcnow(cls: Any) -> Any:
    """Stand in for datetime.utcnow."""
    here = simulated()
    return real_utcnow.__get__(None, cls)() if here is None else moment(cls, here, dt.UTC).replace(tzinfo=None)


class Kept:
    """Methods `datetime.now` that a program took earlier, as a default factory does: each is an object of its own."""

    def __init__(self) -> None:
        self._known: dict[int, Redirect] = {}
        self._modules = 0

    def on(self) -> None:
        """Redirect the methods; look for more of them if modules were imported."""
        if self._modules != len(sys.modules):
            self._modules = len(sys.modules)
            self._find()
        for redirect in self._known.values():
            redirect.on()

    def off(self) -> None:
        """Have the methods be themselves again."""
        for redirect in self._known.values():
            redirect.off()

    def _find(self) -> None:
        fakes = {"now": now, "utcnow": utcnow}
        for found in gc.get_objects():
            if type(found) is not BuiltinFunctionType or found.__name__ not in fakes or id(found) in self._known:
                continue
            owner = found.__self__
            if isinstance(owner, type) and issubclass(owner, dt.datetime) and definition_of(found) is not None:
                self._known[id(found)] = Redirect(found, partial(fakes[found.__name__], owner))


def patches() -> list[Patch]:
    """Return the patches of clocks."""
    made: list[Patch] = [
        Redirect(time.time, read_time),
        Redirect(time.time_ns, read_time_ns),
        Redirect(time.sleep, sleep),
        Redirect(time.strftime, strftime),
        Redirect(time.asctime, asctime),
        Redirect(time.clock_gettime, gettime("clock_gettime", float)),
        Redirect(time.clock_gettime_ns, gettime("clock_gettime_ns", lambda seconds: round(seconds * BILLION))),
    ]
    for name in COUNTERS:
        made.append(Redirect(getattr(time, name), counter(name)))
        made.append(Redirect(getattr(time, f"{name}_ns"), counter_ns(f"{name}_ns")))
    made.extend(Redirect(getattr(time, name), shown(name)) for name in SHOWN)
    made.append(TypeAttribute(dt.datetime, "now", classmethod(now)))
    made.append(TypeAttribute(dt.datetime, "utcnow", classmethod(utcnow)))
    made.append(Kept())
    return made
