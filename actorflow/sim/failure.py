"""Failure: the errors of simulated runs: a property that does not hold, and code that leaves the simulation."""

from __future__ import annotations

from typing import Any

from actorflow.errors import ActorflowError, DefinitionError


class SimulationFailure(ActorflowError, AssertionError):
    """A property of a simulated run does not hold.

    Attributes:
        property: its name.
        time: virtual seconds since the start of the run.
        why: what is known of the reason, in words.
        seed: of the run; None: it is not known yet.
        scenario: the smallest run that fails in the same way: seed, faults, client events and a diagram.
    """

    def __init__(
        self, property: str, time: float, why: str = "", *, seed: int | None = None, scenario: str = ""
    ) -> None:
        self.property = property
        self.time = time
        self.why = why
        self.seed = seed
        self.scenario = scenario
        super().__init__(property, time, why)

    def __str__(self) -> str:
        of = "" if self.seed is None else f" with seed {self.seed}"
        reason = f": {self.why}" if self.why else ""
        text = f"{self.property!r} does not hold at {self.time:g} s{of}{reason}"
        return f"{text}\n\n{self.scenario}" if self.scenario else text

    def __reduce__(self) -> tuple[Any, ...]:
        return _failed_again, (self.property, self.time, self.why, self.seed, self.scenario)


def _failed_again(property: str, time: float, why: str, seed: int | None, scenario: str) -> SimulationFailure:
    return SimulationFailure(property, time, why, seed=seed, scenario=scenario)


class NotSimulated(DefinitionError):
    """Code that runs in a simulation starts a thread or a process, opens a socket, or ends the program.

    Attributes:
        what: it does.
        file: of the user's line that does it.
        line: its number.
    """

    def __init__(self, what: str, file: str, line: int) -> None:
        self.what = what
        self.file = file
        self.line = line
        super().__init__(
            f"{file}:{line}: {what}, which leaves the simulation: put it into an actor, a task or a function that the "
            "test replaces"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return NotSimulated, (self.what, self.file, self.line)
