"""Resetting: changes of consumers from outside: events that are tried again, replays, and the end of a consumer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from actorflow.durable.rows import ledger
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import Letter
from actorflow.errors import DefinitionError
from actorflow.events.log.member import LookAgain
from actorflow.events.log.offsets import Offsets, ends_before, offsets_of

if TYPE_CHECKING:
    from actorflow.durable.node.runtime import DurableRuntime
    from actorflow.events.log.consumers import Consumer
    from actorflow.store.store import Store
    from actorflow.store.transaction import Transaction

LIMIT = 1000  # bytes of a message of our own


def tell(
    store: Store,
    runtime: Callable[[], DurableRuntime] | None,
    work: Callable[[Transaction], tuple[int, Sequence[str]]],
) -> int:
    """Change rows of durable services, and have each of them look, wherever it is; return how many rows there were.

    Args:
        store: to write to.
        runtime: the durable actors of this process, if it has a system.
        work: writes, and returns the number and the names of the services.
    """
    here = runtime() if runtime is not None else None
    context = here if here is not None else ledger.LedgerContext(store.now)
    letters: list[Letter] = []

    def write(transaction: Transaction) -> int:
        letters.clear()
        count, actors = work(transaction)
        letters.extend(Letter(actor, pack(LookAgain(), LIMIT)) for actor in actors)
        for letter in letters:
            ledger.put(transaction, context, letter)
        return count

    count = store.write(write)
    if here is not None:
        for letter in letters:
            here.announce(letter)
    return count


def replay(store: Store, runtime: Callable[[], DurableRuntime] | None, consumer: Consumer, start: Any) -> None:
    """Have a consumer handle the log again, from a place on, with no state."""

    def work(transaction: Transaction) -> tuple[int, Sequence[str]]:
        row = transaction.one("events.partitions")
        partitions = int(row[0]) if row is not None else 0
        for actor in sorted(consumer.actors):
            reset(transaction, store.dialect, actor, consumer.parts_of(actor, partitions), start)
        ledger.count_release(transaction)
        return 1, consumer.actors

    tell(store, runtime, work)


def reset(transaction: Transaction, dialect: str, actor: str, parts: list[int], start: Any) -> None:
    """Take the state of one member away, and put it back to a place in the log.

    The handler that runs just now is refused when it commits, by the epoch. All that was handled is handled quietly;
    the events that were set aside have not been.
    """
    transaction.one("actors.lock", {"name": actor})
    row = transaction.one("events.offsets", {"name": actor})
    if row is None or row[0] is None:
        return  # it has not begun
    old = Offsets.read(row[0])
    lines = {place: max(at, old.quiet.get(place, 0)) for place, at in old.at.items()}
    at = ends_before(transaction, dialect, parts, start)
    offsets = offsets_of(parts, at)
    offsets.quiet = {place: line for place, line in lines.items() if line > offsets.at.get(place, 0)}
    transaction.run("events.keep_aloud", {"consumer": actor})
    transaction.run("events.drop_aside", {"consumer": actor})
    transaction.run("actors.delete_timers", {"name": actor})
    transaction.run("events.reset", {"name": actor, "log": offsets.text()})


def forget(store: Store, consumer: Consumer) -> None:
    """Remove a consumer and its members.

    Raises:
        DefinitionError: a process that lives has it.
    """
    members = store.members
    members.find_dead()

    def work(transaction: Transaction) -> None:
        names = json.dumps(sorted(consumer.actors))
        owners = [row[1] for row in transaction.all("events.members", {"names": names})]
        owners += [row[0] for row in transaction.all("events.nodes", {"consumer": consumer.name})]
        for owner in owners:
            if owner is not None and members.is_living(transaction.one("nodes.get", {"id": owner})):
                msg = f"consumer {consumer.name!r} is in a living process (node {owner}): stop it there, then forget it"
                raise DefinitionError(msg)
        for actor in sorted(consumer.actors):
            values = {"name": actor}
            for part in ("marks", "timers", "actor"):
                transaction.run(f"actors.delete_{part}", values)
            transaction.run("events.drop_all_aside", {"consumer": actor})
        transaction.run("events.drop_consumer", {"name": consumer.name})
        for owner in owners:
            transaction.run("events.part", {"consumer": consumer.name, "node": owner or ""})

    store.write(work)
