"""Offer: the word of a claimer that a worker is free, so that the next `enqueue` here claims a job for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from actorflow.core.refs.timers import Timer
    from actorflow.queues.node.claimer import Claimer

ANSWER_SECONDS: Final = 0.25  # that the taker of an offer has for its transaction, before it is revoked


class Offer:
    """A free worker, offered by the claimer: the next `enqueue` in this process may claim a job for it at once.

    Attributes:
        token: of this incarnation's offers: the job that somebody claims by another is given back.
        is_out: it is offered; or somebody has taken it, and answers in a moment.
        is_missed: somebody has it while the claimer was to take jobs itself: nothing is to overtake that job.
    """

    def __init__(self, claimer: Claimer) -> None:
        self.token = object()
        self.is_out = self.is_missed = False
        self._claimer = claimer
        self._tokens = claimer.local.offers
        self._timer: Timer | None = None  # until it is revoked
        self._tokens.clear()

    def make(self) -> None:
        """Offer a free worker without work, if there is one."""
        claimer = self._claimer
        if claimer.free and not (self.is_out or claimer.draining or claimer.shortage.lasts):
            self.is_out = True
            self._tokens.append(self.token)

    def withdraw(self) -> bool:
        """Have nobody else claim; False if somebody does just now: it is still out, and answered in a moment."""
        if self._tokens:
            with contextlib.suppress(IndexError):  # a caller of enqueue was faster
                self._tokens.pop()
                self.is_out = False
        return not self.is_out

    def withdraw_to_take(self) -> bool:
        """Withdraw the offer, as the claimer is to take jobs itself; False if it is to wait for an answer."""
        self.is_missed = not self.withdraw()
        if self.is_missed and self._timer is None:
            self._timer = self._claimer.ctx.after(ANSWER_SECONDS, self._claimer.revoke)
        return not self.is_missed

    def answered(self, token: object) -> bool:
        """Note the answer to an offer; False if it is none of this incarnation, or was revoked."""
        is_ours = token is self.token
        if is_ours:
            self.is_out = False
        if self._timer is not None and not self.is_out:
            self._timer.cancel()
            self._timer = None
        return is_ours

    def revoke(self) -> bool:
        """Take the offer back if nobody has answered; return whether it was out: a late job is given back."""
        self._timer = None
        if self.withdraw():
            return False
        self.token = object()
        self.is_out = self.is_missed = False
        return True
