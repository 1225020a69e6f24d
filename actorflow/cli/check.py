"""`actorflow check APP`: lists the parts of an app, with their mistakes, and replays a run with its code of today."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from actorflow.cli import fail, import_from_here, tell
from actorflow.cli.output import show
from actorflow.cli.queue import opened
from actorflow.errors import ActorflowError, DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.app.app import App
    from actorflow.events.topology.findings import Finding

HASH_SEEDS: Final = ("0", "1", "2", "3")  # a set of two texts has the same order under all of them once in eight times
WRONG: Final = 1
REPORT: Final = "report of a replay: "  # begins the line of it, among those that the app prints, also as it ends


@click.command(short_help="Check an app, or replay a run with its code.")
@click.argument("app", metavar="MODULE:ATTRIBUTE")
@click.option("--store", "url", envvar="ACTORFLOW_STORE", show_envvar=True, metavar="URL", help="The store of the run.")
@click.option("--run", metavar="ID", help="Replay this run of the store.")
@click.option(
    "--export", type=click.File(), metavar="FILE", help="Replay the run of a file of `actorflow runs export`."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--here", is_flag=True, hidden=True)
def check(app: str, url: str | None, run: str | None, export: TextIO | None, as_json: bool, here: bool) -> int:
    """List the actors, services, machines, tasks, workflows, sagas, queues and DAGs of an app, and their mistakes.

    Mistakes in the events between services are told, too: events that nobody handles, handlers of events that nobody
    publishes, circles without an end, and work that nobody undoes after a failure; so are steps of sagas that have no
    compensation.

    With --run or --export, replay a run with the code of today: does it still take the steps that are recorded? That is
    done in fresh processes, each with another PYTHONHASHSEED, clock and random state; no task is run. Calls of clocks,
    chance and threads in the body are told with their lines.

    \b
    Exit codes:
      0   all is well
      1   the app has mistakes, or the code does not fit the records of the run
      2   the command line, the app or the run cannot be read

    \b
    Examples:
      actorflow check shop.orders:app
      actorflow check shop.orders:app --store sqlite:///shop.db --run paris-1
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    if run is not None and export is not None:
        fail("--run and --export both name a run: give one of them")
    if export is not None:
        text = export.read()
        return replay_here(app, text) if here else replay_in_fresh_processes(app, text, as_json)
    if run is None:
        return check_app(app, as_json)
    if url is None:
        fail("--run names a run of a store: give --store, such as sqlite:///shop.db")
    from actorflow.workflows.stored_runs import StoredRuns

    with opened(url, "read") as store:
        text = json.dumps(StoredRuns(store).export(run))
    return replay_in_fresh_processes(app, text, as_json)


# --- the app ---------------------------------------------------------------------------------------------------------


def loaded(target: str) -> App:
    """Return the app of a name; a mistake in it is exit code 1, and one in the name 2."""
    from actorflow.app.loading import load

    import_from_here()
    try:
        return load(target)
    except DefinitionError as error:
        fail(str(error), WRONG if isinstance(error.__cause__, ActorflowError) else 2)


def check_app(target: str, as_json: bool) -> int:
    """Print the parts of an app, and the mistakes in them."""
    app = loaded(target)
    module = target.partition(":")[0]
    parts = [*parts_of(app, module)]
    errors = [text for _, _, text in parts if text]
    found: list[Finding] = []
    try:
        app._declared.check()
        found += findings_of(app, module)
    except DefinitionError as error:
        errors.append(str(error))
    errors += map(str, found)
    rows = [{"kind": kind, "name": name} for kind, name, _ in parts]
    if as_json:
        findings = [{"kind": one.kind, "subject": one.subject, "place": one.place, "text": one.text} for one in found]
        click.echo(json.dumps({"app": app.name, "adds": rows, "errors": errors, "findings": findings}))
    else:
        show(rows, as_json, f"app {app.name} adds nothing")
        for text in errors:
            tell(text)
    return WRONG if errors else 0


def findings_of(app: App, module: str) -> list[Finding]:
    """Return the mistakes in the events between the services of an app, and in its sagas.

    Raises:
        DefinitionError: an annotation of a handler cannot be read.
    """
    found: list[Finding] = []
    if "actorflow.events.handlers" in sys.modules:  # else it has no services
        from actorflow.app.topology import topology_of
        from actorflow.events.topology.findings import findings_in

        found += findings_in(topology_of(app, module))
    for saga in (one for one in app._declared.workflows.values() if one.is_saga):
        from actorflow.sagas.outline import findings_in_saga

        found += findings_in_saga(saga)
    return found


