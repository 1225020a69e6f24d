"""actorflow: supervised actors for Python, on pykka.

The names that users need are all here; `import actorflow as af`.
"""

import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from actorflow.app.app import App
from actorflow.app.settings import Settings
from actorflow.app.system import ActorSystem
from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import Child, child
from actorflow.core.actors.context import Context, timer
from actorflow.core.backoff import Backoff
from actorflow.core.futures.future import Future
from actorflow.core.messages.events import Subscription
from actorflow.core.messages.messages import Crashed, DeadLetter, Restarted, Started, Stopped, Terminated
from actorflow.core.messages.reply import Reply
from actorflow.core.refs.ref import ActorRef
from actorflow.core.refs.timers import Timer
from actorflow.errors import (
    ActorDeadError,
    ActorflowError,
    AskTimeout,
    CompensationFailed,
    Crash,
    DeadlockError,
    DefinitionError,
    HostDied,
    JobCancelled,
    JobFailed,
    MailboxFull,
    MaybeDone,
    MemoryLimit,
    NonDeterministic,
    OutcomeUnknown,
    PayloadError,
    Permanent,
    RemoteError,
    RestartLimitReached,
    RunCancelled,
    RunFailed,
    StepFailed,
    StepTimeout,
    Stopping,
    StoreError,
    StoreInUse,
    StoreOutdated,
    StoreUnreachable,
    StuckError,
    TaskTimeout,
    ThreadLimit,
    TransitionRefused,
    Unload,
)
from actorflow.process.options import Process
from actorflow.process.pool.pool import ProcessPool
from actorflow.process.pool.stats import PoolStats, RunningTask, WorkerStats
from actorflow.supervision.supervisor import ChildState, Supervisor

if TYPE_CHECKING:
    from actorflow.events.bus import EventBus
    from actorflow.events.envelope import Envelope
    from actorflow.events.event import event, upcast
    from actorflow.events.handlers import on
    from actorflow.events.service import Service
    from actorflow.events.topology.recording import Recording
    from actorflow.events.unreadable import UnknownEvent, UpcastFailed
    from actorflow.machine.definition.chart import Chart
    from actorflow.machine.rules import History, State
    from actorflow.machine.running.interpreter import Interpreter
    from actorflow.machine.state_machine import StateMachine
    from actorflow.queues.declared import queue
    from actorflow.queues.job import Job
    from actorflow.queues.limits import Limit
    from actorflow.queues.queue import Queue
    from actorflow.sagas.calls import pivot, savepoint, undo
    from actorflow.sagas.declared import Saga
    from actorflow.sagas.saga import saga
    from actorflow.store.store import Store, open_store
    from actorflow.tasks.compensation import Step
    from actorflow.tasks.current import current
    from actorflow.tasks.retry import Retry
    from actorflow.tasks.task import task
    from actorflow.workflows.calls import (
        as_completed,
        branch,
        continue_as_new,
        expose,
        gather,
        now,
        patched,
        random,
        signal,
        sleep,
        uuid,
        wait,
    )
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.dag.node import Node, Results
    from actorflow.workflows.run import Run, RunEvent, StepInfo
    from actorflow.workflows.workflow import workflow

__all__ = [
    "Actor",
    "ActorDeadError",
    "ActorRef",
    "ActorSystem",
    "ActorflowError",
    "App",
    "AskTimeout",
    "Backoff",
    "Chart",
    "Child",
    "ChildState",
    "CompensationFailed",
    "Context",
    "Crash",
    "Crashed",
    "Dag",
    "DeadLetter",
    "DeadlockError",
    "DefinitionError",
    "Envelope",
    "EventBus",
    "Future",
    "History",
    "HostDied",
    "Interpreter",
    "Job",
    "JobCancelled",
    "JobFailed",
    "Limit",
    "MailboxFull",
    "MaybeDone",
    "MemoryLimit",
    "Node",
    "NonDeterministic",
    "OutcomeUnknown",
    "PayloadError",
    "Permanent",
    "PoolStats",
    "Process",
    "ProcessPool",
    "Queue",
    "Recording",
    "RemoteError",
    "Reply",
    "RestartLimitReached",
    "Restarted",
    "Results",
    "Retry",
    "Run",
    "RunCancelled",
    "RunEvent",
    "RunFailed",
    "RunningTask",
    "Saga",
    "Service",
    "Settings",
    "Started",
    "State",
    "StateMachine",
    "Step",
    "StepFailed",
    "StepInfo",
    "StepTimeout",
    "Stopped",
    "Stopping",
    "Store",
    "StoreError",
    "StoreInUse",
    "StoreOutdated",
    "StoreUnreachable",
    "StuckError",
    "Subscription",
    "Supervisor",
    "TaskTimeout",
    "Terminated",
    "ThreadLimit",
    "Timer",
    "TransitionRefused",
    "UnknownEvent",
    "Unload",
    "UpcastFailed",
    "WorkerStats",
    "as_completed",
    "branch",
    "child",
    "continue_as_new",
    "current",
    "event",
    "expose",
    "gather",
    "now",
    "on",
    "open_store",
    "patched",
    "pivot",
    "queue",
    "random",
    "saga",
    "savepoint",
    "signal",
    "sleep",
    "task",
    "timer",
    "undo",
    "upcast",
    "uuid",
    "wait",
    "workflow",
]

