"""Options: `af.Process`, how a child process is to be."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from actorflow.core.actors.traits import Traits, check_choice, check_type
from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler

Start: TypeAlias = Literal["zygote", "spawn"]

UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]?)(?:i?B)?", re.IGNORECASE)
# The variables that libraries which split one call over threads read when they are loaded.
THREAD_CAPS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A child process for actors (`host=af.Process(...)`) or for the workers of a pool.

    Actors whose hosts have the same name share one process, and its death takes them all. Without a name each actor
    has a process of its own.

    Attributes:
        name: the name of a process that several actors share.
        memory: resident bytes (or "512M") of the process and its children; above it is killed, and the error is
            MemoryLimit. It is looked at ten times a second.
        affinity: numbers of the cores that it may use.
        nice: added to the niceness; 19 is the most modest.
        env: environment variables, set before anything is imported.
        threads: cap for the threads of BLAS and OpenMP, whose default is one a core in each process.
        start: "zygote" forks a small server that has no threads (3 ms; the default on Linux), "spawn" starts a new
            interpreter (some 100 ms; the default elsewhere).
        preload: modules that the zygote imports once, for all processes that it forks.
        max_messages: after so many the process is replaced: its actors stop normally and start anew there.
        max_age: after so many seconds likewise.

    >>> import actorflow as af
    >>> af.Process(memory="512M").memory
    536870912
    """

    name: str | None = None
    memory: int | str | None = None
    affinity: Sequence[int] | None = None
    nice: int | None = None
    env: Mapping[str, str] | None = None
    threads: int | None = None
    start: Start | None = None
    preload: Sequence[str] = ()
    max_messages: int | None = None
    max_age: float | None = None

    def __post_init__(self) -> None:
        check_type("name", self.name, str | None)
        check_type("nice", self.nice, int | None)
        check_choice("start", self.start, ("zygote", "spawn", None))
        for field in ("threads", "max_messages"):
            check_type(field, getattr(self, field), int | None)
        check_type("max_age", self.max_age, int | float | None)
        for field in ("threads", "max_messages", "max_age"):
            value = getattr(self, field)
            if value is not None and not value > 0:
                msg = f"{field}={value!r}: give a number above 0, or leave it out"
                raise DefinitionError(msg)
        if isinstance(self.preload, str) or not all(isinstance(module, str) for module in self.preload):
            msg = f"preload={self.preload!r}: give a list of module names"
            raise DefinitionError(msg)
        put = object.__setattr__  # the dataclass is frozen; equal options must compare equal
        put(self, "memory", None if self.memory is None else size("memory", self.memory))
        put(self, "affinity", None if self.affinity is None else self._cores(self.affinity))
        put(self, "env", None if self.env is None else self._variables(self.env))
        put(self, "preload", tuple(self.preload))

    @staticmethod
    def _cores(affinity: Sequence[int]) -> tuple[int, ...]:
        known = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
        if not isinstance(affinity, Iterable) or not affinity or not known.issuperset(affinity):
            msg = f"affinity={affinity!r}: this process may use the cores {sorted(known)}"
            raise DefinitionError(msg)
        return tuple(sorted(set(affinity)))

    @staticmethod
    def _variables(env: Mapping[str, str]) -> dict[str, str]:
        if not isinstance(env, Mapping):
            msg = f"env={env!r}: give a dict of variables"
            raise DefinitionError(msg)
        variables = {str(key): str(value) for key, value in env.items()}
        for key, value in variables.items():
            if not key or "=" in key or "\0" in key + value:
                msg = f"env: {key!r}: {value!r} cannot be set: give a name without '=', and no nulls"
                raise DefinitionError(msg)
        return variables

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables to set, the caps for threads included."""
        caps = {} if self.threads is None else dict.fromkeys(THREAD_CAPS, str(self.threads))
        return {**caps, **(self.env or {})}

    @property
    def start_method(self) -> Start:
        """The way the process is started: "zygote" or "spawn"."""
        return self.start or ("zygote" if sys.platform == "linux" else "spawn")

    def place(self, traits: Traits, scheduler: Scheduler) -> tuple[type[ActorRef[Any]], Traits]:
        """Return the kind of ref, and the traits, by which this process knows an actor that runs there."""
        from actorflow.process.hosts.parent.hosted_ref import placed  # noqa: PLC0415 - most programs have no hosts

        return placed(traits, scheduler)


def size(name: str, value: int | str) -> int:
    """Return a size in bytes: a number, or text such as "512M" or "1.5G" (powers of 1024).

    >>> size("memory", "1.5G")
    1610612736

    Raises:
        DefinitionError: it is no size, or not above 0.
    """
    match = SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None:
        number = int(float(match[1]) * UNITS[match[2].upper()])
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        number = 0
    if number <= 0:
        msg = f'{name}={value!r}: give bytes, or text such as "512M" or "2G"'
        raise DefinitionError(msg)
    return number
