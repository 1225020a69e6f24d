"""`actorflow sim MODULE:ATTRIBUTE`: searches seeds of an app in virtual time for a run in which a property fails."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from actorflow.cli import fail, import_from_here, tell
from actorflow.errors import ActorflowError, DefinitionError
from actorflow.text import LONGEST_ERROR, text_of

if TYPE_CHECKING:
    from actorflow.app.app import App
    from actorflow.sim.failure import SimulationFailure
    from actorflow.sim.scenario.scenario import Scenario
    from actorflow.sim.search.settings import SearchSettings
    from actorflow.sim.search.workers import RunNotes

FAILED: Final = 1
COUNT: Final = click.IntRange(1)
MEASURED: Final = 20  # runs of a report
NO_PROPERTY: Final = "the scenario has none; give it [[checks]], or call sim.always(...) in it"
DIAGRAM: Final = "sequenceDiagram"


@click.command(short_help="Search seeds of an app in virtual time for a run that fails.")
@click.argument("app", metavar="MODULE:ATTRIBUTE")
@click.option(
    "--scenario", type=click.Path(path_type=Path), metavar="FILE.toml", help="Its clients, faults and checks."
)
@click.option("--runs", type=COUNT, metavar="N", help="So many seeds, instead of as many as the scenario says (100).")
@click.option(
    "--until",
    type=click.FloatRange(min=0, min_open=True, max=1e9),
    metavar="SECONDS",
    help="The end of a run in virtual time, instead of the scenario's (60).",
)
@click.option("--workers", type=click.IntRange(1, 1000), default=1, metavar="N", help="Share seeds out to N processes.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Run this seed only, as a failure says.")
@click.option("--tape", type=click.Path(path_type=Path), metavar="FILE", help="Run this tape only.")
@click.option("--tapes", type=click.Path(path_type=Path), metavar="FOLDER", help="Keep failures there; they run first.")
@click.option("--budget", metavar="TIME", help="End the search after this real time, such as 60s or 2m.")
@click.option("--verify", is_flag=True, help="Run each seed twice, and compare the steps.")
@click.option("--report", type=click.Path(path_type=Path), metavar="OUT.html", help="Write figures and pictures there.")
@click.option("--sweep", multiple=True, metavar="NAME=V,...", help="Compare these values of a setting, by figures.")
@click.option(
    "--warm-up",
    type=click.FloatRange(0, 1e9),
    metavar="SECONDS",
    help="Of a sweep: leave out this begin of each run; by default it is found from the queues.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sim(
    app: str,
    scenario: Path | None,
    runs: int | None,
    until: float | None,
    workers: int,
    seed: int | None,
    tape: Path | None,
    tapes: Path | None,
    budget: str | None,
    verify: bool,
    report: Path | None,
    sweep: tuple[str, ...],
    warm_up: float | None,
    as_json: bool,
) -> int:
    """Run an app in virtual time, with many seeds, and look for one in which a property fails.

    Each seed has an order of steps, latencies and faults of its own; nothing is real but the code. Clients, network,
    faults and checks come from the FILE of --scenario, or from the function under @app.scenario; without either, hosts
    crash and pause, and every node has to run in the end.

    --report writes a page with latencies, queues and throughput over time, busy actors, faults and diagrams. --sweep
    looks for no failure: it runs the app with each combination of the values of some settings, and prints p99 and
    utilisation over the seeds. A setting is arrivals, nodes, cores, network.latency, or an option of a part or a queue.

    A failure is shrunk to the fewest client events and faults, and drawn; the command that it ends with repeats it.

    \b
    Exit codes:
      0   the properties held in all runs
      1   one did not, or a run could not go on
      2   the command line, the app or the scenario is wrong
      130 interrupted

    \b
    Examples:
      actorflow sim shop:app
      actorflow sim shop:app --scenario shop.toml --runs 1000 --workers 4
      actorflow sim shop:app --scenario shop.toml --seed 17
      actorflow sim shop:app --scenario shop.toml --report shop.html
      actorflow sim shop:app --scenario shop.toml --sweep payments.instances=1,2 --sweep arrivals=50/s,100/s
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    from actorflow.app.loading import load
    from actorflow.cli.quiet import quiet

    import_from_here()
    check_place(report)
    if warm_up is not None and not sweep:
        fail("--warm-up goes with --sweep")
    of_search = {"report": report, "seed": seed, "tape": tape, "tapes": tapes, "budget": budget, "verify": verify}
    for name, value in of_search.items() if sweep else ():
        if value is not None and value is not False:
            fail(f"--sweep and --{name}: give one of them; a sweep looks for no failure")
    try:
        settings = settings_of(
            workers=workers,
            seed=seed,
            tape=tape,
            budget=budget,
            verify=verify,
            command=command_of(app, scenario, until),
        )
        found = load(app)
        chosen = scenario_of(scenario).replaced(until, runs)
        with quiet():
            chosen.try_out(found)
    except ActorflowError as error:
        fail(text_of(error, LONGEST_ERROR, str))
    if sweep:
        compare(app, chosen, sweep, warm_up, as_json)
        return 0
    with quiet() as errors:
        findings = searched(app, found, chosen, settings, tapes, errors)
    findings["errors"] = errors.lines()
    show(findings, as_json)  # first: they are there, even if the page cannot be written
    if report is not None:
        write_report(report, app, chosen, findings, settings)
    return FAILED if findings["failure"] else 0


