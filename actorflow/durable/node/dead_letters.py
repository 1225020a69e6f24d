"""Dead letters of durable actors: messages that no try could handle: listed, sent again, removed.

It works on a store that no system runs on, too: nothing in a row is decoded into an object here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.refs.ref import ActorRef
from actorflow.durable.ref import DurableRef
from actorflow.durable.rows import ledger
from actorflow.durable.rows.records import Letter
from actorflow.errors import DefinitionError
from actorflow.store.error_json import read_error
from actorflow.store.transaction import NEWEST
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.store.store import Store
    from actorflow.store.transaction import Row, Transaction

BATCH: Final = 500  # messages that one transaction moves or removes
TEXT: Final = 200  # characters of a message that are shown; its row has all of it


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message of a durable actor that no try could handle, or on which too many processes have died.

    Attributes:
        id: of the dead letter.
        actor: name of the actor, below its system.
        message: its text: "deposit(5)", or the message as JSON; cut after 200 characters.
        sender: name or path of the actor that sent it; None if it came from outside of actors, or from a timer.
        cause: the last error.
        attempt: tries that failed.
        crashes: processes that died on it.
        time: when it was given up, in seconds since the epoch.
    """

    id: str
    actor: str
    message: str
    sender: str | None
    cause: str
    attempt: int
    crashes: int
    time: float

    @classmethod
    def of(cls, row: Row) -> DeadMessage:
        """Make one of a row."""
        id_, actor, sender, body, error, attempt, crashes, time = row
        return cls(
            str(id_), actor, shown_message(body), sender_of(sender), read_error(error)[0], attempt, crashes, time
        )


class DeadMail:
    """The dead letters of durable actors in a store: `system.dead_mail`.

    They stay for 30 days. An actor is named by its ref, or by its name below the system, such as "ann" or "sales/ann".

    >>> import actorflow as af
    >>> with af.ActorSystem("bank") as system:
    ...     system.dead_mail.messages()
    []
    """

    def __init__(self, store: Store, runtime: Callable[[], DurableRuntime] | None = None) -> None:
        self._store = store
        self._runtime = runtime

    def messages(
        self, actor: ActorRef[Any] | str | None = None, *, limit: int = 100, before: str | None = None
    ) -> list[DeadMessage]:
        """Return dead letters, the newest first: of one actor or of all.

        Args:
            actor: whose.
            limit: so many.
            before: an id; only older ones, such as those behind the last one of the page before.
        """
        values = {"receiver": name_of(actor), "limit": limit, "before": NEWEST if before is None else number_of(before)}
        name = "actors.dead_all" if values["receiver"] is None else "actors.dead_of"
        return [DeadMessage.of(row) for row in self._store.read(lambda transaction: transaction.all(name, values))]

    def count(self, actor: ActorRef[Any] | str | None = None) -> int:
        """Return how many there are."""
        values = {"receiver": name_of(actor)}
        row = self._store.read(lambda transaction: transaction.one("actors.dead_count", values))
        return 0 if row is None else int(row[0])

    def retry(self, *ids: str) -> int:
        """Put dead letters back into the mailboxes of their actors, behind the messages there; return how many.

        They have all their tries again. The id of a message from elsewhere stays known: the retry is taken, and the
        same id is not taken a second time.
        """
        return self._retry([number_of(id_) for id_ in ids])

    def retry_all(self, actor: ActorRef[Any] | str | None = None) -> int:
        """Put all, of one actor or of all, back into their mailboxes, the oldest first; return how many."""
        return sum(self._retry(ids) for ids in self._parts(name_of(actor)))

    def purge(self, *ids: str) -> int:
        """Remove dead letters for good; return how many."""
        return self._remove([number_of(id_) for id_ in ids])

    def purge_all(self, actor: ActorRef[Any] | str | None = None) -> int:
        """Remove all dead letters, of one actor or of all, for good; return how many."""
        return sum(self._remove(ids) for ids in self._parts(name_of(actor)))

    def _parts(self, actor: str | None) -> Iterator[list[int]]:
        """Yield ids, some at a time, the oldest first; messages that become dead letters meanwhile are left out."""
        newest = self._store.read(lambda transaction: transaction.one("actors.dead_newest"))
        upto, after = (newest[0] if newest is not None else None) or 0, 0
        while True:
            values = {"receiver": actor, "after": after, "upto": upto, "limit": BATCH}
            rows = self._store.read(lambda transaction, values=values: transaction.all("actors.dead_ids", values))  # type: ignore[misc]
            if not rows:
                return
            after = rows[-1][0]
            yield [row[0] for row in rows]

    def _retry(self, ids: list[int]) -> int:
        runtime = self._runtime() if self._runtime is not None else None
        context = runtime if runtime is not None else ledger.LedgerContext(self._store.now)

        letters: list[Letter] = []

        def work(transaction: Transaction) -> None:
            rows = sorted(transaction.all("actors.take_dead", {"ids": json.dumps(ids)}))
            letters[:] = [Letter(receiver, body, sender) for _, receiver, sender, body in rows]
            for letter in letters:
                ledger.put(transaction, context, letter)

        with contextlib.nullcontext() if runtime is None else runtime.doubting(one.receiver for one in letters):
            self._store.write(work)
        if runtime is not None:
            for letter in letters:
                runtime.announce(letter)
        return len(letters)

    def _remove(self, ids: list[int]) -> int:
        return len(self._store.write(lambda transaction: transaction.all("actors.take_dead", {"ids": json.dumps(ids)})))


