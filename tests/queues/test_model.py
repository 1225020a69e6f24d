"""A model of a queue: whatever is enqueued, cancelled, paused and waited for, order, delays and limits hold.

The queue runs on virtual time, with every job taking whole seconds; the model looks at what began when.
"""

from __future__ import annotations

import dataclasses
import itertools
import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import actorflow as af
from actorflow.testing import VirtualSystem

KEYS = (None, "a", "a", "b")
SPECS = st.tuples(st.integers(-2, 2), st.sampled_from([0, 0, 0, 3, 10]), st.sampled_from(KEYS), st.integers(1, 5))
LIMITS = (  # jobs at once, their rate, jobs at once of each key, their rate
    (None, None, None, None),
    (2, None, None, None),
    (None, "60/m", None, None),
    (None, "6/m", None, None),
    (None, None, 1, None),
    (None, None, 2, None),
    (None, None, None, "12/m"),
    (None, None, 1, "60/m"),
    (2, "60/m", 1, "12/m"),
)
SLACK = 0.01  # seconds between the time at which a job may begin and its begin


@dataclasses.dataclass
class Known:
    """A job as the model has it."""

    number: int
    priority: int
    due: float
    key: str | None
    seconds: int
    job: af.Job
    began: float | None = None
    ended: float | None = None
    cancelled: bool = False


class QueueModel(RuleBasedStateMachine):
    """Drives a queue, and checks what it did."""

    @initialize(workers=st.integers(1, 4), limits=st.sampled_from(LIMITS), seed=st.integers(0, 1000))
    def start(self, workers, limits, seed):
        concurrency, rate, per_key, key_rate = limits
        self.system = VirtualSystem("model", seed=seed)
        self.jobs: dict[int, Known] = {}
        self.numbers = itertools.count()
        self.limits = (workers, concurrency, rate, per_key, key_rate)
        limit = None if per_key is None and key_rate is None else af.Limit(concurrency=per_key, rate=key_rate)
        self.paused = False
        self.wrong: list[str] = []
        self.queue = self.system.queue("q", workers=workers, concurrency=concurrency, rate=rate, per_key=limit)

        @af.task(name="tests.model")
        def modelled(number: int, seconds: int) -> int:
            known, now = self.jobs[number], self.system.now
            for wrong, text in [
                (known.began is not None, "ran twice"),
                (known.cancelled, "ran though it was cancelled"),
                (self.paused, "began though the queue is paused"),
                (now < known.due - SLACK, "began before its time"),
            ]:
                if wrong:
                    self.wrong.append(f"{known} {text} at {now}")
            known.began = now
            af.timer(seconds).get()
            known.ended = self.system.now
            return number

        self.task = modelled

    @rule(wanted=st.lists(SPECS, min_size=2, max_size=8))
    def enqueue(self, wanted):
        for priority, delay, key, seconds in wanted:
            number = next(self.numbers)
            task = self.task.options(priority=priority, delay=delay, key=key)
            job = self.queue.enqueue(task, number, seconds)
            self.jobs[number] = Known(number, priority, self.system.now + delay, key, seconds, job)

    @rule(seconds=st.sampled_from([0, 1, 2, 5, 20]))
    def let_time_pass(self, seconds):
        self.system.sleep(seconds)

    @rule(data=st.data())
    def cancel(self, data):
        waiting = [known for known in self.jobs.values() if known.began is None and not known.cancelled]
        if waiting:
            known = data.draw(st.sampled_from(waiting))
            known.cancelled = known.job.cancel() and known.job.status == "cancelled"

    @rule(seconds=st.sampled_from([0, 1, 5]))
    def pause(self, seconds):
        self.queue.pause()
        self.paused = True
        self.system.sleep(seconds)
        self.paused = False
        self.queue.resume()

    def check_order(self) -> None:
        """What began went before all that could have begun in its place."""
        *_, per_key, key_rate = self.limits
        begun = [known for known in self.jobs.values() if known.began is not None]
        for known, other in itertools.product(begun, self.jobs.values()):
            began_later = other.began is None or other.began > known.began + SLACK
            has_own_limit = other.key not in {None, known.key} and (per_key or key_rate)
            if began_later and other.due < known.began - SLACK and not (other.cancelled or has_own_limit):
                assert (known.priority, known.number) < (other.priority, other.number), f"{known} before {other}"

    @invariant()
    def limits_hold(self):
        if not hasattr(self, "limits"):
            return
        assert not self.wrong
        self.check_order()
        workers, concurrency, rate, per_key, key_rate = self.limits
        begun = [known for known in self.jobs.values() if known.began is not None]
        assert most_at_once(begun) <= min(workers, concurrency or workers)
        check_rate(begun, rate)
        for key in ("a", "b"):
            mine = [known for known in begun if known.key == key]
            assert per_key is None or most_at_once(mine) <= per_key
            check_rate(mine, key_rate)

    def teardown(self):
        if not hasattr(self, "system"):
            return
        try:
            self.system.sleep(3600)
            left = [known for known in self.jobs.values() if known.ended is None and not known.cancelled]
            assert not left, f"never ran: {left}"
            self.limits_hold()
            stats = self.queue.stats()
            assert (stats.queued, stats.due, stats.running) == (0, 0, 0)
            assert stats.completed + stats.cancelled == len(self.jobs)
        finally:
            self.system.stop()


def most_at_once(begun: list[Known]) -> int:
    """How many ran at the same time at most."""
    changes = sorted(
        itertools.chain(
            ((known.began, 1) for known in begun), ((known.ended, -1) for known in begun if known.ended is not None)
        )
    )
    return max(itertools.accumulate(change for _, change in changes), default=0)


def check_rate(begun: list[Known], rate: str | None) -> None:
    """In each span of time no more begin than the bucket gives: its burst, and what has come meanwhile."""
    if rate is None:
        return
    count = float(rate.partition("/")[0])
    per_second, burst = count / 60, max(1.0, count / 10)
    times = sorted(known.began for known in begun)
    for first in range(len(times)):
        for last in range(first, len(times)):
            allowed = burst + (times[last] - times[first] + SLACK) * per_second
            assert last - first + 1 <= allowed + 1e-6, f"{times[first : last + 1]} at a rate of {rate}"


TestQueueModel = pytest.mark.slow(QueueModel.TestCase)
TestQueueModel.settings = settings(
    max_examples=int(os.environ.get("ACTORFLOW_MODEL", "100")),
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