def check_place(report: Path | None) -> None:
    """Refuse a report that cannot be written, before the search."""
    if report is None:
        return
    if not report.absolute().parent.is_dir():
        fail(f"cannot write {report}: there is no folder {report.parent}; give another --report")
    try:
        if report.is_dir():
            fail(f"cannot write {report}: it is a folder; give another --report")
        is_new = not report.exists()
        with report.open("ab"):
            pass
        if is_new:
            report.unlink()
    except OSError as error:
        fail(f"cannot write {report}: {error.strerror}; give another --report")


def write_report(path: Path, app: str, scenario: Scenario, findings: dict[str, Any], settings: SearchSettings) -> None:
    """Run some seeds again, with their figures recorded, and write the page."""
    from actorflow.cli.progress import ProgressBar
    from actorflow.cli.quiet import quiet
    from actorflow.sim.choices.tape import Tape
    from actorflow.sim.html.page import page_of
    from actorflow.sim.scenario.measuring import measured

    failure = findings["failure"]
    tape = None if settings.tape is None else Tape.read(settings.tape)
    first = 0 if failure is None else failure["seed"]
    seeds = list(dict.fromkeys([first, *range(scenario.runs)]))[:MEASURED]
    if settings.seed is not None or tape is not None:
        seeds = [tape.seed if tape is not None else settings.seed or 0]
    runs = []
    with quiet(), ProgressBar("report") as progress:
        for number, one in enumerate(seeds, 1):
            try:
                runs.append(measured(app, scenario, one, tape=tape))
            except ActorflowError as error:
                fail(text_of(error, LONGEST_ERROR, str))
            progress(number, len(seeds))
    try:
        path.write_text(page_of(findings, runs, runs[0]), encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}; give another --report")


def compare(app: str, scenario: Scenario, sweep: tuple[str, ...], warm_up: float | None, as_json: bool) -> None:
    """Run the app with each combination of settings, and print the figures."""
    from actorflow.cli.output import show as show_rows
    from actorflow.cli.progress import ProgressBar
    from actorflow.cli.quiet import quiet
    from actorflow.sim.scenario.sweep import columns_of, swept
    from actorflow.sim.scenario.variation import changes_of

    try:
        settings = [changes_of(text) for text in sweep]
        with quiet(), ProgressBar("sweep") as progress:
            rows = swept(app, scenario, settings, warm_up=warm_up, progress=progress)
    except ActorflowError as error:
        fail(text_of(error, LONGEST_ERROR, str))
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in rows]))
        return
    latencies, used = columns_of(rows)
    show_rows(
        [
            {
                **row.settings,
                **{f"p99 {name}": str(row.p99.get(name, "")) for name in latencies},
                **{f"busy {name}": str(row.utilisation.get(name, "")) for name in used},
                "warm-up": f"{row.warm_up:.3g} s",
                **({"failed": row.failed} if any(row.failed for row in rows) else {}),
            }
            for row in rows
        ],
        as_json=False,
    )
    click.echo(f"over {scenario.runs} seeds each: mean ± half of the interval that has it at 95 %; p99 in seconds")


