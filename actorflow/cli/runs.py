"""`actorflow runs COMMAND`: the runs of workflows in a store; no daemon need be running, and no code is imported."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from actorflow.cli import CommandGroup, fail
from actorflow.cli.output import NUMBER, show, told, written
from actorflow.cli.queue import on_store, opened
from actorflow.workflows.run import STATUSES

if TYPE_CHECKING:
    from actorflow.workflows.stored_runs import StoredRuns

RUN = click.argument("run", metavar="RUN")


@click.group(cls=CommandGroup, short_help="Look at runs of workflows, and change them.")
def runs() -> None:
    """Look at the runs of workflows in a store, and change them; no daemon need be running.

    --store, or ACTORFLOW_STORE in the environment, names the store: sqlite:///shop.db, the path of its file, or
    postgresql://...  In its place, --app names an app whose store it is.
    """


# --- looking ---------------------------------------------------------------------------------------------------------


@runs.command("list")
@on_store
@click.option("--workflow", metavar="NAME", help="Runs of this workflow only.")
@click.option("--status", type=click.Choice(STATUSES), help="Runs of this status only.")
@click.option("--limit", type=NUMBER, default=20, show_default=True, help="So many, the newest first.")
@click.option("--before", metavar="RUN", help="Older runs than this one only: the next page.")
@click.option("--count", "counts", is_flag=True, help="Say how many there are of each status, and no more.")
def list_(
    workflow: str | None, status: str | None, limit: int, before: str | None, counts: bool, url: str, as_json: bool
) -> None:
    """List runs, the newest first."""
    from actorflow.workflows.stored_runs import StoredRuns

    with opened(url, "read") as store:
        found = StoredRuns(store, workflow, status)
        rows = counted(found, "runs", as_json) if counts else listed(found, limit, before)
    show(rows, as_json, "there are no such runs")


def counted(found: StoredRuns, noun: str, as_json: bool) -> list[dict[str, Any]]:
    """Return the rows that say how many runs there are of each status."""
    count = found.count()
    return [count] if as_json else [{"status": status, noun: n} for status, n in count.items()]


def listed(found: StoredRuns, limit: int, before: str | None) -> list[dict[str, Any]]:
    """Return a row for each run, the newest first."""
    return [dataclasses.asdict(info) for info in found.list(limit=limit, before=before)]


@runs.command("show")
@on_store
@RUN
def show_(run: str, url: str, as_json: bool) -> None:
    """Show a run, and its steps in the order in which its code has heard of their ends."""
    with opened(url, "read") as store:
        found = of(store).export(run)
    if as_json:
        show([found], as_json)
        return
    records = found.pop("records")
    show([{"": word, f"run {run}": written(word, shown(value))} for word, value in told_of_run(found)], as_json)
    if records:
        click.echo()
        show([step_of(record) for record in records], as_json)


def told_of_run(found: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the fields of a run that people look at: not those by which nodes share runs out."""
    return [
        (word, value) for word, value in found.items() if value is not None and word not in {"state", "epoch", "hash"}
    ]


