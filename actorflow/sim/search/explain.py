"""Explain: makes the error of a run that failed, with the smallest run that fails in the same way."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from actorflow.sim.failure import SimulationFailure
from actorflow.sim.search.outcome import run_once
from actorflow.sim.search.settings import in_force, use
from actorflow.sim.search.shrink import Shrinker
from actorflow.sim.search.words import scenario_of
from actorflow.sim.verdicts import ends_all
from actorflow.text import reason_of

if TYPE_CHECKING:
    from actorflow.sim.choices.tape import Tape
    from actorflow.sim.search.outcome import Body, RunOutcome
    from actorflow.sim.search.tapes import TapeFolder


def explained(
    body: Body,
    seed: int,
    outcome: RunOutcome,
    folder: TapeFolder | None = None,
    *,
    shrink: bool = True,
    left: str = "",
    by_seed: bool = True,
) -> SimulationFailure:
    """Return the error of a run that failed.

    Args:
        body: the test.
        seed: of the run.
        outcome: of the run.
        folder: keeps the tape of the smallest run; None: it is not kept.
        shrink: look for a smaller run.
        left: what is known of the part of earlier runs, in words.
        by_seed: the seed alone repeats the run; False: it takes the tape.
    """

    def fails(tape: Tape) -> tuple[Tape, int] | None:
        again = run_again(body, seed, tape)
        return None if again is None or again.key != outcome.key else (again.tape, again.events)

    shrinker = Shrinker(outcome.tape, fails)
    tape = shrinker.shrink(outcome.events, outcome.declared) if shrink else outcome.tape
    smallest = run_again(body, seed, tape, draw=True)
    if smallest is None or smallest.key != outcome.key:  # it depends on something that no choice decides
        smallest, tape = run_again(body, seed, draw=True) or outcome, outcome.tape
    is_same = smallest.key == outcome.key
    kept = "" if folder is None or not is_same else keep(folder, tape, outcome.key)
    scenario = scenario_of(smallest, outcome, seed, tries=shrinker.runs, kept=kept, by_seed=by_seed)
    if left:
        scenario = f"{left}\n{scenario}"
    if not is_same:
        scenario = f"it did not fail again with the same seed: something that no choice decides has a part\n{scenario}"
        return failure_of(outcome, seed, scenario)
    return failure_of(smallest, seed, scenario)


def run_again(body: Body, seed: int, tape: Tape | None = None, *, draw: bool = False) -> RunOutcome | None:
    """Run a seed, or a smaller tape, again; None: the test makes no sense without what is left out, or is skipped."""
    with use(replace(in_force(), until_step=None)):  # the debugger was in the run that failed
        try:
            return run_once(body, seed, tape, draw=draw)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or ends_all(error):
                raise
            return None  # it is not the failure that is explained, and must not take its place


def keep(folder: TapeFolder, tape: Tape, key: str) -> str:
    """Keep a tape; return its file, or why there is none."""
    try:
        return os.path.relpath(folder.keep(tape, key))
    except (OSError, ValueError) as error:
        return f"not kept: {reason_of(error)}"


def failure_of(outcome: RunOutcome, seed: int, scenario: str) -> SimulationFailure:
    """Return the error of a run with its seed and its scenario."""
    failure = outcome.failure
    assert failure is not None
    if isinstance(failure, SimulationFailure):
        return SimulationFailure(failure.property, failure.time, failure.why, seed=seed, scenario=scenario)
    return SimulationFailure(
        type(failure).__name__, outcome.figures.time, reason_of(failure), seed=seed, scenario=scenario
    )
