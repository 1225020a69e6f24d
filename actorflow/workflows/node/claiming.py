"""Claiming: the actor that takes runs which are ready, and loads them."""

from __future__ import annotations

import contextlib
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.actor import Actor
from actorflow.core.log import logger
from actorflow.errors import ActorDeadError, ActorflowError, OutcomeUnknown, StoreError
from actorflow.store.members import PERIOD_SECONDS
from actorflow.text import reason_of
from actorflow.workflows.node.pruning import RunPruner
from actorflow.workflows.node.run_actor import RunActor
from actorflow.workflows.rows import ledger, limits
from actorflow.workflows.rows.records import PARKED, READY
from actorflow.workflows.workflow import WORKFLOWS

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.refs.timers import Timer
    from actorflow.store.transaction import Transaction
    from actorflow.workflows.node.run_node import RunNode
    from actorflow.workflows.rows.records import ClaimedRun, RunRecord
    from actorflow.workflows.stored_run import StoredRun
    from actorflow.workflows.workflow import AnyWorkflow

PART: Final = 64  # runs that are taken in one transaction
CLOCK_SECONDS: Final = 60.0  # between two looks, as somebody may set the clock
PRUNE_SECONDS: Final = 60.0  # between two looks for runs that were kept their time
STORE_SECONDS: Final = 1.0
SET_BACK_SECONDS: Final = 1.0  # by which the clock must have been set back to be noticed
SKEW_SECONDS: Final = 60.0  # by which the newest run may be ahead of the clock; else that was wrong when it was started


