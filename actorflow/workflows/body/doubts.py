"""Doubts: calls in the body of a workflow that give something else in each replay, found while its code runs."""

from __future__ import annotations

import datetime as dt
import inspect
import os
import random
import secrets
import sys
import sysconfig
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType


@dataclass(frozen=True, slots=True)
class Doubt:
    """A call in the body of a workflow that gives something else in each replay.

    Attributes:
        kind: "clock", "random" or "thread".
        call: the function that was called, such as "time.time".
        file: the source file of the body.
        line: of the call.
        cure: a call that is the same in each replay.
    """

    kind: str
    call: str
    file: str
    line: int
    cure: str

    def __str__(self) -> str:
        """Return the place and the cure as one line."""
        return f"{self.file}:{self.line}: the body of a workflow calls {self.call}(): {self.cure}"


CURES: Final = {
    "clock": "af.now() is the same in each replay, and so is a task that looks at a clock",
    "random": "af.random() and af.uuid() are the same in each replay, and so is the result of a task",
    "thread": "have steps run beside each other by task.submit(...) or af.branch(...)",
}
NOW: Final = frozenset({"now", "utcnow", "today"})
CLOCKS: Final = (
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "localtime",
    "gmtime",
)
SHARED: Final[Any] = getattr(vars(random)["random"], "__self__", None)  # the generator behind the functions of `random`

# Functions in C, and the code of those in Python, by kind and name.
BUILT_IN: Final[dict[Any, tuple[str, str]]] = {
    **{getattr(time, name): ("clock", f"time.{name}") for name in (*CLOCKS, "sleep")},
    os.urandom: ("random", "os.urandom"),
}
WRITTEN: Final[dict[CodeType, tuple[str, str]]] = {
    function.__code__: ("random", f"{module.__name__}.{name}")
    for module, names in ((uuid, ("uuid1", "uuid4", "uuid6", "uuid7")), (secrets, secrets.__all__))
    for name in names
    if isinstance(function := getattr(module, name, None), FunctionType)
}
DRAWS: Final[dict[CodeType, str]] = {
    function.__code__: name
    for kind in (random.Random, random.SystemRandom)
    for name, function in vars(kind).items()
    if isinstance(function, FunctionType) and not name.startswith("_")
}
STARTS: Final = inspect.unwrap(threading.Thread.start).__code__

PATHS: Final = sysconfig.get_paths()
OURS: Final = str(Path(__file__).resolve().parents[2])
LIBRARY: Final = (PATHS["stdlib"], PATHS["platstdlib"])
INSTALLED: Final = (PATHS["purelib"], PATHS["platlib"])


class Doubts:
    """The doubts about the body of one workflow, whose code may be spread over the modules of its package.

    Attributes:
        found: each once, in the order in which they were met.
    """

    def __init__(self, module: str) -> None:
        self.found: dict[Doubt, None] = {}
        self._package = module.partition(".")[0]
        self._places: dict[CodeType, str] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at the calls that this thread makes in a block."""
        before = sys.getprofile()
        sys.setprofile(self._look)
        try:
            yield
        finally:
            sys.setprofile(before)

    def _look(self, frame: FrameType, event: str, arg: Any) -> None:
        """Note a call; the profiler of this thread calls this at each."""
        if event == "c_call":
            called = self._built_in(arg)
            caller: FrameType | None = frame
        elif event == "call":
            called = self._written(frame)
            caller = frame.f_back
        else:
            return
        if called is None or caller is None:
            return
        kind, name = called
        while kind == "thread" and caller.f_back is not None and self._starts_for_others(caller):
            caller = caller.f_back
        if self._place(caller) == "user":
            self.found[Doubt(kind, name, caller.f_code.co_filename, caller.f_lineno, CURES[kind])] = None

    def _built_in(self, function: Any) -> tuple[str, str] | None:
        owner = getattr(function, "__self__", None)
        if isinstance(owner, type):
            is_date = function.__name__ in NOW and issubclass(owner, dt.date)
            return ("clock", f"{owner.__name__}.{function.__name__}") if is_date else None
        if owner is SHARED and owner is not None:
            return "random", f"random.{function.__name__}"
        return BUILT_IN.get(function) if isinstance(function, type(len)) else None

    def _written(self, frame: FrameType) -> tuple[str, str] | None:
        code = frame.f_code
        if code is STARTS:
            return "thread", "Thread.start"
        if code in DRAWS:
            owner = frame.f_locals.get("self")
            is_seeded = owner is not SHARED and not isinstance(owner, random.SystemRandom)
            return None if is_seeded else ("random", f"random.{DRAWS[code]}")
        return WRITTEN.get(code)

    def _starts_for_others(self, frame: FrameType) -> bool:
        """Say whether a frame starts threads for its caller: a pool of the library's, or a wrapper of Thread.start."""
        return self._place(frame) == "library" or frame.f_code is threading.Thread.start.__code__

    def _place(self, frame: FrameType) -> str:
        """Say whose code runs in a frame: the user's, actorflow's, or that of a library."""
        code = frame.f_code
        place = self._places.get(code)
        if place is None:
            place = self._places[code] = self._place_of(code.co_filename, str(frame.f_globals.get("__name__", "")))
        return place

    def _place_of(self, file: str, module: str) -> str:
        if module.partition(".")[0] == self._package:
            return "user"
        if file.startswith(OURS):
            return "ours"
        is_of_library = file.startswith(("<frozen", *INSTALLED, *LIBRARY))
        return "library" if is_of_library else "user"
