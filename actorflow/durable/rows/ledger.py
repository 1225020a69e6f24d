"""Ledger: the rows of durable actors, and the changes that a commit makes to them."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.durable.rows.answers import RUN, AnswerAddress, without_token
from actorflow.durable.rows.payload import pack_answer
from actorflow.durable.rows.records import Effects, Letter, Lost, MailRow, TimerRow, Twice
from actorflow.errors import MailboxFull, PayloadError
from actorflow.store.error_json import write_error
from actorflow.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.store.transaction import Transaction


KEEP_DEAD: Final = 30 * 86_400.0  # seconds; so long a dead letter stays
KEEP_ANSWER: Final = 86_400.0  # an answer that its node does not fetch
KEEP_MARK: Final = 7 * 86_400.0  # the window in which a message from elsewhere is known again
PRUNE: Final = 1000  # rows at once
ELSEWHERE: Final = -1  # in place of a capacity: of an actor that is not known here


class LedgerContext:
    """The ledger's view of a runtime: the time, and who hears of numbers.

    Attributes:
        in_a_row: rows that are put one after the other in one transaction get numbers without gaps.
    """

    in_a_row = True

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now

    def numbered(self, letter: Letter, number: int) -> None:
        """Note the number of a row that was just put; in the transaction, so in the order of the numbers."""
        letter.number = number


# --- messages --------------------------------------------------------------------------------------------------------


def put(transaction: Transaction, context: LedgerContext, letter: Letter, capacity: int | None = None) -> None:
    """Put a message into a mailbox, as one of the last statements of the commit: many nodes may write into one mailbox.

    Args:
        transaction: the transaction to write in.
        context: takes note of the message.
        letter: the message.
        capacity: messages that the mailbox holds; None: any number; ELSEWHERE: as many as its row says.

    Raises:
        MailboxFull: the mailbox is full.
    """
    transaction.last((letter.receiver,), lambda: _put(transaction, context, letter, capacity))


def put_once(
    transaction: Transaction, context: LedgerContext, letter: Letter, id: str, capacity: int | None = None
) -> None:
    """Put a message from elsewhere into a mailbox, unless one of that id was put there before.

    Raises:
        MailboxFull: it holds as many as it may; then the id is as unknown as before.
    """
    mark = {"receiver": letter.receiver, "id": id, "at": context.now()}

    def act() -> None:
        letter.is_put = False
        if transaction.run("actors.mark", mark):
            _put(transaction, context, letter, capacity)

    transaction.last((letter.receiver,), act)


def put_to_run(transaction: Transaction, context: LedgerContext, letter: Letter) -> None:
    """Put a message into the mailbox of a run, and have the run hear of it, unless it is over, or not there."""

    def act() -> None:
        name = {"name": letter.receiver.removeprefix(RUN)}
        letter.is_put = False
        if transaction.one("runs.lock_open", name) is not None:
            _put(transaction, context, letter, None)
            transaction.run("runs.hear", name)

    transaction.last((letter.receiver,), act)


def _put(transaction: Transaction, context: LedgerContext, letter: Letter, capacity: int | None) -> None:
    if capacity == ELSEWHERE:
        capacity, owner = transaction.one("actors.place", {"name": letter.receiver}) or (None, None)
        letter.is_owned = owner is not None
    if capacity is not None and count(transaction, letter.receiver, capacity) >= capacity:
        msg = f"{letter.receiver} holds its {plural(capacity, 'message')}"
        raise MailboxFull(msg)
    row = transaction.one("actors.put_one", row_of(letter))
    assert row is not None
    context.numbered(letter, row[0])
    letter.is_put = True


def row_of(letter: Letter) -> dict[str, Any]:
    """Return the columns of the row that a message is put as."""
    return {"receiver": letter.receiver, "sender": letter.sender, "asker": letter.asker, "body": letter.body}


def forget_asks(transaction: Transaction, node: str, numbers: list[int]) -> None:
    """Have nobody answer asks of this node for which nobody waits any more; their messages are handled all the same."""
    values = {"ids": json.dumps(numbers), "asker": node}
    transaction.run("actors.unask", values)
    transaction.run("actors.drop_answers", values)


def bounds(transaction: Transaction, names: list[str]) -> dict[str, tuple[int, str]]:
    """Return the capacity of bounded mailboxes, and their overflow, as their last owner has written them."""
    rows = transaction.all("actors.bounds", {"names": json.dumps(names)})
    return {name: (capacity, overflow) for name, capacity, overflow in rows}


def count(transaction: Transaction, receiver: str, limit: int) -> int:
    """Return how many messages wait, up to a limit."""
    row = transaction.one("actors.count", {"receiver": receiver, "limit": limit})
    return 0 if row is None else int(row[0])


def fetch(transaction: Transaction, receiver: str, after: int, limit: int) -> list[MailRow]:
    """Return the next messages of a mailbox."""
    rows = transaction.all("actors.fetch", {"receiver": receiver, "after": after, "limit": limit})
    return [
        MailRow(id_, sender, asker, count_in(attempt), count_in(crashes), body)
        for id_, sender, asker, attempt, crashes, body in rows
    ]


def count_in(value: Any) -> int:
    """Return a count of a row; one that is damaged, as SQLite has any type in any column, begins anew."""
    return value if type(value) is int else 0


# --- commits ---------------------------------------------------------------------------------------------------------


def save_all(
    transaction: Transaction, context: LedgerContext, units: list[Effects], capacities: Callable[[str], int | None]
) -> None:
    """Write the effects of many messages.

    Raises:
        Lost, Twice, MailboxFull: one of them is refused, so they have to be written one by one.
    """
    if len(units) == 1 and not units[0].letters:  # the rest is for many
        save(transaction, context, units[0], capacities)
        return
    known = _capacities(transaction, units, capacities)
    bounded = {name for name, capacity in known.items() if capacity is not None}
    plain: list[Effects] = []
    others: list[Effects] = []
    for unit in units:
        is_bounded = bounded and any(letter.receiver in bounded for letter in unit.letters)
        (plain if unit.is_plain and not is_bounded else others).append(unit)
    if plain:
        _save_plain(transaction, context, plain)
    for unit in others:
        save(transaction, context, unit, known.__getitem__)


def _capacities(
    transaction: Transaction, units: list[Effects], capacities: Callable[[str], int | None]
) -> dict[str, int | None]:
    """Return the capacities of all receivers, those of actors that are not known here by one look."""
    known = {letter.receiver: capacities(letter.receiver) for unit in units for letter in unit.letters}
    others = [name for name, capacity in known.items() if capacity == ELSEWHERE]
    if others:
        found = bounds(transaction, others)
        known.update({name: found[name][0] if name in found else None for name in others})
    return known


def _save_plain(transaction: Transaction, context: LedgerContext, units: list[Effects]) -> None:
    if transaction.many("actors.save", map(_state_of, units)) != len(units):
        raise Lost
    numbers = [unit.entry.id for unit in units if unit.entry is not None]
    if transaction.run("actors.done_all", {"ids": json.dumps(numbers)}) != len(units):
        raise Twice
    letters = [letter for unit in units for letter in unit.letters]
    if not context.in_a_row or any(letter.future is not None for letter in letters):
        for letter in letters:
            put(transaction, context, letter)
    elif letters:
        transaction.many("actors.put", [row_of(letter) for letter in letters])
        row = transaction.one("actors.last_id")
        assert row is not None
        for number, letter in enumerate(letters, row[0] - len(letters) + 1):
            context.numbered(letter, number)


def save(
    transaction: Transaction, context: LedgerContext, unit: Effects, capacities: Callable[[str], int | None]
) -> None:
    """Write the effects of one message.

    Raises:
        Lost: the actor has another owner by now.
        Twice: the message was handled before.
        MailboxFull: a receiver has no room for a message that was sent.
    """
    if _save_state(transaction, unit) != 1:
        msg = f"{unit.name} was taken over by another node"
        raise Lost(msg)
    unit.replies.clear()  # of a commit that failed
    if unit.entry is not None:
        _end_entry(transaction, context, unit, unit.entry)
    if unit.timer is not None:
        _end_timer(transaction, context, unit, unit.timer)
    for number, value, error in unit.answers:
        row = transaction.one("actors.promised", {"id": number})
        if row is not None:
            unit.replies += put_answer(transaction, context, unit.owner, number, row[0], value, error, row[1])
    for timer in unit.new_timers:
        values = {"actor": unit.name, "due": timer.due, "period": timer.period, "body": timer.body}
        added = transaction.one("actors.add_timer", values)
        timer.id = added[0] if added is not None else 0
    for id_, due in unit.moved_timers:
        transaction.run("actors.move_timer", {"id": id_, "due": due})
    for id_ in unit.dropped_timers:
        transaction.run("actors.drop_timer", {"id": id_})
    for letter in unit.letters:
        put(transaction, context, letter, capacities(letter.receiver))
    for write, _ in unit.also:
        write(transaction)


def _save_state(transaction: Transaction, unit: Effects) -> int:
    if unit.log is None:
        return transaction.run("actors.save", _state_of(unit))
    return transaction.run("events.save", {**_state_of(unit), "log": unit.log})


def _state_of(unit: Effects) -> dict[str, Any]:
    return {"name": unit.name, "owner": unit.owner, "epoch": unit.epoch, "state": unit.state, "next": unit.next}


def _end_entry(transaction: Transaction, context: LedgerContext, unit: Effects, entry: MailRow) -> None:
    if unit.ending == "again":
        transaction.run("actors.again", {"id": entry.id, "attempt": entry.attempt, "error": unit.error})
    elif unit.ending == "promised":
        transaction.run("actors.promise", {"id": entry.id})
    elif unit.ending == "kept":
        if entry.crashes:
            transaction.run("actors.unstart", {"id": entry.id})
    else:
        if transaction.run("actors.done", {"id": entry.id}) != 1:
            msg = f"message {entry.id} of {unit.name} was handled before"
            raise Twice(msg)
        if unit.ending == "dead":
            body = without_token(entry.body) if unit.dropped_timers else entry.body
            _add_dead(transaction, context.now(), unit.name, entry.sender, body, unit.error, entry)
        answer = unit.answer, unit.error, entry.body
        unit.replies += put_answer(transaction, context, unit.owner, entry.id, entry.asker, *answer)


def put_answer(
    transaction: Transaction,
    context: LedgerContext,
    here: str,
    number: int,
    asker: str | None,
    value: bytes | None,
    error: bytes | None,
    asked: bytes = b"",
) -> list[Letter]:
    """Put an answer into the store, for another node or into a mailbox; a caller on this node hears after the commit.

    Args:
        transaction: to write in.
        context: of the ledger.
        here: this node.
        number: of the message that is answered.
        asker: of it.
        value: the answer, or None.
        error: or this.
        asked: the body of the message: the answer has its cause.

    Returns:
        the message that the answer is, to be announced after the commit; none if it is for a node. A bounded mailbox
        takes it in any case: it is the end of a message that its own actor has sent.
    """
    if asker is None or asker == here:
        return []
    address = AnswerAddress.of(asker)
    if address is not None:
        letter = Letter(address.receiver, pack_answer(address, value, error, asked))
        put_letter = put_to_run if address.receiver.startswith(RUN) else put
        put_letter(transaction, context, letter)
        return [letter]
    keep = context.now() + KEEP_ANSWER
    row = {"id": number, "asker": asker, "value": value, "error": error, "keep": keep}
    transaction.run("actors.put_answer", row)
    return []


def _end_timer(transaction: Transaction, context: LedgerContext, unit: Effects, timer: TimerRow) -> None:
    if unit.ending == "again":
        transaction.run("actors.timer_again", {"id": timer.id, "attempt": timer.attempt})
        return
    if unit.ending == "dead":
        _add_dead(transaction, context.now(), unit.name, None, timer.body, unit.error, timer)
    if timer.id in unit.dropped_timers:
        return
    if unit.timer_due is None:
        transaction.run("actors.drop_timer", {"id": timer.id})
    else:
        transaction.run("actors.move_timer", {"id": timer.id, "due": unit.timer_due})
        crashes = timer.crashes_after(unit.ending)
        if crashes:
            transaction.run("actors.blame_timer", {"id": timer.id, "crashes": crashes})


def _add_dead(
    transaction: Transaction,
    now: float,
    receiver: str,
    sender: bytes | None,
    body: bytes,
    error: bytes | None,
    counted: MailRow | TimerRow,
) -> None:
    row = {"receiver": receiver, "sender": sender, "body": body, "error": error, "attempt": counted.attempt}
    transaction.run("actors.add_dead", {**row, "crashes": counted.crashes, "at": now, "keep": now + KEEP_DEAD})


# --- owners ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class OwnedActor:
    """An actor that is this node's now."""

    epoch: int
    state: bytes | None
    next: int
    timers: list[TimerRow]
    newest: int  # number of the last row that waits
    unclean: bool = False  # its owner has died


