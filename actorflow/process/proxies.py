"""Proxies: the support that those of a `multiprocessing.Manager` need in children. Lean: children import it first.

A child must have the key of its parent, by which the processes of a program know each other in `multiprocessing`; and
the manager forgets an object whose last proxy is gone, so one that is sent has to live until it has arrived.
"""

from __future__ import annotations

import sys

from actorflow.process.imports import when_loaded

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    from typing import Any

PROCESS = "multiprocessing.process"
MANAGERS = "multiprocessing.managers"
MODULES = sys.modules
REBUILD = b"RebuildProxy"  # in the pickle of a proxy


def authkey() -> bytes:
    """Return the key of this process."""
    from multiprocessing.process import current_process  # noqa: PLC0415 - 2 ms, and a child needs its parent's only

    return bytes(current_process().authkey)


def take_authkey(key: bytes) -> None:
    """Have this process go by the key of its parent; `multiprocessing` may be loaded later, or never."""

    def take() -> None:
        sys.modules[PROCESS].current_process().authkey = key

    when_loaded(PROCESS, take)


def keep_proxies(sent: Any, data: bytes, future: Any) -> None:
    """Keep the object that was pickled to `data` until the future is done, if there is a proxy in it.

    Call it only if MANAGERS is in MODULES: else there are no proxies, and most programs have none.
    """
    if REBUILD in data:
        future._when_done(lambda: sent)
