"""`actorflow graph TARGET`: draw a state machine, or the services of an app with their events."""

from __future__ import annotations

import json
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from actorflow.cli import fail, import_from_here
from actorflow.errors import ActorflowError, DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.app.app import App
    from actorflow.events.topology.flowchart import Flowchart
    from actorflow.events.topology.topology import Topology
    from actorflow.machine.definition.chart import Chart
    from actorflow.workflows.workflow import AnyWorkflow

FORMATS = {"mermaid": (".mmd", ".mermaid"), "dot": (".dot", ".gv"), "svg": (".svg",)}
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".pdf", ".ps", ".eps"}


class Drawable(Protocol):
    """A chart of states, or a flowchart."""

    def mermaid(self) -> str:
        """Return the text for Mermaid."""
        ...

    def dot(self) -> str:
        """Return the text for Graphviz."""
        ...

    def svg(self) -> str:
        """Return the picture."""
        ...


@click.command(short_help="Draw an app's services, events and sagas, or a state machine.", options_metavar="[OPTIONS]")
@click.argument("target", metavar="MODULE:ATTRIBUTE|FILE")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="By default the output's, or mermaid.")
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to stdout.")
def graph(target: str, form: str | None, output: Path | None) -> None:
    """Draw the services of an app with the events between them, and its sagas, or a state machine.

    The target is an App, a Service class, a saga, a StateMachine class or a Chart in a module that can be imported from
    here, or a FILE. Events are read from the annotations of handlers, and from calls of publish and subscribe in the
    source; the steps of a saga from the calls of tasks in its code. Nothing is run. A FILE ends in .json (the form of
    `chart.to_dict()`) or in .scxml. The format svg needs Graphviz.

    \b
    Examples:
      actorflow graph shop.choreographed:app
      actorflow graph shop.orders:Order
      actorflow graph lamp.json --output lamp.svg
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    form = form or _form_of(output)
    try:
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            chart = _drawable(target)
        text: str = getattr(chart, form)()
    except ActorflowError as error:
        fail(str(error))
    for doubt in doubts:
        click.secho(f"actorflow: {' '.join(str(doubt.message).split())}", err=True, fg="yellow")
    picture = text.encode(errors="replace")
    if output is None:
        click.echo(picture, nl=False)
        return
    try:
        output.write_bytes(picture)
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}; give another --output")


def _form_of(output: Path | None) -> str:
    """Return the format that a file's name asks for; text of any other name is mermaid."""
    ending = "" if output is None else output.suffix.lower()
    if ending in PICTURES:
        fail(f"{output}: graph draws no {ending}: give a name that ends in .svg, .dot or .mmd, or convert the svg")
    return next((name for name, ends in FORMATS.items() if ending in ends), "mermaid")


def _drawable(target: str) -> Drawable:
    if target.endswith((".json", ".scxml")) and ":" not in target:
        return _from_file(Path(target))
    from actorflow.app.loading import find

    import_from_here()
    as_wanted: Callable[[Any], Drawable | None] = partial(_as_drawable, target)
    wanted = "an af.App, an af.Service, a saga, an af.StateMachine or a Chart"
    return find(target, as_wanted, "target", wanted, "shop.orders:Order")


def _as_drawable(target: str, value: Any) -> Drawable | None:
    from actorflow.app.app import App
    from actorflow.app.topology import service_topology
    from actorflow.events.service import Service
    from actorflow.machine.definition.chart import Chart
    from actorflow.machine.state_machine import StateMachine

    if isinstance(value, App):
        return _of_app(value, target.partition(":")[0])
    if isinstance(value, type) and issubclass(value, StateMachine) and value is not StateMachine:
        return value.chart
    if isinstance(value, type) and issubclass(value, Service) and value is not Service:
        return _of_services(service_topology(value), value.__name__)
    if getattr(type(value), "is_saga", False):
        from actorflow.events.topology.flowchart import Flowchart

        saga: Any = value
        return _add_saga(Flowchart(saga.function.__name__), saga)
    return value if isinstance(value, Chart) else None


def _of_app(app: App, module: str) -> Flowchart:
    from actorflow.app.topology import topology_of

    topology = topology_of(app, module)
    sagas = [one for one in app._declared.workflows.values() if one.is_saga]
    if not topology.services and not sagas:
        cure = f"draw a machine by its class, such as actorflow graph {module}:Order"
        raise DefinitionError(f"app {app.name} has no services and no sagas, so there is nothing to draw: {cure}")
    chart = _of_services(topology, app.name)
    for saga in sagas:
        _add_saga(chart, saga)
    return chart


def _add_saga(chart: Flowchart, saga: AnyWorkflow) -> Flowchart:
    from actorflow.sagas.outline import draw_saga

    draw_saga(saga, chart)
    return chart


def _of_services(topology: Topology, name: str) -> Flowchart:
    from actorflow.events.topology.flowchart import Flowchart
    from actorflow.events.topology.pictures import draw_topology

    chart = Flowchart(name)
    draw_topology(topology, chart)
    return chart


def _from_file(path: Path) -> Chart:
    from actorflow.machine.definition.chart import Chart

    if path.suffix == ".scxml":
        return Chart.from_scxml(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DefinitionError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{path} is not UTF-8: {error.reason} at byte {error.start}; save it as UTF-8") from error
    try:
        return _from_json(text)
    except DefinitionError as error:
        raise DefinitionError(f"{path}: {error}") from error


def _from_json(text: str) -> Chart:
    from actorflow.machine.definition.chart import Chart

    try:
        data = json.loads(text)
    except ValueError as error:
        raise DefinitionError(f"the file is not JSON: {error}") from error
    except RecursionError:
        raise DefinitionError("the file is nested too deep") from None
    return Chart.from_dict(data)