def own(
    transaction: Transaction,
    name: str,
    node: str,
    now: float,
    is_living: Callable[[str], bool],
    bound: tuple[int | None, str | None],
    suspect: Callable[[bytes, float], bytes] | None,
) -> OwnedActor | None:
    """Make an actor this node's; None if another node that lives has it.

    `bound`: its capacity and overflow, for senders on other nodes; `suspect`: a function that returns a machine's state
    after the death of its process.
    """
    row = transaction.one("actors.lock", {"name": name})
    if row is None:
        transaction.run("actors.add", {"name": name})
        row = transaction.one("actors.lock", {"name": name})
        assert row is not None
    _, owner, _, state, following = row
    if owner is not None and owner != node and is_living(owner):
        return None
    unclean = owner is not None and owner != node
    capacity, overflow = bound
    values = {"name": name, "owner": node, "capacity": capacity, "overflow": overflow}
    taken = transaction.one("actors.take", values)
    assert taken is not None
    if unclean:  # the message it handled when it died counts one death more
        of_mail = {"receiver": name, "next": following}
        transaction.run("actors.suspect_started", of_mail)
        transaction.run("actors.suspect", of_mail)
        transaction.run("actors.suspect_timers", {"actor": name, "now": now})
        if suspect is not None and state is not None:
            with contextlib.suppress(Exception):  # it cannot be read here: the load says so
                state = suspect(state, now)
            fence = {"name": name, "owner": node, "epoch": taken[0]}
            transaction.run("actors.save", {**fence, "state": state, "next": following})
    timers = _sound_timers(transaction, name, now)
    newest = transaction.one("actors.newest_of", {"receiver": name})
    return OwnedActor(taken[0], state, following, timers, (newest[0] if newest is not None else None) or 0, unclean)


