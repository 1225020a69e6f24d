"""Watchers: functions that are called when others have committed."""

from __future__ import annotations

from collections.abc import Callable

from actorflow.core.log import logger


class Watchers:
    """The functions that one store calls after commits of others; an error of one is logged and stops no other."""

    def __init__(self) -> None:
        self._notices: dict[object, Callable[[], object]] = {}

    def __bool__(self) -> bool:
        return bool(self._notices)

    def add(self, notice: Callable[[], object]) -> Callable[[], None]:
        """Have a function called at each notice; return a function to end that."""
        key = object()
        self._notices[key] = notice

        def end() -> None:
            self._notices.pop(key, None)

        return end

    def notify(self) -> None:
        """Call all watchers."""
        for notice in list(self._notices.values()):
            try:
                notice()
            except Exception:  # noqa: BLE001 - it is not the store's
                logger.exception("A watcher of the store failed: %r", notice)
