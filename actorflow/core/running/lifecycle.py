"""Life cycle: start, stop, exit and abandonment of actors.

The `run_` functions are messages that run in the actor, as user code; `construct` runs where an actor is spawned. All
else runs on the holder of the baton without a token, so it neither waits nor runs user code: steps that must wait for
an actor are coroutines (see `actorflow.core.running.system_task`).
"""

from __future__ import annotations

from typing import Any

from actorflow.core.actors.arguments import Constructor, check_arguments
from actorflow.core.futures.future import Future
from actorflow.core.futures.wait_graph import dead_before
from actorflow.core.log import logger
from actorflow.core.messages.execution import ABANDONED, CURRENT
from actorflow.core.messages.handlers import handles
from actorflow.core.messages.messages import CHANGED, SUSPENDED, Ended, Last, Start, Started, Stop
from actorflow.core.refs.cell import CHANGING, DEAD, ENDING, IDLE, READY
from actorflow.core.refs.cold_fields import ExitRequest, cold_of
from actorflow.core.refs.failure import retire, run_last
from actorflow.core.refs.ref import ACTOR_STOP, ActorRef
from actorflow.core.refs.termination import bury, close_incarnation, unstash
from actorflow.core.running.async_handler import AsyncHandler
from actorflow.core.running.system_task import completed, start_procedure
from actorflow.errors import is_a
from actorflow.text import text_of

# --- messages that run in the actor ----------------------------------------------------------------------------------


@handles(Start)
def run_start(ref: ActorRef[Any], _message: Start) -> Any:
    """Make the incarnation if there is none, and run its `on_start`."""
    if ref._actor is None:
        assert ref._cold is not None
        assert ref._cold.recipe is not None
        args, kwargs = ref._cold.recipe
        construct(ref, args, kwargs)
        if ref._cold.listeners:
            made: Any = ref._actor
            made._listen_again()
    return ref._run_on_start()