def parts_of(app: App, module: str) -> Iterator[tuple[str, str, str]]:
    """Yield the kind and the name of each thing that an app adds, or its modules hold, and the mistake in it."""
    declared = app._declared
    modules = {module: None}
    for part in declared.parts:
        name = part.traits.options.name or part.actor_class.__name__
        modules[part.actor_class.__module__] = None
        yield kind_of(part.actor_class), name, ""
    for kind, functions in (("task", declared.tasks), ("workflow", declared.workflows)):
        for name, one in functions.items():
            modules[one.function.__module__] = None
            yield ("saga" if getattr(one, "is_saga", False) else kind), name, ""
    for name in declared.queues:
        yield "queue", name, ""
    if "actorflow.workflows.dag.definition" in sys.modules:
        yield from dags_of(modules)


def kind_of(cls: type[Any]) -> str:
    """Return the kind of a class of actors."""
    if hasattr(cls, "chart"):
        return "machine"
    if "actorflow.events.handlers" in sys.modules:
        from actorflow.events.handlers import marked

        return "service" if marked(cls) else "actor"
    return "actor"


def dags_of(modules: dict[str, None]) -> Iterator[tuple[str, str, str]]:
    """Yield the DAGs that modules hold."""
    from actorflow.workflows.dag.definition import Dag

    seen: list[Dag] = []
    for module in modules:
        for value in [*vars(sys.modules.get(module, sys)).values()]:
            if isinstance(value, Dag) and not any(value is one for one in seen):
                seen.append(value)
                try:
                    value.check()
                except DefinitionError as error:
                    yield "dag", value.name, str(error)
                else:
                    yield "dag", value.name, ""


# --- a run -----------------------------------------------------------------------------------------------------------


def replay_here(target: str, text: str) -> int:
    """Replay an exported run in this process, and print the report as one line of JSON."""
    from actorflow.app.replay import replay
    from actorflow.workflows.workflow import find_workflow

    loaded(target)
    try:
        export = json.loads(text)
        workflow = find_workflow(str(export["workflow"]))
    except DefinitionError as error:
        fail(str(error))
    except (ValueError, KeyError, TypeError):
        fail("the file is no export of a run, which `actorflow runs export` writes")
    try:
        report = replay(workflow, export)
    except ActorflowError as error:
        fail(str(error), 2 if isinstance(error, DefinitionError) else WRONG)
    doubts = [
        {"kind": one.kind, "call": one.call, "file": one.file, "line": one.line, "text": str(one)}
        for one in report.doubts
    ]
    difference = None if report.difference is None else str(report.difference)
    found = {"run": report.run, "workflow": report.workflow, "records": report.records}
    click.echo(f"\n{REPORT}" + json.dumps({**found, "difference": difference, "doubts": doubts}))
    return 0


def replay_in_fresh_processes(target: str, text: str, as_json: bool) -> int:
    """Replay an exported run once for each seed of hashes; print the first difference, and all doubts."""
    command = [sys.executable, "-m", "actorflow", "check", target, "--export", "-", "--here"]
    children = [
        subprocess.Popen(  # noqa: S603 - our own program
            command,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in HASH_SEEDS
    ]
    ends = [(*child.communicate(text), child.returncode) for child in children]
    for _, words, code in ends:
        if code:
            lines = words.strip().splitlines()
            fail(lines[-1].removeprefix("actorflow: ") if lines else f"a replay ended with exit code {code}", code)
    reports = [report_in(out) for out, _, _ in ends]
    found = {**reports[0], "difference": first_difference([report["difference"] for report in reports])}
    found["doubts"] = list({doubt["text"]: doubt for report in reports for doubt in report["doubts"]}.values())
    if as_json:
        click.echo(json.dumps(found))
    else:
        for doubt in found["doubts"]:
            click.secho(f"actorflow: {doubt['text']}", err=True, fg="yellow")
        if found["difference"] is None:
            click.echo(f"run {found['run']} fits the code of {found['workflow']}: {found['records']} records")
        else:
            tell(f"run {found['run']}: {found['difference']}")
    return 0 if found["difference"] is None else WRONG


def report_in(out: str) -> dict[str, Any]:
    """Return the report of a replay from the lines that its process has printed."""
    lines = [line for line in out.splitlines() if line.startswith(REPORT)]
    if not lines:
        fail("a replay ended before its report: the app ends the process, such as by sys.exit()")
    report: dict[str, Any] = json.loads(lines[-1].removeprefix(REPORT))
    return report


def first_difference(found: list[str | None]) -> str | None:
    """Return the first difference; if the code fits under other seeds of hashes, with the reason."""
    for seed, difference in zip(HASH_SEEDS, found, strict=True):
        if difference is not None:
            if None not in found:
                return difference
            return (
                f"{difference} (under PYTHONHASHSEED={seed}, and not under each other one: the body walks a set, or "
                "depends on hashes otherwise: sort it)"
            )
    return None
