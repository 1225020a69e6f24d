"""`actorflow events COMMAND`: the event log of a store and its consumers; no daemon need be running."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from actorflow.cli import CommandGroup, fail
from actorflow.cli.output import NUMBER, confirm, show, shown, told, written
from actorflow.cli.queue import on_store, opened
from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.events.log.event_log import AsideEvent, EventLog, StoredEvent

F = TypeVar("F", bound=Callable[..., Any])

PAUSE: Final = 0.5  # seconds between two looks of `tail --follow`
PAGE: Final = 1000  # events of one look
CONSUMER = click.argument("consumer", metavar="CONSUMER")


@click.group(cls=CommandGroup, short_help="Look at the event log, and at its consumers.")
def events() -> None:
    """Look at the event log of a store, at events that could not be handled, and at its consumers.

    --store, or ACTORFLOW_STORE in the environment, names the store: sqlite:///shop.db, the path of its file, or
    postgresql://...  In its place, --app names an app whose store it is.
    """


# --- events ----------------------------------------------------------------------------------------------------------


@events.command("list")
@on_store
@click.option("--type", "kind", metavar="NAME", help="Events of this type only, such as orders.placed.")
@click.option("--key", metavar="KEY", help="Events of this key only.")
@click.option("--limit", type=NUMBER, default=20, show_default=True, help="So many, the newest first.")
@click.option("--before", type=NUMBER, metavar="NUMBER", help="Older ones than this only: the next page.")
def list_(kind: str | None, key: str | None, limit: int, before: int | None, url: str, as_json: bool) -> None:
    """List events, the newest first."""
    with opened(url, "read") as store:
        found = log_of(store).list(kind, key=key, limit=limit, before=before)
    show([*map(row_of, found)], as_json, "there are no such events")


@events.command("show")
@on_store
@click.argument("number", type=NUMBER, metavar="NUMBER")
def show_(number: int, url: str, as_json: bool) -> None:
    """Show an event by its number in the log."""
    with opened(url, "read") as store:
        found = log_of(store).get(number)
    if found is None:
        fail(f"there is no event {number}: `actorflow events list` shows those that there are", 1)
    row = dataclasses.asdict(found)
    if as_json:
        show([row], as_json)
        return
    show([{"": word, f"event {number}": written(word, shown(word, value))} for word, value in row.items()], as_json)


@events.command(short_help="Print the newest events, or a conversation.")
@on_store
@click.option("--trace", metavar="ID", help="The conversation that began with the event of this id, and no other.")
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option("--mermaid", "draws", is_flag=True, help="Print a sequence diagram of the conversation.")
@click.option("--limit", type=NUMBER, default=20, show_default=True, help="So many of the newest; not of a --trace.")
def tail(trace: str | None, follow: bool, draws: bool, limit: int, url: str, as_json: bool) -> None:
    """Print the newest events, the oldest of them first; with --trace, all of one conversation.

    \b
    Examples:
      actorflow events tail --store shop.db --follow
      actorflow events tail --store shop.db --trace shop-17 --mermaid
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    if draws and (trace is None or follow or as_json):
        fail("--mermaid draws one conversation: give --trace ID with it, and neither --follow nor --json")
    with opened(url, "read") as store:
        log = log_of(store)
        if draws and trace is not None:
            click.echo(drawn(log, trace), nl=False)
            return
        found = [*log.trace(trace)] if trace is not None else [*reversed(log.list(limit=limit))]
        if not follow:
            show([*map(row_of, found)], as_json, "there are no such events")
            return
        for event in following(log, found, trace):
            click.echo(line_of(event, as_json))


def drawn(log: EventLog, trace: str) -> str:
    """Return the sequence diagram of a conversation."""
    from actorflow.events.topology.conversation import conversation

    if not log.trace(trace):
        fail(f"there is no conversation {trace}: its id is the `correlation` that `actorflow events list` shows", 1)
    return conversation(log, trace)


