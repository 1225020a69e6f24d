"""`actorflow queue COMMAND`: look into the queues of a store, and change them; no daemon need be running."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from actorflow.app.settings import Settings
from actorflow.cli import CommandGroup, fail, import_from_here
from actorflow.cli.output import COUNTED, ENDS, NUMBER, confirm, counted, plain_json, show, shown, told, told_of
from actorflow.errors import ActorflowError, DefinitionError
from actorflow.text import plural

if TYPE_CHECKING:
    from actorflow.queues.job import JobInfo
    from actorflow.queues.selection import Selection
    from actorflow.store.store import Store
    from actorflow.store.transaction import Access

F = TypeVar("F", bound=Callable[..., Any])

LONGEST = 19  # digits of a number that a database has for sure
JOBS = click.argument("jobs", nargs=-1, type=NUMBER, metavar="JOB...")
STATUSES = ("queued", "running", "completed", "failed", "cancelled", "dead")


@click.group(cls=CommandGroup, short_help="Look into queues, and change them.")
def queue() -> None:
    """Look into the queues of a store, and change them; no daemon need be running.

    --store, or ACTORFLOW_STORE in the environment, names the store: sqlite:///shop.db, the path of its file, or
    postgresql://...  In its place, --app names an app whose store it is.
    """


def on_store(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that all commands have; the URL of the store is that of --store, or of an app."""

    @click.option(
        "--store",
        "url",
        envvar="ACTORFLOW_STORE",
        show_envvar=True,
        metavar="URL",
        help="sqlite:///shop.db, the path of its file, or postgresql://...",
    )
    @click.option(
        "--app", "target", metavar="MODULE:ATTRIBUTE", help="The store of this app, which is imported for it."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def found(*args: Any, url: str | None, target: str | None, **given: Any) -> Any:
        return command(*args, url=url_given(url, target), **given)

    return found


def url_given(url: str | None, target: str | None) -> str:
    """Return the URL of the store that a command works on."""
    if target is None:
        if url is None:
            msg = "Missing option '--store' (env var: 'ACTORFLOW_STORE'), or '--app' with the app whose store it is."
            raise click.UsageError(msg, click.get_current_context())
        return url
    source = click.get_current_context().get_parameter_source("url")
    if source is click.core.ParameterSource.COMMANDLINE:
        fail("give --store, or the --app whose store it is, and not both")
    from actorflow.app.loading import load

    import_from_here()
    try:
        store = load(target).store
    except ActorflowError as error:
        fail(str(error))
    if not isinstance(store, str):
        fail(f"the store of {target} was given as an open one: name it by --store")
    return store


@contextmanager
def opened(url: str, access: Access) -> Iterator[Store]:
    """Open a store that is there; errors are one line. Its tables are left in the version that they have."""
    from actorflow.store.store import open_store

    url = url_of(url)
    path = url.removeprefix("sqlite:///")
    if url == "memory:":
        fail("a memory: store is in the process that works on it: name a file or a server")
    try:
        if path not in {url, ""}:
            check_file(path)
        store = open_store(url, access=access)
        try:
            yield store
        finally:
            store.close()
    except ActorflowError as error:
        fail(str(error))


def url_of(store: str) -> str:
    """Return the URL of a store that may be given by the path of its file."""
    return store if "://" in store or store == "memory:" else f"sqlite:///{store}"


def check_file(path: str) -> None:
    """Refuse a file that is not there."""
    with contextlib.suppress(OSError):  # which the store says better
        if not Path(path).exists():
            fail(f"there is no file {path}: is that the store? The first program that works on it makes the file")


# --- looking ---------------------------------------------------------------------------------------------------------


@queue.command("list")
@on_store
def list_(url: str, as_json: bool) -> None:
    """List the queues, with the numbers of their jobs."""
    with opened(url, "read") as store:
        names = [row[0] for row in store.read(lambda transaction: transaction.all("jobs.queue_names"))]
        rows = [{"name": name, **figures(store, name)} for name in names]
    if not as_json:  # how jobs ended counts from when the queue was made, the others are there now
        rows = [{f"{word} (ever)" if word in ENDS else word: value for word, value in row.items()} for row in rows]
    show(rows, as_json, f"there are no queues in {store.url}")


@queue.command()
@on_store
@click.argument("name", metavar="QUEUE")
def stats(name: str, url: str, as_json: bool) -> None:
    """Show the figures of a queue."""
    with opened(url, "read") as store:
        check_queue(store, name)
        found = figures(store, name)
    if as_json:
        click.echo(json.dumps({"name": name, **found}))
    else:
        show([{"": word, name: value, "counts": COUNTED[word]} for word, value in found.items()], as_json)


def selecting(command: F) -> F:
    """Add the options that choose jobs of a queue."""
    command = click.option("--task", metavar="NAME", help="Jobs of this task only.")(command)
    command = click.option("--tag", metavar="WORD", help="Jobs with this tag only.")(command)
    return click.option("--status", type=click.Choice(STATUSES), help="Jobs of this status only.")(command)


@queue.command("show", short_help="Show the newest jobs of a queue, or all of one job.")
@on_store
@click.argument("what", required=False, metavar="QUEUE|JOB")
@click.option("--queue", "name", metavar="QUEUE", help="The queue, also if its name is a number.")
@selecting
@click.option("--limit", type=NUMBER, default=20, show_default=True, help="So many jobs, the newest first.")
@click.option("--before", type=NUMBER, metavar="JOB", help="Older jobs than this one only: the next page.")
@click.option("--count", "counts", is_flag=True, help="Say how many there are, and no more.")
def show_(
    what: str | None,
    name: str | None,
    status: str | None,
    tag: str | None,
    task: str | None,
    limit: int,
    before: int | None,
    counts: bool,
    url: str,
    as_json: bool,
) -> None:
    """Show the newest jobs of a queue; or all that is known of one job, by its number.

    A word of digits alone is a job: a queue with such a name is shown by `actorflow queue show --queue 17`.
    """
    if (what is None) is (name is None):
        fail("name a queue, or a job by its number; or a queue by --queue")
    from actorflow.queues.job import JobInfo
    from actorflow.queues.selection import Selection
    from actorflow.store.transaction import NEWEST

    with opened(url, "read") as store:
        if what is not None and is_number(what):
            info = contents_of(store, what)
            rows = [{"": word, f"job {what}": shown(word, value)} for word, value in info.items()]
            show([info] if as_json else rows, as_json)
            return
        name = str(what if name is None else name)
        check_queue(store, name)
        selection = Selection(name, status, tag, task)
        if counts:
            count = selection.count(store)
            click.echo(
                json.dumps({"name": name, "count": count}) if as_json else counted(count, name, status, tag, task)
            )
            return
        found = [JobInfo.of(row) for row in selection.rows(store, limit, NEWEST if before is None else before)]
    rows = [dataclasses.asdict(info) for info in found]
    columns = ("id", "status", "task", "priority", "attempt", "created", "due", "progress", "tags", "error")
    show(
        rows if as_json else [{name: row[name] for name in columns} for row in rows], as_json, "there are no such jobs"
    )


# --- changing --------------------------------------------------------------------------------------------------------


@queue.command()
@on_store
@click.argument("name", metavar="QUEUE")
def pause(name: str, url: str, as_json: bool) -> None:
    """Let no more jobs of a queue begin; those that run go on."""
    _set_paused(name, url, as_json, paused=True)


@queue.command()
@on_store
@click.argument("name", metavar="QUEUE")
def resume(name: str, url: str, as_json: bool) -> None:
    """Let the jobs of a queue begin again."""
    _set_paused(name, url, as_json, paused=False)


def _set_paused(name: str, url: str, as_json: bool, *, paused: bool) -> None:
    from actorflow.queues.ledger import limits

    with opened(url, "write") as store:
        check_queue(store, name)
        store.write(lambda transaction: limits.pause(transaction, name, paused=paused))
    told({"name": name, "paused": paused}, as_json, f"{name} is {'paused' if paused else 'resumed'}")


OF_QUEUE = click.option("--queue", "name", metavar="QUEUE", help="Those jobs of this queue that the options choose.")


@queue.command(short_help="Queue jobs again that are dead, failed or cancelled.")
@on_store
@click.argument("what", nargs=-1, metavar="[JOB]...|QUEUE")
@OF_QUEUE
@selecting
@click.option("--failed", is_flag=True, help="All jobs of the queue that have failed for good.")
@click.option("--dead", is_flag=True, help="All dead letters of the queue.")
def retry(
    what: tuple[str, ...],
    name: str | None,
    status: str | None,
    tag: str | None,
    task: str | None,
    failed: bool,
    dead: bool,
    url: str,
    as_json: bool,
) -> None:
    """Queue jobs again that are dead, failed or cancelled: by number, or those of a queue.

    `actorflow queue retry photos --failed` takes all that have failed, --status, --tag and --task choose among others.
    """
    words = list(what)
    if len(words) == 1 and name is None and not is_number(words[0]):
        name = words.pop()
    if bool(words) is (name is not None):
        fail("name jobs by their numbers, or a queue: `actorflow queue retry QUEUE --failed`")
    statuses = [status] * (status is not None) + ["failed"] * failed + ["dead"] * dead
    check_choosing(name, statuses[0] if statuses else None, tag, task)
    with opened(url, "write") as store:
        if name is None:
            told_of({job: revived(store, job) for job in numbers(words)}, as_json)
            return
        chosen = [selected(store, name, one, tag, task) for one in dict.fromkeys(statuses or [None])]
        count = sum(selection.retry(store, int(Settings().payload_limit)) for selection in chosen)
    told({"name": name, "retried": count}, as_json, f"{counted(count, name, None, None, None)} queued again")


def is_number(word: str) -> bool:
    """Say whether a word is the number of a job, not the name of a queue."""
    return word.isascii() and word.isdecimal()


def numbers(words: list[str]) -> list[int]:
    """Return the numbers of jobs."""
    wrong = [word for word in words if not is_number(word) or not 0 < int(word) < 1 << 63]
    if wrong:
        fail(f"{wrong[0]!r} is no job: the number of a job, of up to 63 bits, or the name of one queue")
    return [int(word) for word in words]


def revived(store: Store, job: int) -> tuple[bool, str]:
    """Queue a job again; return whether it is, and the text to report."""
    from actorflow.queues import ledger

    limit = int(Settings().payload_limit)
    try:
        if store.write(lambda transaction: ledger.revive(transaction, job, store.now(), limit)):
            return True, "queued again"
    except DefinitionError as error:
        return False, f"not queued again: {error}"
    return False, "is not dead, failed or cancelled, or there is no such job"


@queue.command(short_help="Cancel jobs.")
@on_store
@JOBS
@OF_QUEUE
@selecting
def cancel(
    jobs: tuple[int, ...],
    name: str | None,
    status: str | None,
    tag: str | None,
    task: str | None,
    url: str,
    as_json: bool,
) -> None:
    """Cancel jobs: by number, or --queue with --status, --tag or --task.

    At once if they have not begun, else as soon as their tasks see it.
    """
    from actorflow.queues import ledger
    from actorflow.queues.aftermath import finish

    if bool(jobs) is (name is not None):
        fail("name jobs by their numbers, or a queue by --queue")
    check_choosing(name, status, tag, task)
    with opened(url, "write") as store:
        if name is not None:
            selection = selected(store, name, status, tag, task)
            count = selection.cancel(store, lambda _news, _runs: None)
            told({"name": name, "cancelled": count}, as_json, f"{counted(count, name, None, None, None)} cancelled")
            return
        now = store.now()
        done = {
            job: store.write(lambda transaction, job=job: ledger.cancel(transaction, job, now, ledger.News()))  # type: ignore[misc]
            for job in jobs
        }
        finish(store, int(Settings().payload_limit))
    words = {True: "cancelled", False: "runs, and is to end", None: "is over, or there is no such job"}
    told_of({job: (what is not None, words[what]) for job, what in done.items()}, as_json)


def check_choosing(name: str | None, status: str | None, tag: str | None, task: str | None) -> None:
    """Refuse options that choose among the jobs of no queue."""
    if name is None and not status is tag is task is None:
        fail("--status, --tag and --task choose among the jobs of a queue: name it by --queue")


def selected(store: Store, name: str, status: str | None, tag: str | None, task: str | None) -> Selection:
    """Return the jobs that the options choose; all of a queue is refused."""
    from actorflow.queues.selection import Selection

    check_queue(store, name)
    selection = Selection(name, status, tag, task)
    selection.check_narrow(f"--queue {name}", " (--status, --tag, --task)")
    return selection


@queue.command()
@on_store
@click.argument("name", metavar="QUEUE")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(name: str, yes: bool, url: str, as_json: bool) -> None:
    """Remove all jobs of a queue that have not begun."""
    from actorflow.queues import selection
    from actorflow.queues.aftermath import finish

    with opened(url, "write") as store:
        check_queue(store, name)
        confirm(f"Remove all jobs of {name} that have not begun?", yes=yes)
        removed = selection.purge(store, name, lambda _: None)
        finish(store, int(Settings().payload_limit))
    told({"name": name, "removed": removed}, as_json, f"{plural(removed, 'job')} removed from {name}")


# --- shared parts ----------------------------------------------------------------------------------------------------


def figures(store: Store, name: str) -> dict[str, Any]:
    """Return a queue's figures by their names."""
    from actorflow.queues.stats import Latencies, stats_of

    found = dataclasses.asdict(store.read(lambda transaction: stats_of(transaction, name, 0, Latencies())))
    return {word: value for word, value in found.items() if word not in {"workers", "latency"}}


def check_queue(store: Store, name: str) -> None:
    """Refuse a queue that is not there."""
    names = [row[0] for row in store.read(lambda transaction: transaction.all("jobs.queue_names"))]
    if name not in names:
        fail(f"there is no queue {name!r} in {store.url}; there are: {', '.join(names) or 'none'}")


def info_of(store: Store, job: str) -> JobInfo:
    """Return a job as the store has it; exit with an error if there is none."""
    from actorflow.queues.job import JobInfo

    number = int(job) if len(job) < LONGEST else 0  # a greater one is no job's, and no database's
    row = store.read(lambda transaction: transaction.one("jobs.get", {"id": number}))
    if row is None:
        fail(f"there is no job {job} in {store.url}: was it done long ago?")
    return JobInfo.of(row)


def contents_of(store: Store, job: str) -> dict[str, Any]:
    """Return all that is known of a job, with its arguments and its result as the JSON that is stored."""
    info = dataclasses.asdict(info_of(store, job))
    row = store.read(lambda transaction: transaction.one("jobs.contents", {"id": int(job)}))
    if row is not None:
        args, result = row
        info["arguments"], info["result"] = plain_json(args), plain_json(result)
    info["traceback"] = info.pop("traceback")  # the longest comes last
    return info
