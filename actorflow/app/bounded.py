"""Bounded: calls that may hang, made with a time limit at the end of a system."""

from __future__ import annotations

import threading
from collections.abc import Callable

from actorflow.core.log import logger


def within(seconds: float, act: Callable[[], None], failure: str) -> None:
    """Make a call that may hang, but return in so many seconds: the end of a system is bounded in any case.

    A call that takes longer is left alone, in a thread that does not keep the program alive.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked for it
            errors.append(error)

    thread = threading.Thread(target=run, name="actorflow-close", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter starts no more threads: it ends
        act()
        return
    thread.join(seconds)
    if thread.is_alive():
        logger.error("%s within %.3g s; another process may hold it, and will take over the rest", failure, seconds)
    elif errors:
        raise errors[0]
