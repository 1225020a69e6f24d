"""Output of commands: a table or words for people, JSON for programs."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import click

from actorflow.cli import fail, harmless
from actorflow.text import text_of

NUMBER = click.IntRange(1, 2**63 - 1)  # ids and limits, as databases have them
LONGEST_FIELD = 20_000  # letters of a field in a table; --json prints all
ENDS = ("completed", "failed", "cancelled", "retried", "dead")
EVER = "since the queue was made"
COUNTED = {
    "queued": "jobs now that could begin, or wait for a worker, a limit or other jobs",
    "due": "jobs now that wait for their time",
    "running": "jobs now that have begun",
    "completed": f"jobs that were completed {EVER}",
    "failed": f"jobs that failed for good {EVER}, also if they were queued again",
    "cancelled": f"jobs that were cancelled or expired {EVER}",
    "retried": f"attempts that failed, or died with their process, and were made again {EVER}",
    "dead": f"jobs that became dead letters {EVER}, also if they were queued again",
    "paused": "whether no more jobs begin",
}


def counted(count: int, name: str, status: str | None, tag: str | None, task: str | None) -> str:
    """Name the jobs that a number counts."""
    words = [f"{count} job{'' if count == 1 else 's'} of {name}"]
    words += [f"status {status}"] if status else []
    words += [f"tag {tag}"] if tag else []
    words += [f"task {task}"] if task else []
    return ", ".join(words)


def plain_json(stored: bytes | None) -> Any:
    """Return a stored value as JSON; if it is damaged, as text."""
    if stored is None:
        return None
    try:
        return json.loads(stored)
    except (ValueError, RecursionError):
        return repr(stored)


def shown(word: str, value: Any) -> str:
    """Return a field of one job as a table shows it; arguments as a call has them."""
    if word == "arguments":
        try:
            positional, named = value
            value = ", ".join([*map(json.dumps, positional), *(f"{one}={json.dumps(named[one])}" for one in named)])
        except (ValueError, TypeError, KeyError):
            value = str(value)
    elif word == "result" and value is not None:
        value = json.dumps(value)
    elif word == "traceback" and value is not None:
        value = value.rstrip()
    return text_of(written(word, value), LONGEST_FIELD, str)


def told(found: dict[str, Any], as_json: bool, text: str) -> None:
    """Report a command's work."""
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo(text, err=True)


def told_of(done: dict[int, tuple[bool, str]], as_json: bool) -> None:
    """Report the outcome for each job; one that could not be changed makes the exit code 1."""
    if as_json:
        click.echo(json.dumps([{"job": str(job), "done": ok} for job, (ok, _) in done.items()]))
    else:
        for job, (_, text) in done.items():
            click.echo(f"job {job} {text}", err=True)
    if not all(ok for ok, _ in done.values()):
        raise click.exceptions.Exit(1)


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless it was said already; a script that nobody answers is told how to say it."""
    try:
        if yes or click.confirm(question, err=True):
            return
    except click.Abort:
        if sys.stdin.isatty():  # Ctrl-C, or Ctrl-D
            raise
        click.echo(err=True)
        fail("nothing was removed, as nobody answered: in a script give --yes")
    fail("nothing was removed", 1)


def show(rows: Sequence[dict[str, Any]], as_json: bool, nothing: str = "") -> None:
    """Print rows as a table, or as one JSON list."""
    if as_json:
        click.echo(json.dumps(list(rows), default=repr))  # of a damaged row: bytes in place of text
        return
    if not rows:
        click.echo(nothing, err=True)
        return
    cells = [[harmless(written(name, value)) for name, value in row.items()] for row in rows]
    cells.insert(0, [harmless(name) for name in rows[0]])
    if sys.stdout is not None and sys.stdout.isatty():
        draw(cells)
    else:
        click.echo("\n".join(aligned(cells)))


def draw(cells: list[list[str]]) -> None:
    """Print a table that is folded to the width of the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in cells[0]:
        table.add_column(name, overflow="fold")
    for row in cells[1:]:
        table.add_row(*row)
    Console(markup=False, emoji=False, highlight=False).print(table)  # what is stored is no markup of ours


def aligned(cells: list[list[str]]) -> Iterator[str]:
    """Yield the lines of a table for a file or a pipe: nothing is folded. 20,000 rows take 2 s, with rich 50 s."""
    split = [[cell.split("\n") for cell in row] for row in cells]
    widths = [max(len(line) for cell in column for line in cell) for column in zip(*split, strict=True)]
    for row in split:
        for lines in zip_longest(*row, fillvalue=""):
            yield "  ".join(line.ljust(width) for line, width in zip(lines, widths, strict=True)).rstrip()


def written(name: str, value: Any) -> str:
    """Return a value as a table shows it."""
    if value is None or value == ():
        return ""
    if isinstance(value, float) and name in {"created", "due", "started", "ended", "time"}:
        with contextlib.suppress(ValueError, OverflowError, OSError):  # of a damaged row: no time
            return dt.datetime.fromtimestamp(value).astimezone().isoformat(" ", "seconds")
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