def following(log: EventLog, found: Sequence[StoredEvent], trace: str | None) -> Iterator[StoredEvent]:
    """Yield events, and those that come, for ever.

    On a server, an event may be committed after one of a higher number, of another partition: the last numbers are read
    again.
    """
    seen = {event.number for event in found}
    yield from found
    first = min(seen, default=1) - 1
    never = threading.Event()
    while True:
        after = max(first, max(seen, default=0) - PAGE)
        new = [event for event in log.after(after, correlation=trace, limit=2 * PAGE) if event.number not in seen]
        yield from new
        seen |= {event.number for event in new}
        if not new:
            never.wait(PAUSE)


def line_of(event: StoredEvent, as_json: bool) -> str:
    """Return an event as one line."""
    import json

    row = row_of(event)
    return json.dumps(row) if as_json else "  ".join(written(word, value) for word, value in row.items())


def row_of(event: StoredEvent) -> dict[str, Any]:
    """Return the columns of an event that lists show."""
    return {
        "number": event.number,
        "time": event.time,
        "type": event.type,
        "key": event.key,
        "data": event.data,
        "source": event.source,
        "id": event.id,
        "correlation": event.correlation,
        "causation": event.causation,
    }


# --- events that could not be handled --------------------------------------------------------------------------------


@events.command()
@on_store
@click.option("--consumer", metavar="NAME", help="Those of this consumer only.")
@click.option("--parked", "parks", is_flag=True, help="Those that wait for another try, in place of dead ones.")
@click.option("--limit", type=NUMBER, default=20, show_default=True, help="So many, the newest first.")
@click.option("--before", type=NUMBER, metavar="ID", help="Older ones than this only: the next page.")
def dead(consumer: str | None, parks: bool, limit: int, before: int | None, url: str, as_json: bool) -> None:
    """List events that no try could handle, with their causes."""
    older = None if before is None else str(before)
    with opened(url, "read") as store:
        log = log_of(store)
        found = (log.parked if parks else log.dead)(consumer, limit=limit, before=older)
    show([*map(aside_row, found)], as_json, f"there are no {'parked' if parks else 'dead'} events")


def aside_row(aside: AsideEvent) -> dict[str, Any]:
    """Return the columns of an event that could not be handled."""
    event = aside.event
    return {
        "id": aside.id,
        "consumer": aside.consumer,
        "cause": aside.cause,
        "attempt": aside.attempt,
        "due": aside.due,
        "number": event.number,
        "type": event.type,
        "key": event.key,
        "data": event.data,
        "correlation": event.correlation,
    }


def choosing(command: F) -> F:
    """Add the ways to choose dead events."""
    command = click.option("--all", "everything", is_flag=True, help="All of the store.")(command)
    command = click.option("--consumer", metavar="NAME", help="All of this consumer.")(command)
    return click.argument("ids", nargs=-1, type=NUMBER, metavar="[ID]...")(command)


@events.command(short_help="Have dead events handled again.")
@on_store
@choosing
def retry(ids: tuple[int, ...], consumer: str | None, everything: bool, url: str, as_json: bool) -> None:
    """Have dead events handled again, with all their tries; later events of their keys have been handled."""
    check_choice(ids, consumer, everything=everything)
    count = changed(url, ids, lambda log: log.retry(*map(str, ids)) if ids else log.retry_all(consumer))
    told({"retried": count}, as_json, f"{plural(count, 'event')} to be handled again")


@events.command(short_help="Remove dead events for good.")
@on_store
@choosing
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(ids: tuple[int, ...], consumer: str | None, everything: bool, yes: bool, url: str, as_json: bool) -> None:
    """Remove dead events for good; in the log they stay."""
    check_choice(ids, consumer, everything=everything)
    confirm("Remove these dead events for good?", yes=yes)
    count = changed(url, ids, lambda log: log.drop(*map(str, ids)) if ids else log.drop_all(consumer))
    told({"removed": count}, as_json, f"{plural(count, 'dead event')} removed")


