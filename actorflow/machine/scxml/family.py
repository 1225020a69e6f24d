"""Family: a session and those that it has invoked, whose number and data are bounded together."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from actorflow.machine.scxml.limits import MAX_DATA, STEP_BYTES, LimitExceeded, weight_of

if TYPE_CHECKING:
    from actorflow.machine.scxml.document import ScxmlChart
    from actorflow.machine.scxml.session import Session

MAX_SESSIONS: Final = 100  # alive at the same time
MAX_TEXT: Final = 2_000_000  # characters of the documents that a family invokes


class Family:
    """Counts the live objects of a session and its descendants; all of them share one.

    Data is weighed when it may have grown past the limit: a step of evaluation makes `STEP_BYTES` at most, so the steps
    since the last weighing bound the growth, and weighing costs little in the long run.

    Attributes:
        steps: of evaluation, since the last weighing.
        room: how many steps may pass until the next one.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.room = 2 * MAX_DATA // STEP_BYTES
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._charts: dict[tuple[str, str], ScxmlChart] = {}
        self._text = 0

    def __reduce__(self) -> tuple[type[Family], tuple[()]]:
        return Family, ()  # sessions of another process are counted there

    def join(self, session: Session) -> None:
        """Count one more session."""
        self._sessions.add(session)

    def leave(self, session: Session) -> None:
        """Count a session no more: it is over."""
        self._sessions.discard(session)

    def check_room(self) -> None:
        """Refuse one more session.

        Raises:
            LimitExceeded: too many are alive.
        """
        if len(self._sessions) >= MAX_SESSIONS:
            raise LimitExceeded(f"invoke: more than {MAX_SESSIONS} sessions of one document at the same time")

    def chart(self, text: str, place: str, read: Callable[[], ScxmlChart]) -> ScxmlChart:
        """Return the chart of an invoked document. Children of the same document share it.

        Raises:
            LimitExceeded: the family's documents are too long together.
        """
        chart = self._charts.get((text, place))
        if chart is None:
            if self._text + len(text) > MAX_TEXT:
                raise LimitExceeded(f"invoke: documents of more than {MAX_TEXT:,} characters together")
            self._text += len(text)
            chart = self._charts[text, place] = read()
        return chart

    def weigh(self) -> None:
        """Weigh the variables and waiting events of all sessions.

        Raises:
            LimitExceeded: they are more than `MAX_DATA` bytes; from then on each call says so.
        """
        weight = 0
        for session in list(self._sessions):
            weight += weight_of(session.held(), MAX_DATA - weight)
        if weight > MAX_DATA:
            self.room = -1
            raise LimitExceeded(f"variables and waiting events of more than {MAX_DATA // 1_000_000} MB")
        self.steps, self.room = 0, (2 * MAX_DATA - weight) // STEP_BYTES