class Runs(Actor, intensity=10, period=10.0):
    """Takes runs that are ready and whose workflow is known here, and has an actor for each that is loaded."""

    def __init__(self, node: RunNode) -> None:
        super().__init__()
        self.node = node
        self.timer: Timer | None = None
        self.pruned_at = -math.inf  # by the clock that nobody sets
        self.tried: dict[str, AnyWorkflow] = {}  # definitions that have tried the parked runs of their workflow
        self.seen: tuple[float, float] | None = None  # the time, by the clock and by the one that nobody sets
        self.adopted: set[int] = set()  # rows of runs whose start may be told of yet
        self.is_doubtful = True  # this node may have runs not loaded: of a commit in doubt, or its forerunner's

    def on_start(self) -> None:
        """Look for runs at once: a process may have died just now."""
        self.actor_ref.cast(Runs.look_around)
        self.actor_ref.cast(Runs.look)

    def look_for_end(self, run: StoredRun[Any], future: Future[Any]) -> None:
        """Set a future if a run is over; else look again when something may have happened to it."""
        waits, me = self.node.waits, self.actor_ref
        news = waits.add_awaited(run.id)  # before the look: later news are heard
        try:
            is_over = run._settle(future)
        except StoreError:
            waits.drop(run.id, news)
            self.ctx.after(STORE_SECONDS, self.look_for_end, run, future)
            return
        if is_over:
            waits.drop(run.id, news)
            return

        def hear() -> None:
            with contextlib.suppress(ActorDeadError):  # the system has ended
                me.cast(Runs.look_for_end, run, future)

        news._when_done(hear)

    def look_around(self) -> None:
        """Say that this node lives, and look for nodes that have died: what they leave is looked for then."""
        node = self.node
        if node.is_closed:
            return
        if not node.store.is_alone:
            try:
                node.store.members.look()
            except StoreError as error:
                node.report_failure_of_claim(error)
            self.ctx.after(PERIOD_SECONDS, self.look_around)
        self.prune()

    def prune(self) -> None:
        """Have old runs removed, if that was not done just now."""
        now = self.node.scheduler.clock.monotonic()
        if now - self.pruned_at >= PRUNE_SECONDS:
            self.pruned_at = now
            self.node.pruner.cast(RunPruner.remove)

    def look(self) -> None:
        """Take runs that are ready, until none is left."""
        node = self.node
        if node.is_closed or node.scheduler.draining:
            return
        try:
            self.look_at_clock()
            if self.is_doubtful:
                self.adopt()
            free = self.free_keys()
            while self.claim() == PART:
                pass
            if self.unpark():
                self.actor_ref.cast(Runs.look)
                return
            row = node.store.read(lambda tx: tx.one("runs.next_wake"))
        except StoreError as error:
            self.is_doubtful = self.is_doubtful or isinstance(error, OutcomeUnknown)
            node.report_failure_of_claim(error)
            self.look_in(STORE_SECONDS)
            return
        times = [time for time in (free, None if row is None else row[0]) if time is not None]
        if times:
            self.look_in(min(max(0.0, min(times) - node.now()), CLOCK_SECONDS))

    def look_at_clock(self) -> None:
        """Have runs that wait for a time wake earlier if the clock was set back: too early does no harm."""
        node = self.node
        now, monotonic = node.now(), node.scheduler.clock.monotonic()
        if self.seen is not None:
            back = self.seen[0] + monotonic - self.seen[1] - now
            is_back = back > SET_BACK_SECONDS
        else:
            row = node.store.read(lambda tx: tx.one("runs.newest"))
            back = 0.0 if row is None else row[0] - now
            is_back = back > SKEW_SECONDS
        if is_back:
            logger.warning("The clock was set back by %.0f s: runs that wait for a time look at it anew", back)
            node.store.write(lambda tx: tx.run("runs.set_back", {"by": back, "now": now}))
            node.set_back = back
        self.seen = now, monotonic

    def look_in(self, seconds: float) -> None:
        """Look again in some seconds."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.ctx.after(seconds, self.look)

    def doubt(self) -> None:
        """Look whether this node has runs that are not loaded."""
        self.is_doubtful = True
        self.look()

    def adopt(self) -> None:
        """Load the runs that this node has, and that nobody here knows of."""
        node = self.node
        for run in node.store.read(lambda tx: ledger.owned(tx, node.id)):
            if run.name not in node.bodies:
                self.adopted.discard(run.id)
                self.load(run, node.store.read(partial(ledger.records, run=run.id)))
                self.adopted.add(run.id)
        self.is_doubtful = False

    def claim(self) -> int:
        """Take some runs, and load them; return how many."""
        node = self.node
        workflows = node.known()

        def work(transaction: Transaction) -> list[tuple[ClaimedRun, list[RunRecord]]]:
            claimed = ledger.claim(transaction, workflows, node.id, node.now(), PART)
            return [(run, ledger.records(transaction, run.id)) for run in claimed]

        if not node.store.read(lambda tx: ledger.has_ready(tx, workflows, node.now())):
            return 0
        loaded = node.store.write(work)
        for run, records in loaded:
            self.load(run, records)
        return len(loaded)

    def free_keys(self) -> float | None:
        """Let runs go on whose keys have a token again; return when the next key has."""
        node = self.node
        names = [name for name in node.known() if (limit := WORKFLOWS[name].limit) is not None and limit.bucket]
        if not names:
            return None
        free: float | None = node.store.read(lambda tx: limits.next_free(tx, names, node.now()))
        if free is None or free > node.now():
            return free
        node.store.write(partial(limits.free_due, workflows=names, now=node.now()))
        row = node.store.read(lambda tx: limits.next_free(tx, names, node.now()))
        return None if row is None else float(row)

    def unpark(self) -> bool:
        """Have runs tried again that other definitions of their workflows have parked; return whether there were some.

        Once for each definition that is new here, some at a time. Its limit is written, if it is another.
        """
        store = self.node.store
        for name in self.node.known():
            workflow = WORKFLOWS[name]
            if self.tried.get(name) is workflow:
                continue
            values = {"workflow": name, "misfit": f",{workflow.hash},"}
            some = store.read(lambda tx, values=values: tx.one("runs.misfits", values))
            if some is not None and store.write(partial(ledger.unpark, workflow=name, hash=workflow.hash)):
                return True
            if store.write(partial(limits.declare, workflow=name, limit=workflow.limit, now=self.node.now())):
                self.actor_ref.cast(Runs.look)
            self.tried[name] = workflow
        return False

    def load(self, run: ClaimedRun, records: list[RunRecord]) -> None:
        """Have an actor for a run."""
        self.prune()
        node = self.node
        old = node.bodies.get(run.name)
        is_adopted = run.id in self.adopted and run.epoch == 1 and not records
        if is_adopted or (old is not None and old.run.epoch >= run.epoch):
            self.adopted.discard(run.id)
            return  # it was adopted just before, and may be over by now
        if node.is_closed:  # it was started just before the system ends: a step of it that begins now would be cut
            self.leave(run)
            return
        if old is not None:  # this node was taken for dead, and has got its run back
            node.lost(old, ledger.lost(run))
        try:
            body = node.body_of(run, records)
            if run.epoch == 1:
                node.tell("started", run.name)
            body.ref = self.ctx.spawn(RunActor, node, body)
        except Exception as error:  # noqa: BLE001 - of one run; the others are loaded all the same
            logger.exception("Run %s could not be loaded: %s", run.name, reason_of(error))
            self.park(run, f"it could not be loaded: {reason_of(error)}")

    def leave(self, run: ClaimedRun) -> None:
        """Let other nodes have a run that was not loaded."""
        node = self.node
        try:
            node.store.write(lambda tx: ledger.let_go(tx, run, node.id, READY, "running"), durability="process")
        except ActorflowError as error:
            logger.warning("Run %s could not be given back; others get it all the same: %s", run.name, error)

    def park(self, run: ClaimedRun, reason: str) -> None:
        """Give back a run that cannot go on here, and have nothing of it here any more."""
        node = self.node
        try:
            misfit = WORKFLOWS[run.workflow].hash
            node.store.write(lambda tx: ledger.let_go(tx, run, node.id, PARKED, "parked", reason=reason, misfit=misfit))
        except StoreError as error:
            self.is_doubtful = True  # it is loaded again then
            node.report_failure_of_claim(error)
            self.look_in(STORE_SECONDS)
        body = node.bodies.get(run.name)
        if body is not None:
            node.forget(body)