def check_choice(ids: tuple[int, ...], consumer: str | None, *, everything: bool) -> None:
    """Refuse more than one way to choose, or none."""
    if bool(ids) + (consumer is not None) + everything != 1:
        fail("name dead events by their ids, or a consumer by --consumer, or give --all")


def changed(url: str, ids: tuple[int, ...], act: Callable[[EventLog], int]) -> int:
    """Change dead events; an id that is not there is an error, once the others are done."""
    with opened(url, "write") as store:
        count = act(log_of(store))
    if count < len(set(ids)):
        fail(f"{count} of {len(set(ids))} were there; `actorflow events dead` shows the others that are", 1)
    return count


# --- consumers -------------------------------------------------------------------------------------------------------


@events.command()
@on_store
@click.argument("consumer", metavar="[CONSUMER]", required=False)
def lag(consumer: str | None, url: str, as_json: bool) -> None:
    """Say how many events each consumer has before it, and how many it could not handle."""
    with opened(url, "read") as store:
        log = log_of(store)
        if consumer is not None:
            log.lag(consumer)  # refuses one that is not there
        found = [one for one in log.consumers() if consumer in {None, one.name}]
    rows = [
        {
            "consumer": one.name,
            "service": one.service,
            "behind": one.behind,
            "parked": one.parked,
            "dead": one.dead,
            "state": "paused" if one.paused else "replaying" if one.replaying else "",
            "instances": len(one.actors),
            "nodes": sorted({node for node in one.nodes if node is not None}),
        }
        for one in found
    ]
    show(rows, as_json, "there are no consumers")


@events.command(short_help="Have a consumer handle the log again.")
@on_store
@CONSUMER
@click.option(
    "--from",
    "start",
    default="beginning",
    show_default=True,
    metavar="PLACE",
    help="beginning, now, the number of an event, or a time with its zone, such as 2026-05-01T08:00+02:00.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay(consumer: str, start: str, yes: bool, url: str, as_json: bool) -> None:
    """Have a consumer forget its state, and handle the events of the log again, with the code of today.

    Up to the event that it has come to, what its handlers publish, send and start is dropped: that was done once.
    """
    place = place_of(start)
    confirm(f"Have {consumer} forget its state, and handle the log again?", yes=yes)
    with opened(url, "write") as store:
        log_of(store).replay(consumer, place)
    told({"consumer": consumer, "from": start}, as_json, f"{consumer} handles the log again, from {start}")


def place_of(start: str) -> str | int | dt.datetime:
    """Return a place in the log: the number of an event, a time, or a word."""
    if start in {"beginning", "now"}:
        return start
    if start.isascii() and start.isdigit():
        return int(start)
    try:
        time = dt.datetime.fromisoformat(start)
    except ValueError:
        fail(f"--from {start}: give beginning, now, the number of an event, or a time such as 2026-05-01T08:00+02:00")
    if time.tzinfo is None:
        fail(f"--from {start}: say the time zone, such as {start}+00:00")
    return time


@events.command()
@on_store
@CONSUMER
def pause(consumer: str, url: str, as_json: bool) -> None:
    """Have a consumer handle no more events, in all processes."""
    with opened(url, "write") as store:
        log_of(store).pause(consumer)
    told({"consumer": consumer, "paused": True}, as_json, f"{consumer} is paused")


@events.command()
@on_store
@CONSUMER
def resume(consumer: str, url: str, as_json: bool) -> None:
    """Have a consumer go on that was paused."""
    with opened(url, "write") as store:
        log_of(store).resume(consumer)
    told({"consumer": consumer, "paused": False}, as_json, f"{consumer} goes on")


def log_of(store: Any) -> EventLog:
    """Return the event log of a store."""
    from actorflow.events.log.event_log import EventLog

    return EventLog(store)