def construct(ref: ActorRef[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Make an actor that knows its ref before its `__init__` runs.

    Raises:
        DefinitionError: the constructor does not take these arguments.
    """
    actor_class = ref._incarnation_class
    args, kwargs = ref._arguments(args, kwargs)
    try:
        actor: Any = actor_class.__new__(actor_class, *args, **kwargs)
        actor._actor_ref = ref
        ref._actor = actor
        if args and type(args[0]) is Constructor and not ref._is_remote:  # else it is for the actor there
            getattr(actor, f"_{args[0].name}")(*args[1:], **kwargs)
        else:
            actor.__init__(*args, **kwargs)
    except BaseException as error:
        ref._actor = None
        if is_a(error, TypeError):
            check_arguments(actor_class, args, kwargs)
        raise


@handles(Stop)
def run_stop(ref: ActorRef[Any], message: Stop) -> Ended | None:
    """End normally. Without children `on_stop` can run at once; else they stop first."""
    if message.actor is not None and message.actor is not ref._actor:
        return None
    final = message.final or not ref._parent.will_restart(ref, None)
    at_once = final and not ref._children and not ref._traits.has_async_on_stop
    if at_once:
        run_last(ref)
    execution = CURRENT.get()
    item = execution.item if execution is not None else None
    return Ended(None, item, final=final, last_done=at_once)


@handles(ACTOR_STOP)
def run_actor_stop(ref: ActorRef[Any], _message: Any) -> Ended | None:
    """End normally: pykka's own stop message."""
    return run_stop(ref, Stop(final=False))


@handles(Last)
def run_last_message(ref: ActorRef[Any], _message: Last) -> Any:
    """Run `on_stop` after the children are gone; it may be async."""
    exit_ = ref._cold.exit if ref._cold is not None else None
    if not ((exit_ is not None and exit_.restart) or (exit_ is None and ref._parent.will_restart(ref, None))):
        retire(ref)
        logger.debug("Stopped %s", ref)
    actor: Any = ref._actor  # none any more, if it was abandoned while its children ended
    return actor.on_stop() if actor is not None and ref._traits.has_on_stop else None


# --- start -----------------------------------------------------------------------------------------------------------


def begin_start(ref: ActorRef[Any], started: Future[Any]) -> None:
    """Run `on_start`, and open the mailbox; `started` gets the error if it cannot start."""
    start_procedure(ref._scheduler, _start(ref), started)


async def _start(ref: ActorRef[Any]) -> None:
    failure = await _run_start(ref)
    if failure is not None:
        raise failure  # here: the context of a copy is not to be the original
    if ref._state != DEAD:
        join = ref._traits.actor_class._joins
        if join is not None:
            join(ref)
        publish_started(ref)
        release(ref)


async def _run_start(ref: ActorRef[Any]) -> BaseException | None:
    try:
        await completed(ref._scheduler.run(ref, Start()))
    except Exception as error:  # noqa: BLE001 - the one who starts it gets it
        await stop_children(ref)
        close_incarnation(ref, error)
        seen = ref._across(error, ref._parent.owner)
        bury(ref, seen)
        return seen
    return None


def publish_started(ref: ActorRef[Any]) -> None:
    """Tell the listeners that the actor lives."""
    events = ref._scheduler.events
    if events.listeners:
        events.publish(Started(ref, ref._scheduler.clock.time()))


# --- after a handler -------------------------------------------------------------------------------------------------


def finished(ref: ActorRef[Any], outcome: Any) -> None:
    """Act on the outcome of a handler."""
    if ref._state == DEAD:
        return
    if outcome is None or outcome is CHANGED:
        release(ref)
    elif outcome is not SUSPENDED:
        ended(ref, outcome)


def release(ref: ActorRef[Any]) -> None:
    """Let the actor handle its next message, or begin the exit that a supervisor asked for."""
    cold = ref._cold
    if cold is not None and cold.unstash:
        cold.unstash = False
        unstash(ref)
    if cold is not None and cold.exit is not None:
        begin_exit(ref)
    elif ref._queue:
        ref._state = READY
        ref._scheduler.ready.append(ref)
    else:
        ref._scheduler.free_queue(ref)
        ref._state = IDLE


def ended(ref: ActorRef[Any], outcome: Ended) -> None:
    """The incarnation is over, by a stop or a crash: its children stop, then its parent decides."""
    if outcome.last_done and outcome.error is None and ref._cold is None:  # the common end, without detours
        bury(ref, None)
        answer_stop(outcome)
        return
    if ref._state < ENDING:
        ref._state = CHANGING
    if ref._children or not (outcome.last_done or outcome.error is not None):
        start_procedure(ref._scheduler, _wind_down(ref, outcome))
    else:
        close_incarnation(ref, outcome.error)
        hand_over(ref, outcome)


async def _wind_down(ref: ActorRef[Any], outcome: Ended) -> None:
    actor = ref._actor
    await stop_children(ref, cause=outcome.error)
    if outcome.error is None and not outcome.last_done and ref._actor is actor:
        await run_hook(ref)
    if ref._actor is actor:  # else it was abandoned meanwhile
        close_incarnation(ref, outcome.error)
        hand_over(ref, outcome)
    elif outcome.error is None:
        answer_stop(outcome)


async def stop_children(
    ref: ActorRef[Any], *, seconds: float | None = None, cause: BaseException | None = None
) -> None:
    """Stop all children, each within its shutdown time or within `seconds`; the next incarnation starts with none."""
    if ref._children is not None:
        await ref._children.stop_all(seconds=seconds, cause=cause)
        ref._children = None


async def run_hook(ref: ActorRef[Any]) -> None:
    """Run `on_stop`; its failure is logged where it happens, and children that it made end at once."""
    try:
        await completed(ref._scheduler.run(ref, Last()))
    except Exception as error:  # noqa: BLE001 - logged in failure.failed
        logger.debug("on_stop failed in %s: %s", ref, text_of(error))
    await stop_children(ref)


def hand_over(ref: ActorRef[Any], outcome: Ended) -> None:
    """Let a pending exit, or else the parent, decide the fate of the actor."""
    exit_ = ref._cold.exit if ref._cold is not None else None
    error = outcome.error
    if error is not None:
        if outcome.item is not None and outcome.item[2] is None:
            _, message, _, sender = outcome.item[:4]
            ref._scheduler.events.dead_letter(ref, message, sender, error)
        ref._parent.crashed(ref, error)
        error = ref._across(error, ref._parent.owner)
    if exit_ is not None:
        exit_.restart = exit_.restart and not outcome.final
        finish_exit(ref, exit_, error)
    else:
        ref._parent.child_ended(ref, error, final=outcome.final)
    if outcome.error is None:
        answer_stop(outcome)


def answer_stop(outcome: Ended) -> None:
    """Tell the caller of `stop()` that the actor has ended."""
    if outcome.item is not None and outcome.item[2] is not None:
        outcome.item[2]._settle(value=True, error=None)


# --- exit: a supervisor ends a child ---------------------------------------------------------------------------------


def request_exit(ref: ActorRef[Any], *, restart: bool, cause: BaseException | None = None) -> Future[Any]:
    """Have the incarnation end after its current handler; a waiting handler is woken with Stopping."""
    done: Future[Any] = Future(ref)
    if ref._state == DEAD:
        done._settle(None, None)
        return done
    cold = cold_of(ref)
    if cold.exit is not None:
        cold.exit.restart = cold.exit.restart and restart
        return cold.exit.done
    if cause is not None:
        cause = ref._across(cause, ref._parent.owner)
    cold.exit = ExitRequest(done, restart=restart, cause=cause)
    if ref._state in (IDLE, READY):
        ref._scheduler.withdraw(ref)
        begin_exit(ref)
    elif ref._waiting is not None:
        ref._waiting.interrupt()
    return done


def begin_exit(ref: ActorRef[Any]) -> None:
    """Stop the children, run `on_stop`, and answer the exit's request."""
    ref._state = CHANGING
    exit_ = cold_of(ref).exit
    assert exit_ is not None
    exit_.begun = True
    if ref._children or ref._traits.has_on_stop:
        start_procedure(ref._scheduler, _exit(ref, exit_))
    else:
        close_incarnation(ref, None)
        finish_exit(ref, exit_, None)


async def _exit(ref: ActorRef[Any], exit_: ExitRequest) -> None:
    actor = ref._actor
    await stop_children(ref, cause=exit_.cause)
    if ref._actor is actor:
        await run_hook(ref)
    if ref._actor is actor:  # else it was abandoned meanwhile
        close_incarnation(ref, None)
        finish_exit(ref, exit_, None)


def finish_exit(ref: ActorRef[Any], exit_: ExitRequest, error: BaseException | None) -> None:
    """Bury the actor whose incarnation is gone, or leave it to its supervisor for a restart."""
    cold_of(ref).exit = None
    if exit_.restart:
        ref._parent.incarnation_over(ref)
    else:
        bury(ref, error, exit_.cause)
    exit_.done._settle(None, None)


def abandon(ref: ActorRef[Any]) -> None:
    """Give up on a handler that did not return in time: answer its caller, cut it off, and go on without it."""
    scheduler = ref._scheduler
    if ref._state == DEAD or ref._cold is None or ref._cold.exit is None:
        return
    exit_ = ref._cold.exit
    for execution in scheduler.executions(ref):
        item = execution.item
        message, future = item[1], item[2]
        execution.item = ABANDONED
        execution.left = item
        scheduler.abandoned_items[id(item)] = item
        scheduler.cut_off(execution)
        if future is not None and type(message) is Stop:
            future._settle(value=True, error=None)
        elif future is not None:
            future._settle(None, dead_before(ref, exit_.cause))
    waiting, ref._waiting = ref._waiting, None
    if isinstance(waiting, AsyncHandler):
        waiting.interrupt()
    scheduler.abandoned += 1
    logger.error("%s did not end in time; its handler is abandoned (%d so far)", ref, scheduler.abandoned)
    close_incarnation(ref, None)
    finish_exit(ref, exit_, None)
