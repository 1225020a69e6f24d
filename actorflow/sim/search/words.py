"""Words: the scenario of a run that failed."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Final

from actorflow.sim.search.settings import in_force

if TYPE_CHECKING:
    from actorflow.sim.choices.tape import Tape
    from actorflow.sim.search.outcome import RunOutcome

SAME: Final = "the search, which takes the same runs each time"
SHOWN: Final = 12  # faults, client events and choices that a failure names, of each


def counted(number: int, word: str) -> str:
    """Return a number with its noun."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def listed(lines: list[str], word: str) -> list[str]:
    """Return lines, of many the first."""
    more = len(lines) - SHOWN
    return [f"  {line}" for line in lines[:SHOWN]] + ([f"  and {counted(more, f'more {word}')}"] if more > 0 else [])


def choices_of(tape: Tape) -> list[str]:
    """Return the choices that are not the first, in words."""
    return [f"choice {i + 1} of {name}: {tape.choices[name][i]}" for name, i in tape.places()]


def scenario_of(smallest: RunOutcome, first: RunOutcome, seed: int, *, tries: int, kept: str, by_seed: bool) -> str:
    """Return the scenario of a failure.

    Args:
        smallest: the run that fails in the same way.
        first: the run that failed.
        seed: of both.
        tries: how many runs it took to find it.
        kept: the file of its tape, or why there is none; "": none was to be.
        by_seed: the seed alone repeats it.
    """
    tape = smallest.tape
    parts = (
        f"{len(smallest.entered)} of {max(first.events, smallest.events)} client events",
        f"{len(smallest.faults)} of {first.declared} faults",
        f"{counted(tape.size, 'choice')} not the first",
    )
    command = again(f"--sim-seed={seed}", f"Simulation(seed={seed})")
    if not by_seed:
        command = again(f"--sim-tape={kept}", SAME) if kept else SAME
    return "\n".join(
        [
            f"smallest run found ({counted(tries, 'try') if tries == 1 else f'{tries} tries'}): {', '.join(parts)}",
            *listed(smallest.faults, "fault"),
            *listed(smallest.entered, "client event"),
            *listed(choices_of(tape), "choice"),
            f"again: {command}",
            *([f"tape: {kept}"] if kept else []),
            *(["", smallest.diagram] if smallest.diagram else []),
        ]
    )


def again(option: str, code: str) -> str:
    """Return the command that repeats a run.

    Args:
        option: of pytest.
        code: for a test that pytest does not run.
    """
    test, command = current_test(), in_force().command
    if not test and not command:
        return f"{code}, or {option}"
    pinned = os.environ.get("PYTHONHASHSEED", "0")
    if command:
        return f"PYTHONHASHSEED={pinned} {command} {option.replace('--sim-', '--')}"
    return f"PYTHONHASHSEED={pinned} pytest {shlex.quote(test)} {option}"


def current_test() -> str:
    """Return the node of the test that pytest runs now; "": none."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rsplit(" (", 1)[0]