def settings_of(*, budget: str | None, **given: Any) -> SearchSettings:
    """Return the settings of the search."""
    from actorflow.sim.search.settings import SearchSettings, seconds_of

    return SearchSettings(budget=None if budget is None else seconds_of(budget), **given)


def scenario_of(path: Path | None) -> Scenario:
    """Return the scenario of a file, or the one that says nothing."""
    from actorflow.sim.scenario.reading import read_scenario
    from actorflow.sim.scenario.scenario import Scenario

    return Scenario() if path is None else read_scenario(path)


def command_of(app: str, scenario: Path | None, until: float | None) -> str:
    """Return the command that runs the same search; the options of one run may follow."""
    words = ["actorflow", "sim", app]
    words += [] if scenario is None else ["--scenario", str(scenario)]
    words += [] if until is None else ["--until", f"{until:g}"]
    return shlex.join(words)


def searched(
    target: str, app: App, scenario: Scenario, settings: SearchSettings, tapes: Path | None, notes: RunNotes
) -> dict[str, Any]:
    """Search, and return the findings."""
    from actorflow.cli.progress import ProgressBar
    from actorflow.sim.failure import SimulationFailure
    from actorflow.sim.scenario.scenario import run_app
    from actorflow.sim.search.outcome import TestBody
    from actorflow.sim.search.seeds import Search
    from actorflow.sim.search.settings import use
    from actorflow.sim.search.tally import TALLY, Tally
    from actorflow.sim.search.tapes import TapeFolder

    folder = None if tapes is None else TapeFolder(tapes.absolute(), target)
    failure: SimulationFailure | None = None
    before, shared = TALLY.packed(), set(TALLY.shared)
    with use(settings), ProgressBar(app.name[:40]) as progress:
        search = Search(TestBody(run_app, (target, scenario)), folder, progress=progress, notes=notes)
        try:
            search.run(range(scenario.runs))
        except SimulationFailure as error:
            failure = error
        except DefinitionError as error:
            fail(text_of(error, LONGEST_ERROR, str))
        except ActorflowError as error:
            fail(text_of(error, LONGEST_ERROR, str), FAILED)
    tally = Tally()
    tally.merge([after - earlier for after, earlier in zip(TALLY.packed(), before, strict=True)])
    tally.shared = TALLY.shared - shared
    return {
        "app": app.name,
        "runs": tally.runs,
        "orders": tally.orders,
        "steps": tally.steps,
        "virtual_seconds": tally.time,
        "faults": tally.faults,
        "properties": search.properties,
        "is_cut": search.is_cut,
        "shared": sorted(tally.shared),
        "warning": tally.warning(),
        "met": search.met,
        "failure": None if failure is None else fields_of(failure),
    }


def fields_of(failure: SimulationFailure) -> dict[str, Any]:
    """Return a failure as JSON has it."""
    words, _, diagram = failure.scenario.partition(f"\n\n{DIAGRAM}")
    again = [line.removeprefix("again: ") for line in words.splitlines() if line.startswith("again: ")]
    return {
        "property": failure.property,
        "time": failure.time,
        "why": failure.why,
        "seed": failure.seed,
        "scenario": words,
        "command": again[0] if again else None,
        "diagram": DIAGRAM + diagram if diagram else None,
        "text": str(failure),
    }


def show(report: dict[str, Any], as_json: bool) -> None:
    """Print the findings of a search."""
    if as_json:
        click.echo(json.dumps(report))
        return
    failure = report["failure"]
    if failure is not None:
        click.echo(failure["text"])
        click.echo()
    cut = ", cut by the budget" if report["is_cut"] and failure is None else ""
    click.echo(
        f"{report['app']}: {report['runs']:,} runs{cut}, {report['orders']:,} of them with steps of their own; "
        f"{report['steps']:,} steps, {report['virtual_seconds']:,.0f} virtual seconds, {report['faults']:,} faults"
    )
    if report["errors"]:
        click.echo(f"handlers raised: {'; '.join(report['errors'])}")
    if report["warning"]:
        click.echo(report["warning"])
    if failure is None:
        click.echo("all properties held" if report["properties"] else f"no property was checked: {NO_PROPERTY}")
        return
    tell(f"{text_of(failure['property'], LONGEST_ERROR)} does not hold; the run is repeated by the command above")
