"""StoredActors: the durable actors in a store: listed, looked into, deleted.

It works on a store that no system runs on, too: nothing in a row is decoded into an object here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.durable.node.dead_letters import name_of, number_of, sender_of, shown_message
from actorflow.durable.rows import ledger
from actorflow.durable.rows.records import Letter
from actorflow.errors import ActorDeadError, DefinitionError
from actorflow.store.error_json import write_error
from actorflow.store.transaction import NEWEST

if TYPE_CHECKING:
    from actorflow.core.refs.ref import ActorRef
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.store.store import Store
    from actorflow.store.transaction import Row, Transaction

PART: Final = 500  # messages that one transaction removes


@dataclass(frozen=True, slots=True)
class StoredActor:
    """The rows of a store under one name.

    Attributes:
        name: of the actor, below its system.
        node: id of the process that has the actor; None if none has, or the last one that had it has died.
        state: bytes of its state; None if it has none, as of a name that was only sent to.
        messages: how many wait.
        timers: how many it has.
    """

    name: str
    node: str | None
    state: int | None
    messages: int
    timers: int


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message that waits for a durable actor.

    Attributes:
        id: of the message; larger ones came later.
        actor: name of the receiver, below its system.
        message: its text: "deposit(5)", or the message as JSON; cut after 200 characters.
        sender: name or path of the actor that sent it; None if it came from outside of actors.
        attempt: tries that failed.
        crashes: processes that died on it.
        promised: it was handled, and its answer is still to come.
    """

    id: str
    actor: str
    message: str
    sender: str | None
    attempt: int
    crashes: int
    promised: bool

    @classmethod
    def of(cls, row: Row) -> StoredMessage:
        """Make one of a row."""
        id_, actor, stage, sender, body, attempt, crashes = row
        return cls(str(id_), actor, shown_message(body), sender_of(sender), attempt, crashes, stage == 1)


class StoredActors:
    """The durable actors in a store: `system.stored_actors`.

    An actor is named by its ref, or by its name below the system, such as "ann" or "sales/ann".

    >>> import actorflow as af
    >>> with af.ActorSystem("bank") as system:
    ...     system.stored_actors.list()
    []
    """

    def __init__(self, store: Store, runtime: Callable[[], DurableRuntime | None] = lambda: None) -> None:
        self._store = store
        self._runtime = runtime

    def list(self, *, alone: bool = False, limit: int = 100, after: str = "") -> Sequence[StoredActor]:
        """Return the durable actors in the store, in the order of names.

        Args:
            alone: only actors that no process has: their messages wait until one spawns the actor.
            limit: so many.
            after: a name; only those behind it, such as behind the last one of the page before.
        """
        dead = json.dumps([*self._store.dead()])  # their rows stay until a process that lives takes over
        values = {"after": after, "limit": limit, "alone": int(alone), "dead": dead}
        rows = self._store.read(lambda transaction: transaction.all("actors.stored", values))
        return [StoredActor(*row) for row in rows]

    def mail(
        self, actor: ActorRef[Any] | str | None = None, *, limit: int = 100, before: str | None = None
    ) -> Sequence[StoredMessage]:
        """Return messages that wait, the newest first: of one actor or of all.

        Args:
            actor: whose.
            limit: so many.
            before: an id; only older ones.
        """
        values = {"receiver": name_of(actor), "limit": limit, "before": NEWEST if before is None else number_of(before)}
        rows = self._store.read(lambda transaction: transaction.all("actors.mail", values))
        return [StoredMessage.of(row) for row in rows]

    def drop_mail(self, *ids: str) -> int:
        """Remove messages for good; their callers get `ActorDeadError`. Returns how many there were.

        Those that their actor is handling just now are handled all the same, if its process has read them.
        """
        numbers = [number_of(id_) for id_ in ids]
        return sum(self._drop(numbers[place : place + PART]) for place in range(0, len(ids), PART))

    def drop_mail_of(self, actor: ActorRef[Any] | str) -> int:
        """Remove all messages that wait for an actor, for good; return how many."""
        name, count = name_of(actor), 0
        while True:
            values = {"receiver": name, "limit": PART, "before": NEWEST}
            ids = [row[0] for row in self._store.read(lambda tx, values=values: tx.all("actors.mail", values))]  # type: ignore[misc]
            if not ids:
                return count
            count += self._drop(ids)

    def delete(self, actor: ActorRef[Any] | str) -> bool:
        """Delete an actor: its state, its timers, its mail, and the ids of messages from elsewhere.

        Its dead letters stay, for as long as others do. Returns False if there is nothing of that name.

        Raises:
            DefinitionError: a process has the actor: stop it there first.
        """
        name = name_of(actor)
        assert name is not None
        members = self._store.members
        members.find_dead()
        found = self._store.write(partial(self._delete, name=name))
        dropped = self.drop_mail_of(name)
        return found or dropped > 0

    def _delete(self, transaction: Transaction, name: str) -> bool:
        row = transaction.one("actors.lock", {"name": name})
        owner = row[1] if row is not None else None
        if owner is not None and self._store.members.is_living(transaction.one("nodes.get", {"id": owner})):
            msg = f"{name} belongs to a living process (node {owner}): stop it there, then delete it"
            raise DefinitionError(msg)
        values = {"name": name}
        gone = [transaction.run(f"actors.delete_{part}", values) for part in ("marks", "timers", "actor")]
        ledger.count_release(transaction)
        return any(gone)

    def _drop(self, ids: Sequence[int]) -> int:
        error = write_error(ActorDeadError("the message was removed before it was handled"))
        runtime = self._runtime()
        here = self._store.node.id if runtime is not None else ""
        context = runtime if runtime is not None else ledger.LedgerContext(self._store.now)

        letters: list[Letter] = []

        def work(transaction: Transaction) -> Sequence[int]:
            letters.clear()
            rows = transaction.all("actors.take_mail", {"ids": json.dumps([*ids])})
            for number, asker in rows:
                letters.extend(ledger.put_answer(transaction, context, here, number, asker, None, error))
            return [row[0] for row in rows]

        gone = self._store.write(work)
        if runtime is not None:
            for number in gone:
                runtime.asks.answer(number, None, error, None)
            for letter in letters:
                runtime.announce(letter)
        return len(gone)
