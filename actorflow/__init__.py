"""actorflow: supervised actors for Python, on pykka.

The names that users need are all here; `import actorflow as af`.
"""

import sys
import warnings

from actorflow.app.app import App
from actorflow.app.settings import Settings
from actorflow.app.system import ActorSystem
from actorflow.core.actor import Actor
from actorflow.core.backoff import Backoff
from actorflow.core.child import Child, child
from actorflow.core.context import Context, timer
from actorflow.core.events import Subscription
from actorflow.core.future import Future, Reply
from actorflow.core.messages import Crashed, DeadLetter, Restarted, Started, Stopped, Terminated
from actorflow.core.ref import ActorRef
from actorflow.core.timers import Timer
from actorflow.errors import (
    ActorDeadError,
    ActorflowError,
    AskTimeout,
    Crash,
    DeadlockError,
    DefinitionError,
    HostDied,
    MailboxFull,
    MemoryLimit,
    PayloadError,
    RemoteError,
    RestartLimitReached,
    Stopping,
    TaskTimeout,
    ThreadLimit,
    TransitionRefused,
)
from actorflow.process.options import Process
from actorflow.process.pool.pool import ProcessPool
from actorflow.process.pool.stats import PoolStats, RunningTask, WorkerStats
from actorflow.supervision.supervisor import ChildState, Supervisor

__all__ = [
    "Actor",
    "ActorDeadError",
    "ActorRef",
    "ActorSystem",
    "ActorflowError",
    "App",
    "AskTimeout",
    "Backoff",
    "Child",
    "ChildState",
    "Context",
    "Crash",
    "Crashed",
    "DeadLetter",
    "DeadlockError",
    "DefinitionError",
    "Future",
    "HostDied",
    "MailboxFull",
    "MemoryLimit",
    "PayloadError",
    "PoolStats",
    "Process",
    "ProcessPool",
    "RemoteError",
    "Reply",
    "RestartLimitReached",
    "Restarted",
    "RunningTask",
    "Settings",
    "Started",
    "Stopped",
    "Stopping",
    "Subscription",
    "Supervisor",
    "TaskTimeout",
    "Terminated",
    "ThreadLimit",
    "Timer",
    "TransitionRefused",
    "WorkerStats",
    "child",
    "timer",
]

if not getattr(sys, "_is_gil_enabled", lambda: True)():
    warnings.warn("actorflow relies on the global interpreter lock; this build runs without it", stacklevel=2)
