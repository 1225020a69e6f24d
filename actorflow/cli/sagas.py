"""`actorflow sagas COMMAND`: the sagas in a store; no daemon need be running, and no code is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from actorflow.cli import CommandGroup, fail
from actorflow.cli.output import NUMBER, show, told, written
from actorflow.cli.queue import on_store, opened
from actorflow.cli.runs import RUN, counted, listed, of, shown, told_of_run
from actorflow.workflows.rows.records import UNDO
from actorflow.workflows.run import STATUSES

if TYPE_CHECKING:
    from actorflow.store.store import Store

STATES: Final = {"turned": "turns to undoing", "savepoint turned": "undoes a savepoint", "pivot": "only goes forward"}


@click.group(cls=CommandGroup, short_help="Look at sagas, and help those that are stuck.")
def sagas() -> None:
    """Look at the sagas in a store, and help those that are stuck; no daemon need be running.

    --store, or ACTORFLOW_STORE in the environment, names the store: sqlite:///shop.db, the path of its file, or
    postgresql://...  In its place, --app names an app whose store it is.

    A process that knows the saga goes on with it.
    """


@sagas.command("list")
@on_store
@click.option("--saga", metavar="NAME", help="Runs of this saga only.")
@click.option("--status", type=click.Choice(STATUSES), help="Sagas of this status only, such as stuck.")
@click.option("--limit", type=NUMBER, default=20, show_default=True, help="So many, the newest first.")
@click.option("--before", metavar="RUN", help="Older ones than this one only: the next page.")
@click.option("--count", "counts", is_flag=True, help="Say how many there are of each status, and no more.")
def list_(
    saga: str | None, status: str | None, limit: int, before: str | None, counts: bool, url: str, as_json: bool
) -> None:
    """List sagas, the newest first."""
    from actorflow.workflows.stored_runs import StoredRuns

    with opened(url, "read") as store:
        found = StoredRuns(store, saga, status, only_sagas=True)
        if counts:
            rows = counted(found, "sagas", as_json)
        else:
            infos = listed(found, limit, before)
            rows = [{"id": one.pop("id"), "saga": one.pop("workflow"), **one} for one in infos]
    show(rows, as_json, "there are no such sagas")


@sagas.command("show")
@on_store
@RUN
def show_(run: str, url: str, as_json: bool) -> None:
    """Show a saga: its steps, where it has turned, and its compensations, in the order of its records."""
    with opened(url, "read") as store:
        check_saga(store, run)
        found = of(store).export(run)
    if as_json:
        show([found], as_json)
        return
    records = found.pop("records")
    show([{"": word, f"saga {run}": written(word, shown(value))} for word, value in told_of_run(found)], as_json)
    lines = [line_of(record) for record in records if record["kind"] != "intent"]
    if lines:
        click.echo()
        show(lines, as_json)


def line_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a record that people look at."""
    branch, name, _ = record["identity"]
    word = STATES.get(name) if record["kind"] in {"turned", "pivot"} else None
    return {
        "n": record["n"],
        "step": name if word is None else f"-- it {word} --",
        "kind": "undo" if branch.startswith(UNDO) and record["kind"] == "result" else record["kind"],
        "attempt": record["attempt"],
        "time": record["at"],
        "result": shown(record["value"]),
        "error": record["error"],
    }


@sagas.command(short_help="Have a stuck saga try again.")
@on_store
@RUN
def retry(run: str, url: str, as_json: bool) -> None:
    """Have a stuck saga try its failed compensations again; behind its pivot, the step that failed."""
    with opened(url, "write") as store:
        check_saga(store, run, is_stuck=True)
        of(store).retry(run)
    told({"saga": run, "retried": True}, as_json, f"saga {run} goes on")


@sagas.command(short_help="Have a stuck saga go on without a compensation.")
@on_store
@RUN
@click.argument("reason", metavar="REASON")
@click.option("--step", metavar="NAME", help="Only this compensation, though others have failed, too.")
def skip(run: str, reason: str, step: str | None, url: str, as_json: bool) -> None:
    """Have a stuck saga go on without the compensations that have failed: you have undone their steps yourself."""
    with opened(url, "write") as store:
        check_saga(store, run)
        of(store).skip(run, step, reason)
    told({"saga": run, "skipped": True}, as_json, f"saga {run} goes on without what has failed")


def check_saga(store: Store, run: str, *, is_stuck: bool = False) -> None:
    """Refuse a run of something else."""
    row = of(store).row(run)
    if not row.is_of_saga:
        fail(f"run {run} is of {row.workflow}, which is no saga: see actorflow runs")
    if is_stuck and row.status != "stuck":
        fail(f"saga {run} is {row.status}: only one that is stuck is tried again")
