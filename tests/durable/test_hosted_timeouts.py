"""Timers of durable machines in child processes that kill these, on all stores."""

import pytest

import actorflow as af
from tests.durable.crashing import Mine, tried
from tests.durable.test_hosted import hosted, supervised
from tests.durable.test_messages import rows, wait_for

pytestmark = pytest.mark.timeout(300)
STORES = ("memory", "sqlite", "postgres")


@pytest.mark.slow(quick=["memory"])
def test_a_timeout_of_a_machine_that_kills_its_process_three_times_is_a_dead_letter(start, url, tmp_path):
    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        (ref,) = supervised(system, hosted(Mine, "mine", str(tmp_path)))
        ref.call(Mine.arm).get(timeout=30)
        wait_for(lambda: letters, seconds=60)
        assert "3 processes" in str(letters[0].reason)
        assert repr(letters[0].message) == "_time_out('armed', 0)"
        assert ref.call(Mine.known).get(timeout=30) == ([], "armed", [])
        assert tried(tmp_path) == ["blow"] * 3
        (letter,) = system.dead_mail.messages()
        assert (letter.crashes, letter.cause) == (3, "HostDied: 3 processes have died on it: its process was lost")
        (tmp_path / "harmless").touch()
        system.dead_mail.retry_all(ref)
        assert ref.call(Mine.known).get(timeout=30) == (["blow"], "over", [])
    if url != "memory:":
        with start() as system:  # what is stored has no such timer either
            (ref,) = supervised(system, hosted(Mine, "mine", str(tmp_path)))
            assert ref.call(Mine.known).get(timeout=30) == (["blow"], "over", [])


@pytest.mark.slow(quick=["sqlite"])
def test_a_machine_goes_on_with_its_other_timers_when_one_has_killed(start, tmp_path):
    with start() as system:
        (ref,) = supervised(system, hosted(Mine, "mine", str(tmp_path)))
        ref.call(Mine.plan, "kill").get(timeout=30)
        ref.cast(Mine.plan, "well")  # the process may be dead by now
        wait_for(lambda: system.dead_mail.count() == 1, seconds=60)
        wait_for(lambda: ref.call(Mine.known).get(timeout=30) == (["well"], "calm", []), seconds=60)
        assert tried(tmp_path).count("kill") == 3
        assert rows(system, "af_actor_timer") == 0