if not getattr(sys, "_is_gil_enabled", lambda: True)():
    warnings.warn("actorflow relies on the global interpreter lock; this build runs without it", stacklevel=2)

# Imported at first use: machines take 15 ms, and each child process would pay them.
LATER: Final = {
    "Envelope": "actorflow.events.envelope",
    "EventBus": "actorflow.events.bus",
    "Service": "actorflow.events.service",
    "event": "actorflow.events.event",
    "on": "actorflow.events.handlers",
    "upcast": "actorflow.events.event",
    "UnknownEvent": "actorflow.events.unreadable",
    "UpcastFailed": "actorflow.events.unreadable",
    "Job": "actorflow.queues.job",
    "Limit": "actorflow.queues.limits",
    "Queue": "actorflow.queues.queue",
    "Recording": "actorflow.events.topology.recording",
    "Retry": "actorflow.tasks.retry",
    "Step": "actorflow.tasks.compensation",
    "Saga": "actorflow.sagas.declared",
    "pivot": "actorflow.sagas.calls",
    "savepoint": "actorflow.sagas.calls",
    "undo": "actorflow.sagas.calls",
    "saga": "actorflow.sagas.saga",
    "Store": "actorflow.store.store",
    "open_store": "actorflow.store.store",
    "queue": "actorflow.queues.declared",
    "current": "actorflow.tasks.current",
    "task": "actorflow.tasks.task",
    "RunEvent": "actorflow.workflows.run",
    "StepInfo": "actorflow.workflows.run",
    "as_completed": "actorflow.workflows.calls",
    "branch": "actorflow.workflows.calls",
    "continue_as_new": "actorflow.workflows.calls",
    "patched": "actorflow.workflows.calls",
    "expose": "actorflow.workflows.calls",
    "gather": "actorflow.workflows.calls",
    "now": "actorflow.workflows.calls",
    "random": "actorflow.workflows.calls",
    "signal": "actorflow.workflows.calls",
    "sleep": "actorflow.workflows.calls",
    "uuid": "actorflow.workflows.calls",
    "wait": "actorflow.workflows.calls",
    "workflow": "actorflow.workflows.workflow",
    "Dag": "actorflow.workflows.dag.definition",
    "Node": "actorflow.workflows.dag.node",
    "Results": "actorflow.workflows.dag.node",
    "Run": "actorflow.workflows.run",
    "Chart": "actorflow.machine.definition.chart",
    "History": "actorflow.machine.rules",
    "Interpreter": "actorflow.machine.running.interpreter",
    "State": "actorflow.machine.rules",
    "StateMachine": "actorflow.machine.state_machine",
}


def __getattr__(name: str) -> Any:
    """Return a name of a family that this process has not used yet."""
    if name not in LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        if not name.startswith("_") and hasattr(import_module("pykka"), name):
            msg += "; pykka has it: import pykka for that, and derive actors from actorflow.Actor"
        raise AttributeError(msg, name=name, obj=sys.modules[__name__])  # so that Python says what was meant
    value = globals()[name] = getattr(import_module(LATER[name]), name)
    return value


def __dir__() -> list[str]:
    """List the names that are imported at first use, too."""
    return sorted({*globals(), *__all__})
