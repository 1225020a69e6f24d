"""Shares: the members of a consumer that this node takes, so that all nodes that have it get about as many each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.core.messages.handlers import handles

if TYPE_CHECKING:
    from actorflow.events.log.consumers import Consumer
    from actorflow.events.log.log_node import LogNode
    from actorflow.events.log.member import MemberMailbox

LOOK_SECONDS: Final = 1.0  # between two looks at who has a consumer
GRACE_SECONDS: Final = 5.0  # after which a member that was handed over, and that nobody took, is taken back


class HandOver:
    """Has a member leave its actor to another node, and stand by."""

    def __repr__(self) -> str:
        return "<Hand over>"


class Shares:
    """The shares of one node in the consumers that it has."""

    def __init__(self, log: LogNode) -> None:
        self.log = log
        self._nodes: dict[str, tuple[float, int]] = {}  # of each consumer: when that was looked at, and how many
        self._looked = -math.inf

    def share_of(self, consumer: Consumer, *, anew: bool = False) -> int:
        """Return how many members of a consumer this node is to have at most; `anew`: by a look just now."""
        now = self.log.runtime.scheduler.clock.monotonic()
        looked, nodes = self._nodes.get(consumer.name, (-math.inf, 1))
        if anew or now - looked >= LOOK_SECONDS:
            nodes = max(1, self._count(consumer))
            self._nodes[consumer.name] = (now, nodes)
        return math.ceil(consumer.members / nodes)

    def _count(self, consumer: Consumer) -> int:
        """Return how many living nodes have a consumer."""
        store = self.log.store

        def read(transaction: Any) -> int:
            names = [row[0] for row in transaction.all("events.nodes", {"consumer": consumer.name})]
            is_living = store.members.is_living
            return sum(is_living(transaction.one("nodes.get", {"id": name})) for name in names)

        return store.read(read)

    def owned(self, consumer: Consumer) -> list[MemberMailbox]:
        """Return the members of a consumer that are this node's."""
        members = self.log.members
        return [member for name in consumer.actors if (member := members.get(name)) is not None and member.is_owner]

    def look(self) -> None:
        """Have members handed over, if another node has come; called often, and soon done."""
        now = self.log.runtime.scheduler.clock.monotonic()
        shared = [consumer for consumer in self.log.consumers.values() if consumer.members > 1]
        if shared and now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self.log.do("a look at shares", lambda: self._balance(shared))

    def _balance(self, consumers: list[Consumer]) -> None:
        for consumer in consumers:
            share, owned = self.share_of(consumer), self.owned(consumer)
            for member in owned[share:]:
                member.ref._scheduler.post(member.ref, HandOver(), None)


@handles(HandOver, silent=True)
def run_hand_over(ref: Any, _message: HandOver) -> None:
    """Leave a member to another node; what is under way is committed, as this is a message like others."""
    box: MemberMailbox = ref._box
    if not box.is_owner or len(box.log.shares.owned(box.consumer)) <= box.log.shares.share_of(box.consumer):
        return
    logger.info("%s is handed over to another node", ref)
    box.left = ref._scheduler.clock.monotonic()
    box.is_owner = False
    box.timers.disarm_all()
    box.runtime.ownership.hand_over(box)
