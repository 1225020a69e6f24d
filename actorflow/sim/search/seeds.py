"""Seeds: the search of a test for a run that fails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

from actorflow.core.clock import SystemClock
from actorflow.sim.choices.tape import Tape
from actorflow.sim.failure import SimulationFailure
from actorflow.sim.search.explain import explained
from actorflow.sim.search.fresh import left_behind
from actorflow.sim.search.module_state import changed, look
from actorflow.sim.search.orders import all_orders
from actorflow.sim.search.outcome import run_once
from actorflow.sim.search.settings import in_force
from actorflow.sim.search.tally import TALLY
from actorflow.sim.search.verify import PARTS, REPEATS, verify
from actorflow.sim.search.workers import RunNotes, shared_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.sim.search.module_state import Look
    from actorflow.sim.search.outcome import Body, RunFigures, RunOutcome
    from actorflow.sim.search.tapes import TapeFolder


class Search:
    """The search of one test.

    Attributes:
        met: whether each case that is to come in some run has come in one.
        progress: is called after each seed, with how many have run of how many; None: nobody wants to know.
        notes: of runs, in this process and in others.
        properties: most that a run has declared.
        delays: run all orders with so many choices that are not the first, instead of seeds; None: run seeds.
        is_cut: not all seeds, or orders, ran.
    """

    def __init__(
        self,
        body: Body,
        folder: TapeFolder | None = None,
        *,
        delays: int | None = None,
        progress: Callable[[int, int], object] | None = None,
        notes: RunNotes | None = None,
    ) -> None:
        self.progress = progress
        self.notes = notes or RunNotes()
        self.properties = 0
        self.body = body
        self.folder = folder
        self.delays = delays
        self.met: dict[str, bool] = {}
        self.is_cut = False
        self._digests: set[int] = set()
        self._seeds = 0
        self._before: Look = {}
        budget = in_force().budget
        self._end = None if budget is None else SystemClock.monotonic() + budget

    def run(self, seeds: range) -> None:
        """Run the tapes of the test, then all seeds.

        Raises:
            SimulationFailure: a run failed, or a case that is to come in some run came in none.
        """
        settings = in_force()
        TALLY.searches += 1
        try:
            if settings.tape is not None:
                self._replay(Tape.read(settings.tape), str(settings.tape))
            elif settings.seed is not None:
                self._run_seed(settings.seed)
            else:
                self._run_tapes()
                if settings.runs is not None:
                    seeds = range(seeds.start, seeds.start + settings.runs)
                if self.delays is None:
                    self._run_all(seeds)
                else:
                    self._run_orders(seeds, self.delays)
        finally:
            TALLY.orders += len(self._digests)

    def _run_tapes(self) -> None:
        if self.folder is None or is_given():
            return
        for path in self.folder.paths():
            tape = Tape.read(path)
            outcome = self._noted(run_once(self.body, tape.seed, tape))
            if outcome.failure is not None:
                raise explained(self.body, tape.seed, outcome, self.folder) from outcome.failure

    def _replay(self, tape: Tape, name: str) -> None:
        outcome = self._noted(run_once(self.body, tape.seed, tape))
        if outcome.failure is not None:
            raise explained(self.body, tape.seed, outcome) from outcome.failure
        if outcome.strayed:
            raise SimulationFailure(
                f"the run is that of {name}",
                outcome.figures.time,
                f"the code is not that of the tape any more, and did not fail: {outcome.strayed}",
                seed=tape.seed,
            )

    def _run_all(self, seeds: range) -> None:
        __tracebackhide__ = True  # pytest shows the test
        workers = 1 if is_given() or in_force().until_step is not None else in_force().workers
        if workers > 1 and len(seeds) > 1:
            self._share_out(seeds, workers)
        else:
            if len(seeds) > 1 and not is_given():
                self._before = look()
            for seed in seeds:
                if self._is_over():
                    break
                self._run_seed(seed)
                self._tell(len(seeds))
            if self._before:  # it passed: state that its hosts share may have hidden what fails in production
                TALLY.shared.update(changed(self._before, look()))
        self.is_cut = self._seeds < len(seeds)
        self._check_met(len(seeds))

    def _run_orders(self, seeds: range, delays: int) -> None:
        __tracebackhide__ = True
        runs = 0
        for outcome in all_orders(self.body, seeds.start, delays):
            runs += 1
            self._noted(outcome)
            if outcome.failure is not None:
                self._fail(seeds.start, outcome, by_seed=False)
            if self._is_over():
                self.is_cut = True
                break
            if runs > len(seeds):
                raise SimulationFailure(
                    f"{len(seeds)} runs are all with at most {delays} choices that are not the first",
                    0.0,
                    "there are more; take fewer actors and events, a lower exhaustive=, or more runs=",
                    seed=seeds.start,
                )
        self._check_met(runs)

    def _is_over(self) -> bool:
        return self._end is not None and SystemClock.monotonic() > self._end

    def _share_out(self, seeds: range, workers: int) -> None:
        failed: list[int] = []
        for seed, is_failed, figures, met in shared_out(self.body, seeds, workers, self._is_over, self.notes):
            self._seeds += 1
            self._tell(len(seeds))
            if is_failed:
                failed.append(seed)
            else:
                self._count(figures, met)
        if failed:
            self._run_seed(min(failed))
            raise SimulationFailure(
                REPEATS, 0.0, f"the run failed in a worker, and not here: {PARTS}", seed=min(failed)
            )

    def _tell(self, total: int) -> None:
        if self.progress is not None:
            self.progress(self._seeds, total)

    def _run_seed(self, seed: int) -> None:
        __tracebackhide__ = True
        self._seeds += 1
        outcome = self._noted(run_once(self.body, seed))
        if outcome.failure is not None:
            self._fail(seed, outcome)
        if in_force().verify:
            verify(self.body, seed)

    def _fail(self, seed: int, outcome: RunOutcome, *, by_seed: bool = True) -> NoReturn:
        __tracebackhide__ = True
        given = is_given()  # hypothesis shrinks, and two shrinkers on one failure fight
        folder = None if given else self.folder
        left = left_behind(self.body, seed, outcome.key, self._before) if self._before and self._seeds > 1 else ""
        raise explained(
            self.body, seed, outcome, folder, shrink=not given, left=left, by_seed=by_seed
        ) from outcome.failure

    def _noted(self, outcome: RunOutcome) -> RunOutcome:
        self._count(outcome.figures, outcome.met)
        return outcome

    def _count(self, figures: RunFigures, met: dict[str, bool]) -> None:
        TALLY.add(figures)
        self._digests.add(figures.digest)
        self.properties = max(self.properties, figures.properties)
        for name, is_met in met.items():
            self.met[name] = self.met.get(name, False) or is_met

    def _check_met(self, runs: int) -> None:
        """Check that each case that is to come in some run came: not with one run, nor where not all ran."""
        if runs < 2 or self.is_cut or is_given():
            return
        for name, is_met in self.met.items():
            if not is_met:
                raise SimulationFailure(
                    name, 0.0, f"it came to pass in none of {runs} runs: the test does not try what it is about"
                )


def is_given() -> bool:
    """Say whether the test runs in one of hypothesis, with `@given` outside."""
    hypothesis: Any = sys.modules.get("hypothesis")
    return hypothesis is not None and bool(hypothesis.currently_in_test_context())