def _sound_timers(transaction: Transaction, name: str, now: float) -> list[TimerRow]:
    """Return the timers of an actor; one whose row is damaged is a dead letter, and the others fire."""
    timers = []
    for id_, due, period, attempt, body, crashes in transaction.all("actors.timers", {"actor": name}):
        row = TimerRow(id_, due, period, count_in(attempt), body, count_in(crashes))
        if isinstance(due, (int, float)) and (period is None or (isinstance(period, (int, float)) and period > 0)):
            timers.append(row)
            continue
        error = write_error(PayloadError(f"the row of a timer is damaged: due {due!r}, period {period!r}"))
        _add_dead(transaction, now, name, None, body, error, row)
        transaction.run("actors.drop_timer", {"id": id_})
        logger.error("%s: the row of timer %s is damaged; it is a dead letter", name, id_)
    return timers


def release(transaction: Transaction, name: str, node: str, epoch: int) -> None:
    """Let other nodes have an actor, and see to it that those that wait for one look."""
    if transaction.run("actors.release", {"name": name, "owner": node, "epoch": epoch}):
        count_release(transaction)


def release_all(transaction: Transaction, node: str) -> None:
    """Let other nodes have all actors of this one."""
    if transaction.run("actors.release_all", {"owner": node}):
        count_release(transaction)


def count_release(transaction: Transaction) -> None:
    """Have processes that stand by look; last, as all processes write to that row, and none may hold it and wait."""
    transaction.last(("releases",), lambda: transaction.run("actors.count_release"))


def owners_of(transaction: Transaction, names: list[str]) -> dict[str, str | None]:
    """Return the owners of these actors, by one statement."""
    return dict(transaction.all("actors.owners", {"names": json.dumps(names)}))


def prune(transaction: Transaction, now: float) -> int:
    """Delete some of the rows that were kept long enough; return how many."""
    return (
        transaction.run("actors.prune_marks", {"before": now - KEEP_MARK, "limit": PRUNE})
        + transaction.run("actors.prune_answers", {"now": now, "limit": PRUNE})
        + transaction.run("actors.prune_dead", {"now": now, "limit": PRUNE})
    )
