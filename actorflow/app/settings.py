"""Settings of a system."""

from __future__ import annotations

from dataclasses import dataclass

from actorflow.core.actors.traits import check_intensity, check_type
from actorflow.errors import DefinitionError
from actorflow.process.options import size


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a system: `ActorSystem(name, settings=Settings(...))`.

    Attributes:
        grace: seconds that running work has to finish at the end of the system; the rest is then cut, and given back.
        ask_timeout: seconds that `await`, and `get` without a timeout, wait for an answer; None: as long as it takes.
        threads: how many threads may sit in blocking handlers before ThreadLimit is raised.
        intensity: restarts of the system's own children within `period` that are still fine.
        period: seconds.
        send_limit: bytes (or "16M") that may wait to be written to one child process; above it a tell waits.
        payload_limit: bytes (or "16M") that one stored value may take: arguments and results of jobs; messages, timers,
            answers and state of durable actors.
        store_patience: seconds that work waits for a PostgreSQL server that is known to be lost; then it has failed.
        keep_runs: seconds for which a run of a workflow is kept after its end.
        keep_run_ids: seconds after that, for which a second start of its id is known to be the same run.
        keep_events: seconds for which an event stays in the event log, and longer until all durable services have
            handled it that some process has.
        partitions: of the event log, a number that the first system on a store fixes (8, if it says nothing): events of
            one key are in one partition, and so many instances of a service can share the log. None: as it is.
        move_baton: move to another thread after each handler, to find handlers that rely on their thread (slow). In
            hosts, too; in virtual time it does nothing.
    """

    grace: float = 5.0
    ask_timeout: float | None = None
    threads: int = 2000
    intensity: int = 1
    period: float = 5.0
    send_limit: int | str = "16M"
    payload_limit: int | str = "16M"
    store_patience: float = 1.5
    keep_runs: float = 30 * 86_400.0
    keep_run_ids: float = 90 * 86_400.0
    keep_events: float = 30 * 86_400.0
    partitions: int | None = None
    move_baton: bool = False

    def __post_init__(self) -> None:
        check_intensity(self.intensity, self.period)
        object.__setattr__(self, "send_limit", size("send_limit", self.send_limit))
        object.__setattr__(self, "payload_limit", size("payload_limit", self.payload_limit))
        check_type("grace", self.grace, int | float)
        check_type("store_patience", self.store_patience, int | float)
        check_type("keep_runs", self.keep_runs, int | float)
        check_type("keep_run_ids", self.keep_run_ids, int | float)
        check_type("keep_events", self.keep_events, int | float)
        check_type("threads", self.threads, int)
        check_type("partitions", self.partitions, int | None)
        if self.partitions is not None and not 1 <= self.partitions <= 1024:
            msg = f"partitions={self.partitions}: the event log has 1 to 1024"
            raise DefinitionError(msg)
        check_type("ask_timeout", self.ask_timeout, int | float | None)
        if (
            not self.grace >= 0
            or not self.store_patience >= 0
            or not self.keep_runs >= 0
            or not self.keep_run_ids >= 0
            or not self.keep_events >= 0
            or self.threads < 2
            or (self.ask_timeout is not None and not self.ask_timeout > 0)
        ):
            msg = (
                f"{self}: grace, store_patience, keep_runs, keep_run_ids and keep_events must not be negative, threads "
                "2 or more, ask_timeout above 0"
            )
            raise DefinitionError(msg)
