"""`actorflow store dead COMMAND STORE`: messages of durable actors that no try could handle."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from actorflow.cli import CommandGroup, fail
from actorflow.cli.output import NUMBER, confirm, show, told
from actorflow.cli.queue import opened

if TYPE_CHECKING:
    from actorflow.durable.node.dead_letters import DeadMail
    from actorflow.store.store import Store

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=CommandGroup, short_help="Dead letters of durable actors.")
def dead() -> None:
    """List messages of durable actors that no try could handle, send them again, or remove them.

    STORE is a SQLite file or a URL, such as postgresql://...; no daemon need be running. Dead jobs are in `actorflow
    queue show QUEUE --status dead`.
    """


def on_store(command: F) -> F:
    """Add the argument and options that all commands have."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    return click.argument("url", metavar="STORE")(command)


def paging(command: F) -> F:
    """Add the options that all lists of messages have."""
    command = click.option("--before", type=NUMBER, metavar="ID", help="Older ones than this only: the next page.")(
        command
    )
    command = click.option("--limit", type=NUMBER, default=20, show_default=True, help="So many, the newest first.")(
        command
    )
    return click.option("--actor", metavar="NAME", help="Of this actor only, by its name below the system.")(command)


def listed(url: str, as_json: bool, noun: str, read: Callable[[Store], Iterable[Any]]) -> None:
    """Print the rows of one kind that a store has."""
    with opened(url, "read") as store:
        found = [dataclasses.asdict(one) for one in read(store)]
    show(found, as_json, f"there are no such {noun}")


def choosing(command: F) -> F:
    """Add the ways to choose dead letters."""
    command = click.option("--all", "everything", is_flag=True, help="All of the store.")(command)
    command = click.option("--actor", metavar="NAME", help="All of this actor.")(command)
    return click.argument("ids", nargs=-1, type=NUMBER, metavar="[ID]...")(command)


@dead.command("list")
@on_store
@paging
def list_(url: str, actor: str | None, limit: int, before: int | None, as_json: bool) -> None:
    """List dead letters, with their causes."""
    from actorflow.durable.node.dead_letters import DeadMail

    older = None if before is None else str(before)
    listed(url, as_json, "dead letters", lambda store: DeadMail(store).messages(actor, limit=limit, before=older))


@dead.command(short_help="Put dead letters back into their actors' mailboxes.")
@on_store
@choosing
def retry(url: str, ids: tuple[int, ...], actor: str | None, everything: bool, as_json: bool) -> None:
    """Put dead letters back into their actors' mailboxes, with all their tries."""
    check_choice(ids, actor, everything=everything)
    count = changed(url, ids, lambda mail: mail.retry(*map(str, ids)) if ids else mail.retry_all(actor))
    told({"retried": count}, as_json, f"{count} message{'s are' if count != 1 else ' is'} in the mailbox again")


@dead.command()
@on_store
@choosing
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(url: str, ids: tuple[int, ...], actor: str | None, everything: bool, yes: bool, as_json: bool) -> None:
    """Remove dead letters for good."""
    check_choice(ids, actor, everything=everything)
    confirm("Remove these dead letters for good?", yes=yes)
    count = changed(url, ids, lambda mail: mail.purge(*map(str, ids)) if ids else mail.purge_all(actor))
    told({"removed": count}, as_json, f"{count} dead letters removed")


def check_choice(ids: tuple[int, ...], actor: str | None, *, everything: bool) -> None:
    """Refuse more than one way to choose, or none."""
    if bool(ids) + (actor is not None) + everything != 1:
        fail("name dead letters by their ids, or an actor by --actor, or give --all")


def changed(url: str, ids: tuple[int, ...], act: Callable[[DeadMail], int]) -> int:
    """Change dead letters; an id that is not there is an error, once the others are done."""
    from actorflow.durable.node.dead_letters import DeadMail

    with opened(url, "write") as store:
        count = act(DeadMail(store))
    if count < len(set(ids)):
        fail(f"{count} of {len(set(ids))} were there; `actorflow store dead list` shows the others that are", 1)
    return count
