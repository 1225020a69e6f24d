"""Failure: the receiver of a handler's error, which is the caller or the supervisor.

The caller of an ask or call gets the error and the actor lives; in a tell, cast, timer or event the error is a crash
and goes to the supervisor; `raise af.Crash from error` does both. Runs as user code: `on_failure` and `on_stop` are the
user's.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pykka

from actorflow.core.futures.unobserved import fail
from actorflow.core.futures.wait_graph import dead_before
from actorflow.core.log import logger
from actorflow.core.messages.execution import Abandoned
from actorflow.core.messages.messages import Ended, Start, is_life_cycle
from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.cell import ENDING
from actorflow.errors import Crash, DefinitionError, Stopping, TransitionRefused, is_a
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.futures.future import Future
    from actorflow.core.messages.execution import Execution, Item
    from actorflow.core.refs.cold_fields import ExitRequest
    from actorflow.core.refs.ref import ActorRef
    from actorflow.core.running.scheduler import Scheduler


LOOP_HINT: Final = "actorflow: handlers that use asyncio need loop=True: af.child(...).options(loop=True)"


def is_contained(error: BaseException) -> bool:
    """Say whether the error ends one actor only; any other BaseException is pykka's rule: it stops all actors."""
    if is_a(error, Exception, SystemExit, GeneratorExit, Abandoned):
        return True
    asyncio = sys.modules.get("asyncio")  # code that raises its CancelledError has imported it
    return asyncio is not None and is_a(error, asyncio.CancelledError)


def failed(scheduler: Scheduler, execution: Execution, error: BaseException, asker: Future[Any] | None) -> Ended | None:
    """Call `answer_failure` with a handler's error; if that raises, the caller is answered and the actor crashes."""
    item = execution.item
    execution.frames_over()
    try:
        return answer_failure(scheduler, execution, error, asker)
    except BaseException as unexpected:  # noqa: BLE001 - a log handler or the error's own methods raised
        logger.critical("The failure of a handler could not be processed", exc_info=unexpected)
        if execution.is_abandoned:
            return None
        if asker is not None:
            asker._settle(None, contained(item[0], error))
        return Ended(error, item)


def answer_failure(
    scheduler: Scheduler, execution: Execution, error: BaseException, asker: Future[Any] | None
) -> Ended | None:
    """Answer the caller, log, run `on_failure`; returns Ended if the incarnation is over.

    `asker` is the future that came with the message: `stash` and `reply_later` take it out of the item, but the error
    still belongs to it.
    """
    item = execution.item
    ref, message, future = item[0], item[1], item[2]
    if future is None and asker is not None and not asker._done:
        future = asker
        take_back(ref, asker)
    if execution.is_abandoned:  # its callers were answered, its supervisor knows
        logger.info("An abandoned handler ended with %s", text_of(error))
        return None
    no_loop = is_a(error, RuntimeError) and "no running event loop" in text_of(error, render=str)
    if no_loop and LOOP_HINT not in getattr(error, "__notes__", ()):
        error.add_note(LOOP_HINT)
    if is_a(error, KeyboardInterrupt):
        scheduler.events.interrupted()
    if is_life_cycle(message):
        if type(message) is Start and told_to_stop(ref, error) is not None:
            logger.info("%s was stopped while it started", ref)  # the one who spawns it gets the error
        else:
            log_crash(ref, error)
        if future is not None:
            future._settle(None, contained(ref, error))
        return None
    request = told_to_stop(ref, error)
    if request is not None:
        if future is not None:
            future._settle(None, dead_before(ref, request.cause))
        return None
    if is_a(error, Exception) and not is_a(error, Crash) and future is not None:
        logger.info("Exception returned from %s to caller:", ref, exc_info=error)
        execution.item = (ref, message, None, item[3])  # nobody here holds the future on, so it can be missed
        fail(ref, message, future, item[3], error)
        return None
    if future is None and is_a(error, TransitionRefused) and error.refused_by == id(ref._actor):
        scheduler.events.dead_letter(ref, message, item[3], error)  # no crash: the machine is as it was
        return None
    cause = error.__cause__ if is_a(error, Crash) and error.__cause__ is not None else error
    if future is not None:
        future._settle(None, contained(ref, cause))
    if is_a(error, KeyboardInterrupt):
        return None
    if is_contained(error):
        return crashed(ref, item, cause)
    return stop_all(ref, error, item)


def told_to_stop(ref: ActorRef[Any], error: BaseException) -> ExitRequest | None:
    """Return the request that woke a handler with this error; None if it failed by itself."""
    return ref._cold.exit if is_a(error, Stopping) and ref._cold is not None else None


def take_back(ref: ActorRef[Any] | None, asker: Future[Any]) -> None:
    """Take an ask whose handler failed after `stash()` off the stash: its asker has the error."""
    if ref is not None and ref._cold is not None and ref._cold.stash and ref._cold.stash[-1][2] is asker:
        ref._cold.stash.pop()
        ref._count_stashed(-1)


def contained(ref: ActorRef[Any], error: BaseException) -> BaseException:
    """Wrap an error that would end the caller's thread too."""
    if is_a(error, Exception):
        return error
    crash = Crash(f"{ref.path} crashed with {text_of(error)}")
    crash.__cause__ = error
    return crash


def log_crash(ref: ActorRef[Any], error: BaseException) -> None:
    """Log an error that no caller gets, in pykka's words."""
    logger.error("Unhandled exception in %s:", ref, exc_info=error)


def crashed(ref: ActorRef[Any], item: Item | None, cause: BaseException) -> Ended:
    """Log the crash and run `on_failure`; without a restart to come the actor counts as dead from here on."""
    log_crash(ref, cause)
    if not ref._parent.will_restart(ref, cause):
        retire(ref)
    actor: Any = ref._actor
    run_hook_now(ref, lambda: actor.on_failure(type(cause), cause, cause.__traceback__))
    return Ended(cause, item)


def retire(ref: ActorRef[Any]) -> None:
    """Refuse sends from here on, and take the actor out of pykka's registry."""
    ref._state = ENDING
    if REFS.by_uid.pop(ref.uid, None) is not None and logger.isEnabledFor(logging.DEBUG):
        logger.debug("Unregistered %s", ref)


def run_last(ref: ActorRef[Any]) -> None:
    """End the actor's life with `on_stop`, at once; an error is logged and the end goes on."""
    retire(ref)
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("Stopped %s", ref)
    actor: Any = ref._actor
    if ref._traits.has_on_stop:
        run_hook_now(ref, actor.on_stop)


def run_hook_now(ref: ActorRef[Any], hook: Callable[[], Any]) -> None:
    """Run a last hook of the user; an error of it, of any kind, is logged, and the end goes on."""
    try:
        result = hook()
        if inspect.iscoroutine(result):
            result.close()
            msg = "this hook cannot be async here: the actor crashed"
            raise DefinitionError(msg)
    except BaseException as error:  # noqa: BLE001 - the actor ends in any case
        log_crash(ref, error)
        if is_a(error, KeyboardInterrupt):
            ref._scheduler.events.interrupted()


def stop_all(ref: ActorRef[Any], error: BaseException, item: Item) -> Ended:
    """Stop all actors of the process: pykka's rule for a BaseException that is not contained."""
    logger.debug("%s in %s. Stopping all actors.", text_of(error), ref)
    run_last(ref)
    pykka.ActorRegistry.stop_all(block=False)  # waiting for them here could close a cycle
    return Ended(error, item, final=True, last_done=True)
