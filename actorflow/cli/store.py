"""`actorflow store COMMAND FILE`: look after a SQLite file of actorflow, and the durable actors of any store."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from actorflow.cli import USAGE_ERROR, CommandGroup, fail
from actorflow.cli.actors import actors, mail
from actorflow.cli.dead import dead
from actorflow.cli.queue import url_of
from actorflow.errors import ActorflowError
from actorflow.text import plural

T = TypeVar("T")

FILE = click.argument("file", metavar="FILE")
KNOWN_FILE = click.argument("file", metavar="FILE", envvar="ACTORFLOW_STORE")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


@click.group(cls=CommandGroup, short_help="Look after a SQLite file, durable actors and dead letters.")
def store() -> None:
    """Look after a SQLite file of actorflow, and the durable actors in it or on a server; others may be at work there.

    A server has tools of its own: pg_dump, psql and autovacuum; a queue that works there prunes old rows. `actors`,
    `dead`, `mail` and `migrate` are for files and servers. Without a FILE or STORE, `check`, `dump`, `migrate`, `prune`
    and `vacuum` take that of ACTORFLOW_STORE in the environment.
    """


def attempt(act: Callable[..., T], file: str, *args: Any, **options: Any) -> T:
    """Do something with a file; an error is one line."""
    try:
        return act(path_of(file), *args, **options)
    except ActorflowError as error:
        fail(str(error))


def path_of(file: str) -> str:
    """Return the path of FILE, which may be the URL that a system has."""
    if file.startswith(("postgresql://", "postgres://")):
        fail("this is for SQLite files; for a server use pg_dump, psql and vacuumdb")
    return file.removeprefix("sqlite:///")


@store.command(short_help="Read all of it, and say how it is.")
@KNOWN_FILE
@JSON
def check(file: str, as_json: bool) -> int:
    """Read all of a file: its version, sizes, rows and processes; a damaged one gives the exit code 2."""
    from actorflow.store.sqlite import maintenance

    report = attempt(maintenance.check, file)
    if as_json:
        click.echo(json.dumps({"ok": not report.problems, **dataclasses.asdict(report)}))
    elif not report.problems:
        older = f" (this actorflow brings it to {report.known})" if report.version < report.known else ""
        click.echo(f"{file}: in order, version {report.version}{older}")
        click.echo(f"  {report.bytes:,} bytes, {report.free:,} of them free; {report.log:,} bytes in the log")
        click.echo(f"  processes: {report.nodes['alive']} alive, {report.nodes['dead']} dead")
        for name, count in report.rows.items():
            click.echo(f"  {name}: {plural(count, 'row', ',')}")
    if report.problems:
        first, *more = report.problems
        others = f" and {len(more)} more" if more else ""
        click.secho(f"actorflow: {file} is damaged: {first}{others}; restore a backup", err=True, fg="red")
        return USAGE_ERROR
    return 0


@store.command(short_help="Print its rows as JSON lines.")
@KNOWN_FILE
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this table; repeat it for more.")
def dump(file: str, tables: tuple[str, ...]) -> None:
    """Print all rows, as they are at one moment, one line of JSON each: {"table": ..., "row": ...}.

    Nothing that is stored is imported or run: stored values come as the JSON that they are.
    """
    from actorflow.store.sqlite import maintenance

    def print_all(path: str) -> None:
        for line in maintenance.dump(path, tables):
            click.echo(json.dumps(line))

    attempt(print_all, file)


@store.command(short_help="Give free room back to the disk.")
@KNOWN_FILE
@JSON
def vacuum(file: str, as_json: bool) -> None:
    """Write a file anew without the room that is free in it; writers wait meanwhile."""
    from actorflow.store.sqlite import maintenance

    before, after = attempt(maintenance.vacuum, file)
    show(as_json, f"{file}: {before:,} bytes before, {after:,} now", before=before, after=after)


@store.command(short_help="Copy it while others work on it.")
@FILE
@click.argument("target", metavar="TARGET")
@click.option("--force", is_flag=True, help="Replace TARGET if it is there.")
@JSON
def backup(file: str, target: str, force: bool, as_json: bool) -> None:
    """Copy a file as it is at one moment to TARGET, with the commits that are still in its log.

    A copy made by `cp` may lack the last commits, which are in FILE-wal, or be torn.
    """
    from actorflow.store.sqlite import maintenance

    size = attempt(maintenance.backup, file, target, replace=force)
    show(as_json, f"{target}: {size:,} bytes", target=target, bytes=size)


@store.command(short_help="Remove rows that were kept long enough.")
@KNOWN_FILE
@JSON
def prune(file: str, as_json: bool) -> None:
    """Remove rows past their retention now: old jobs, runs, dead letters, schedules, and processes that have died.

    Processes at work do so by themselves.
    """
    from actorflow.queues.retention import prune as prune_now
    from actorflow.store.store import open_store
    from actorflow.workflows.opening import heir_of
    from actorflow.workflows.rows.keeping import remove_all

    def prune_file(path: str) -> dict[str, int]:
        opened = open_store(f"sqlite:///{path}", access="write")
        try:
            opened.members.register("runs", heir_of(opened))  # else those of a process that has died would be nobody's
            counts = prune_now(opened)
            return {"jobs": counts.pop("jobs"), "runs": remove_all(opened), **counts}
        finally:
            opened.close()

    counts = attempt(prune_file, file)
    show(as_json, f"{file}: removed {', '.join(f'{count:,} {name}' for name, count in counts.items())}", **counts)


@store.command(short_help="Bring its tables up to date.")
@click.argument("url", metavar="STORE", envvar="ACTORFLOW_STORE")
@JSON
def migrate(url: str, as_json: bool) -> None:
    """Bring the tables of STORE, a file or a URL such as postgresql://..., to the version of this actorflow.

    The start of a program on it does so too; other commands never do. Programs with an older actorflow that work on it
    take no more jobs from then on, so end them first. On a server this makes the tables where there are none.
    """
    from actorflow.store.sqlite import maintenance
    from actorflow.store.store import open_store

    url = url_of(url)
    if url == "memory:":
        fail("a memory: store is in the process that works on it: name a file or a server")
    try:
        if url.startswith("sqlite:///"):
            with maintenance.look_into(url.removeprefix("sqlite:///")):
                pass  # opening would make a file that is not there
        opened = open_store(url)
        opened.close()
    except ActorflowError as error:
        fail(str(error))
    before, after = opened.found, opened.version
    text = f"version {after} already" if before == after else f"version {before} before, {after} now"
    show(as_json, f"{opened.url}: {text}", before=before, after=after)


def show(as_json: bool, text: str, **values: Any) -> None:
    """Print a report of the work."""
    click.echo(json.dumps(values) if as_json else text)


store.add_command(actors)
store.add_command(dead)
store.add_command(mail)
