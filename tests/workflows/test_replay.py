"""Replay: a run that is cut after any of its records goes on as if it had not been."""

from __future__ import annotations

import pytest

from tests.workflows.bodies import BODIES
from tests.workflows.journals import cut_after, live, replayed, steps_of


@pytest.mark.slow(quick=[f"0-{workflow.function.__name__}" for workflow in BODIES])
@pytest.mark.parametrize("workflow", BODIES, ids=lambda workflow: workflow.function.__name__)
@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_is_cut_after_any_record_gives_results_to_their_steps(workflow, seed):
    result, records, started = live(workflow, seed)
    assert len(records) >= 4
    for cut in range(len(records) + 1):
        kept = cut_after(records, cut)

        def look(journal, kept=kept):
            assert journal[: len(kept)] == kept
            steps = steps_of(journal)
            assert len({record.identity for record in steps}) == len(steps)  # no recorded step was run again

        again = replayed(workflow, kept, started, 1000 * seed + cut, look)
        if cut == len(records):
            assert again == result