def number_of(id: str) -> int:
    """Return the number of the row that an id stands for.

    Raises:
        DefinitionError: it is no id of a message.
    """
    if not (id.isascii() and id.isdigit() and len(id) < len(str(NEWEST))):
        msg = f"{text_of(id)} is no id of a message: ids are those that the lists of messages show"
        raise DefinitionError(msg)
    return int(id)


def name_of(actor: ActorRef[Any] | str | None) -> str | None:
    """Return the name by which the store knows an actor.

    Raises:
        DefinitionError: it is not durable.
    """
    if isinstance(actor, DurableRef):
        return actor._key
    if isinstance(actor, ActorRef):
        msg = f"{actor} is not durable: its dead letters are events, af.DeadLetter, and are not kept"
        raise DefinitionError(msg)
    if actor is not None and actor.startswith("/"):
        return actor.split("/", 2)[-1]
    return actor


def shown_message(body: bytes) -> str:
    """Return a stored message, or its begin, as text for people."""
    try:
        kind, *parts = json.loads(body)
        if kind == "caused":  # by an event, whose ids come first
            kind, *parts = parts[2]
        if kind in ("call", "send", "proxy"):
            name, args, kwargs = parts
            given = [json.dumps(one, ensure_ascii=False) for one in args]
            given += [f"{key}={json.dumps(one, ensure_ascii=False)}" for key, one in kwargs.items()]
            text = f"{'.'.join(name) if isinstance(name, list) else name}({', '.join(given)})"
        elif kind == "answer":
            (method, failed, _), value, error = parts
            given = [error["text"] if error is not None else json.dumps(value, ensure_ascii=False)]
            text = f"{method if error is None else failed or method}({', '.join(given)})"
        else:
            text = json.dumps(parts[0] if len(parts) == 1 else parts, ensure_ascii=False)
    except (ValueError, TypeError, AttributeError):  # it is damaged, or goes on
        text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    return text if len(text) <= TEXT else f"{text[:TEXT]}..."


def sender_of(address: bytes | None) -> str | None:
    """Return the name of the actor at a stored address."""
    if address is None:
        return None
    try:
        ((tag, parts),) = json.loads(address).items()
        return str(parts[0] if tag == "$actor" else parts[4])
    except (ValueError, TypeError, AttributeError, LookupError):
        return address.decode(errors="replace") if isinstance(address, bytes) else str(address)