def step_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a record that people look at."""
    branch, name, occurrence = record["identity"]
    return {
        "n": record["n"],
        "step": name,
        "branch": branch,
        "time": record["at"],
        "occurrence": occurrence,
        "kind": record["kind"],
        "attempt": record["attempt"],
        "result": shown(record["value"]),
        "error": record["error"],
    }


def shown(value: Any) -> Any:
    """Return a value as a table shows it."""
    return json.dumps(value) if isinstance(value, list | dict) else value


@runs.command()
@on_store
@RUN
def export(run: str, url: str, as_json: bool) -> None:  # noqa: ARG001 - it is JSON in any case
    """Print all that is stored of a run, its records among it, as one object of JSON."""
    with opened(url, "read") as store:
        click.echo(json.dumps(of(store).export(run)))


# --- changing --------------------------------------------------------------------------------------------------------


@runs.command(short_help="Send a run a signal.")
@on_store
@RUN
@click.argument("value", metavar="JSON")
@click.option("--class", "kind", metavar="NAME", help="Of the class module.Name, with the fields of a JSON object.")
@click.option("--id", "marked", metavar="TEXT", help="A second signal with this id is dropped.")
def signal(run: str, value: str, kind: str | None, marked: str | None, url: str, as_json: bool) -> None:
    """Send a run a signal, such as '"yes"', or '{"by": "ann"}' --class shop.orders.Approved."""
    try:
        given = json.loads(value)
    except ValueError as error:
        fail(f"the signal is no JSON ({error}): a text has quotation marks, such as '\"yes\"'")
    if kind is not None:
        if not isinstance(given, dict):
            fail(f'--class {kind}: give its fields as an object of JSON, such as \'{{"by": "ann"}}\'')
        given = {"$type": kind, "fields": given}
    body = json.dumps(["tell", given]).encode()
    with opened(url, "write") as store:
        sent = of(store).signal(run, body, marked=marked)
    told({"run": run, "sent": sent}, as_json, f"run {run}: {'sent' if sent else 'a signal of that id was sent before'}")


@runs.command()
@on_store
@RUN
def cancel(run: str, url: str, as_json: bool) -> None:
    """Ask a run to end: its clean-up code runs, in the process that has it."""
    from actorflow.durable.rows.payload import pack
    from actorflow.workflows.signals import CancelRun

    with opened(url, "write") as store:
        done = of(store).cancel(run, pack(CancelRun(), 1000))
    told_whether(run, as_json, "cancelled", "is to end" if done else "is over", is_done=done)


@runs.command()
@on_store
@RUN
def pause(run: str, url: str, as_json: bool) -> None:
    """Have a run begin nothing more until it is resumed: steps that are under way end, and are recorded."""
    with opened(url, "write") as store:
        done = of(store).pause(run)
    told_whether(run, as_json, "paused", "is to pause" if done else "is over", is_done=done)


@runs.command()
@on_store
@RUN
def resume(run: str, url: str, as_json: bool) -> None:
    """Have a run go on that is paused; or tried again, if it is parked, by a process that knows its workflow."""
    with opened(url, "write") as store:
        done = of(store).resume(run)
    told_whether(run, as_json, "resumed", "goes on" if done else "is neither paused nor parked", is_done=done)


@runs.command(short_help="Have a failed run go on.")
@on_store
@RUN
@click.option("--from", "step", metavar="STEP", help="From this step on, though it has a result.")
def retry(run: str, step: str | None, url: str, as_json: bool) -> None:
    """Have a run that failed, or was cancelled, go on from the step that failed; the results before it are kept.

    A process that knows its workflow goes on with it. `runs fork` has a copy go on, and leaves the run as it is.
    """
    with opened(url, "write") as store:
        of(store).retry(run, step)
    told({"run": run, "retried": True}, as_json, f"run {run} goes on")


@runs.command(short_help="Have a copy of a run go on.")
@on_store
@RUN
@click.argument("new", metavar="NEW")
@click.option("--from", "step", metavar="STEP", help="From this step on; without one the copy begins anew.")
def fork(run: str, new: str, step: str | None, url: str, as_json: bool) -> None:
    """Have a copy of a run, under the id NEW, go on from a step with the results before that; the run stays."""
    with opened(url, "write") as store:
        of(store).fork(run, step, new)
    told({"run": run, "fork": new}, as_json, f"run {new} goes on as a copy of {run}")


def told_whether(run: str, as_json: bool, field: str, what: str, *, is_done: bool) -> None:
    """Tell the answer of a run to a wish; the exit code is 1 if it is no."""
    told({"run": run, field: is_done}, as_json, f"run {run} {what}")
    if not is_done:
        raise click.exceptions.Exit(1)


def of(store: Any) -> StoredRuns:
    """Return the runs of a store."""
    from actorflow.workflows.stored_runs import StoredRuns

    return StoredRuns(store)
