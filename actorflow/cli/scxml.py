"""`actorflow scxml FILE...`: runs SCXML documents as actors, and prints their outcomes."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from actorflow.cli import USAGE_ERROR
from actorflow.errors import ActorDeadError, ActorflowError, DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actorflow.app.system import ActorSystem
    from actorflow.core.refs.ref import ActorRef
    from actorflow.machine.scxml.actor import ScxmlActor
    from actorflow.machine.scxml.document import ScxmlChart

POLL: Final = 0.01  # seconds between two looks at a document that waits for a delay
OVERTIME: Final = 1.0  # seconds that a document may be busy beyond its time before the process is ended
DATAMODELS: Final = ("python", "ecmascript", "c89", "null")
JUMPS: Final = 10_000  # of the virtual clock, for one file: a document that ticks for ever comes to an end


def parse_event(text: str) -> tuple[str, tuple[Any, ...]]:
    """Read NAME or NAME=JSON."""
    name, has_data, data = text.partition("=")
    if not name or name.split() != [name]:
        raise click.UsageError(f"--event {text!r}: give NAME or NAME=JSON, such as pay='{{\"amount\": 5}}'")
    try:
        return name, ((json.loads(data),) if has_data else ())
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--event {text!r}: the value after = is not JSON: {error}") from None


@click.command(short_help="Run SCXML documents.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--event", "events", multiple=True, metavar="NAME[=JSON]", help="Send an event; repeat it for more.")
@click.option("--virtual", is_flag=True, help="Run delays on a virtual clock, until none is left: no waiting.")
@click.option("--timeout", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Seconds for one file.")
@click.option("--trust", is_flag=True, help="Run <script>: any Python code. Only for documents that you trust.")
@click.option(
    "--datamodel",
    type=click.Choice(DATAMODELS),
    default="python",
    show_default=True,
    help="The data model of a document that names none.",
)
def scxml(
    files: tuple[str, ...], events: tuple[str, ...], virtual: bool, timeout: float, trust: bool, datamodel: str
) -> int:
    """Run each SCXML document as an actor, and print one line of JSON for it.

    \b
    {"file": ..., "configuration": [active states], "done": true or false, "log": [[label, value], ...]}
    {"file": ..., "error": ...} for a document that is wrong; the others go on, and the exit code is 2.

    The events are sent in order after the start. Then it waits until the document is done or no delay is left. A
    document that is still busy a second after its timeout ends the process: the files after it are not run.
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    if math.isnan(timeout):
        raise click.UsageError("--timeout nan: give a number of seconds")
    messages = [parse_event(text) for text in events]
    failed = False
    for number, file in enumerate(files):
        line: dict[str, Any] = {"file": file}
        try:
            with process_deadline(timeout, files[number:]):
                runner = run_virtually if virtual else run_live
                line |= runner(file, messages, timeout, functools.partial(load_file, file, trust, datamodel))
        except ActorflowError as error:
            line["error"] = str(error)
            failed = True
        click.echo(json.dumps(plain(line)))
    return USAGE_ERROR if failed else 0


@contextlib.contextmanager
def process_deadline(timeout: float, files: Sequence[str]) -> Iterator[None]:
    """End the process if the first of these files keeps it busy for longer than its time and `OVERTIME`."""

    def end() -> None:
        click.echo(json.dumps({"file": files[0], "error": f"{files[0]}: still busy after {timeout:g} s; ended"}))
        for file in files[1:]:
            click.echo(json.dumps({"file": file, "error": f"{file}: not run, since {files[0]} had to be ended"}))
        os._exit(USAGE_ERROR)  # a busy process would answer nothing gentler

    watch = threading.Timer(min(timeout + OVERTIME, threading.TIMEOUT_MAX), end)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()
        watch.join()


def load_file(file: str, trust: bool, datamodel: str) -> ScxmlChart:
    """Read a document."""
    from actorflow.machine.scxml import load

    return load(file, trust=trust, datamodel=datamodel)


def run_virtually(
    file: str, events: list[tuple[str, tuple[Any, ...]]], timeout: float, read: Callable[[], ScxmlChart]
) -> dict[str, Any]:
    """Run a document on a virtual clock, from delay to delay; `timeout` is in real seconds."""
    from actorflow.app.virtual import VirtualSystem

    system = VirtualSystem("scxml")
    timers, clock, deadline = system.scheduler.timers, system.scheduler.clock, time.monotonic() + timeout

    def wait(ref: ActorRef[ScxmlActor]) -> None:
        system.sleep(0)  # messages between documents without delay
        for _ in range(JUMPS):
            now = look(ref)
            if now.failure or not (now.waits and len(timers)) or time.monotonic() > deadline:
                return
            system.sleep(max(0.0, timers.next_due - clock.now))

    return run(system, file, events, read, wait)


def run_live(
    file: str, events: list[tuple[str, tuple[Any, ...]]], timeout: float, read: Callable[[], ScxmlChart]
) -> dict[str, Any]:
    """Run a document in real time."""
    from actorflow.app.system import ActorSystem

    deadline = time.monotonic() + timeout

    def wait(ref: ActorRef[ScxmlActor]) -> None:
        before, now = None, look(ref)
        while (now.waits or now != before) and not now.failure and time.monotonic() < deadline:
            time.sleep(POLL)
            before, now = now, look(ref)

    return run(ActorSystem("scxml"), file, events, read, wait)


def run(
    system: ActorSystem,
    file: str,
    events: list[tuple[str, tuple[Any, ...]]],
    read: Callable[[], ScxmlChart],
    wait: Callable[[ActorRef[ScxmlActor]], None],
) -> dict[str, Any]:
    """Run a document in a system; `wait` lets time pass until it is over."""
    from actorflow.machine.scxml.actor import ScxmlActor

    with system:
        ref = system.spawn(ScxmlActor, read())
        for name, args in events:
            ref.send(name, *args).get()
        wait(ref)
        failure = look(ref).failure
        report = ref.call(ScxmlActor.report).get()
    if failure is not None:
        raise DefinitionError(f"{file}: {failure}")
    return {"configuration": report.configuration, "done": report.done, "log": report.log}


class Look(NamedTuple):
    """The pending work of a document and those it invokes: none, if two looks are the same and nothing waits."""

    waits: bool
    sent: int
    sessions: int
    failure: str | None


def look(ref: ActorRef[ScxmlActor]) -> Look:
    """Look at a document, and at those that it invokes."""
    from actorflow.machine.scxml.actor import ScxmlActor

    report = ref.call(ScxmlActor.report).get()
    found = [Look(report.waits, report.sent, 1, report.failure)]
    for child in report.children:
        with contextlib.suppress(ActorDeadError):
            found.append(look(child))
    waits, sent, sessions, failures = zip(*found, strict=True)
    return Look(any(waits), sum(sent), sum(sessions), next(filter(None, failures), None))


def plain(value: Any) -> Any:
    """Return a value that JSON has."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return None if repr(value) == "undefined" else str(value)
