"""`actorflow store actors|mail COMMAND STORE`: the durable actors in a store."""

from __future__ import annotations

import click

from actorflow.cli import CommandGroup, fail
from actorflow.cli.dead import listed, on_store, paging
from actorflow.cli.output import NUMBER, confirm, told
from actorflow.cli.queue import opened
from actorflow.text import plural


@click.group(cls=CommandGroup, short_help="State, timers and mail of durable actors.")
def actors() -> None:
    """List durable actors, or delete one.

    STORE is a SQLite file or a URL, such as postgresql://...; no daemon need be running. An actor is named by its path
    below the system, such as "ann" or "sales/ann".
    """


@actors.command("list")
@on_store
@click.option("--alone", is_flag=True, help="Only those that no process has.")
@click.option("--limit", type=NUMBER, default=100, show_default=True, help="So many, by name.")
@click.option("--after", metavar="NAME", default="", help="Those behind this name only: the next page.")
def list_(url: str, alone: bool, limit: int, after: str, as_json: bool) -> None:
    """List durable actors, and names that have mail: the process that has each, and how much of it there is."""
    from actorflow.durable.node.stored_actors import StoredActors

    listed(url, as_json, "actors", lambda store: StoredActors(store).list(alone=alone, limit=limit, after=after))


@actors.command(short_help="Delete the state, timers and mail of one.")
@on_store
@click.argument("name", metavar="ACTOR")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(url: str, name: str, yes: bool, as_json: bool) -> None:
    """Delete all that the store has of the durable actor ACTOR, but for its dead letters; no process may have it."""
    from actorflow.durable.node.stored_actors import StoredActors

    confirm(f"Delete the state, the timers and the mail of {name} for good?", yes=yes)
    with opened(url, "write") as store:
        found = StoredActors(store).delete(name)
    if not found:
        fail(f"{store.url}: there is nothing of {name}; `actorflow store actors list` shows the names", 1)
    told({"deleted": name}, as_json, f"{name} is deleted")


@click.group(cls=CommandGroup, short_help="Messages that wait for durable actors.")
def mail() -> None:
    """List messages that wait for durable actors, or drop them.

    `actorflow store actors list --alone` shows whose mail nobody receives.
    """


@mail.command("list")
@on_store
@paging
def list_mail(url: str, actor: str | None, limit: int, before: int | None, as_json: bool) -> None:
    """List messages that wait."""
    from actorflow.durable.node.stored_actors import StoredActors

    older = None if before is None else str(before)
    listed(url, as_json, "messages", lambda store: StoredActors(store).mail(actor, limit=limit, before=older))


@mail.command(short_help="Remove messages for good.")
@on_store
@click.argument("ids", nargs=-1, type=NUMBER, metavar="[ID]...")
@click.option("--actor", metavar="NAME", help="All of this actor.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(url: str, ids: tuple[int, ...], actor: str | None, yes: bool, as_json: bool) -> None:
    """Remove messages that wait, for good; callers that wait for an answer hear so."""
    from actorflow.durable.node.stored_actors import StoredActors

    if bool(ids) == (actor is not None):
        fail("name messages by their ids, or an actor by --actor")
    confirm("Remove these messages for good?", yes=yes)
    with opened(url, "write") as store:
        stored = StoredActors(store)
        count = stored.drop_mail(*map(str, ids)) if actor is None else stored.drop_mail_of(actor)
    told({"removed": count}, as_json, f"{plural(count, 'message')} removed")
    if count < len(set(ids)):
        fail(f"{count} of {len(set(ids))} were there; `actorflow store mail list` shows the others that are", 1)
