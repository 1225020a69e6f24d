"""`actorflow scxml FILE...`: run SCXML documents as actors, and print what became of them. Layer 6."""

from __future__ import annotations

import contextlib
import json
import math
import time
from typing import TYPE_CHECKING, Any, Final

import click

from actorflow.cli import USAGE_ERROR
from actorflow.errors import ActorDeadError, ActorflowError, DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorflow.app.system import ActorSystem
    from actorflow.app.virtual import VirtualSystem
    from actorflow.core.ref import ActorRef
    from actorflow.machine.scxml.actor import ScxmlActor

POLL: Final = 0.01  # seconds between two looks at a document that waits for a delay
JUMPS: Final = 10_000  # of the virtual clock, for one file: what ticks for ever comes to an end


def parse_event(text: str) -> tuple[str, tuple[Any, ...]]:
    """Read NAME or NAME=JSON."""
    name, has_data, data = text.partition("=")
    if not name or name.split() != [name]:
        raise click.UsageError(f"--event {text!r}: give NAME or NAME=JSON, such as pay='{{\"amount\": 5}}'")
    try:
        return name, ((json.loads(data),) if has_data else ())
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--event {text!r}: what stands behind = is no JSON: {error}") from None


@click.command(short_help="Run SCXML documents.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--event", "events", multiple=True, metavar="NAME[=JSON]", help="Send an event; repeat it for more.")
@click.option("--virtual", is_flag=True, help="Run delays on a virtual clock, until none is left: no waiting.")
@click.option("--timeout", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Seconds for one file.")
@click.option("--trust", is_flag=True, help="Run <script>: any Python code. Only for documents that you trust.")
def scxml(files: tuple[str, ...], events: tuple[str, ...], virtual: bool, timeout: float, trust: bool) -> int:
    """Run each SCXML document as an actor, and print one line of JSON for it.

    \b
    {"file": ..., "configuration": [active states], "done": true or false, "log": [[label, value], ...]}
    {"file": ..., "error": ...} for a document that is wrong; the others go on, and the exit code is 2.

    The events are sent in order after the start. Then it waits until the document is done or no delay is left.
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    messages = [parse_event(text) for text in events]
    failed = False
    for file in files:
        line: dict[str, Any] = {"file": file}
        try:
            line |= (run_virtually if virtual else run_live)(file, messages, timeout, trust)
        except ActorflowError as error:
            line["error"] = str(error)
            failed = True
        click.echo(json.dumps(plain(line), ensure_ascii=False))
    return USAGE_ERROR if failed else 0


def run_virtually(file: str, events: list[tuple[str, tuple[Any, ...]]], timeout: float, trust: bool) -> dict[str, Any]:
    """Run a document on a virtual clock; `timeout` is in real seconds."""
    from actorflow.app.virtual import VirtualSystem

    def wait(system: ActorSystem, is_over: Callable[[], bool]) -> None:
        jump(system, is_over, time.monotonic() + timeout)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    return run(VirtualSystem("scxml"), file, events, trust, wait)


def run_live(file: str, events: list[tuple[str, tuple[Any, ...]]], timeout: float, trust: bool) -> dict[str, Any]:
    """Run a document in real time."""
    from actorflow.app.system import ActorSystem

    deadline = time.monotonic() + timeout

    def wait(_system: ActorSystem, is_over: Callable[[], bool]) -> None:
        while not is_over() and time.monotonic() < deadline:
            time.sleep(POLL)

    return run(ActorSystem("scxml"), file, events, trust, wait)


def run(
    system: ActorSystem,
    file: str,
    events: list[tuple[str, tuple[Any, ...]]],
    trust: bool,
    wait: Callable[[ActorSystem, Callable[[], bool]], None],
) -> dict[str, Any]:
    """Run a document in a system; `wait` lets time pass until it is over."""
    from actorflow.machine.scxml import load
    from actorflow.machine.scxml.actor import ScxmlActor

    with system:
        chart = load(file, trust=trust)
        ref = system.spawn(ScxmlActor, chart)
        for name, args in events:
            ref.send(name, *args).get()
        wait(system, lambda: not any(waiting(ref)))
        report = ref.call(ScxmlActor.report).get()
    if report.failure is not None:
        raise DefinitionError(f"{file}: {report.failure}")
    return {"configuration": report.configuration, "done": report.done, "log": report.log}


def waiting(ref: ActorRef[ScxmlActor]) -> Iterator[bool]:
    """Say for a document, and for those that it invokes, whether it waits for a delay."""
    from actorflow.machine.scxml.actor import ScxmlActor

    report = ref.call(ScxmlActor.report).get()
    yield report.waits
    for child in report.children:
        with contextlib.suppress(ActorDeadError):
            yield from waiting(child)


def jump(system: VirtualSystem, is_over: Callable[[], bool], deadline: float) -> None:
    """Let virtual time pass, from delay to delay."""
    timers, clock = system.scheduler.timers, system.scheduler.clock
    for _ in range(JUMPS):
        if is_over() or not len(timers) or time.monotonic() > deadline:
            return
        system.sleep(max(0.0, timers.next_due - clock.now))


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
