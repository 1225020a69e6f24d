"""`actorflow graph`: it finds the machine, draws it in the format that is wanted, and says what stands in the way."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import textwrap

import pytest
from click.testing import CliRunner

# Before a test forgets what it has imported: no class twice, and one module to patch.
import actorflow.events.event
import actorflow.machine.pictures.graphviz
import actorflow.machine.state_machine
from actorflow.cli import main

NUMBERS = itertools.count()

LAMP = """
    import actorflow as af
    from actorflow.machine.definition.chart import Chart, StateNode, Transition

    class Lamp(af.StateMachine):
        off, on = af.State(initial=True), af.State()

        @off.to(on)
        @on.to(off)
        def press(self) -> None: ...

    class Abstract(af.StateMachine):
        def nothing(self) -> None: ...

    root = StateNode("", "compound", children=("one",), initial=Transition("", targets=("one",)))
    by_hand = Chart("by hand", {"": root, "one": StateNode("one")})
    number = 3
"""
LAMP_DICT = {
    "name": "lamp",
    "initial": "off",
    "states": {"off": {"on": {"press": "on"}}, "on": {"on": {"press": "off"}}},
}
TEXT = """\
stateDiagram-v2
    [*] --> off
    off
    on
    off --> on : press
    on --> off : press
"""


@pytest.fixture
def lamp(tmp_path, monkeypatch):
    """Write a module into the current folder and return its name; each has a new one, as imports are remembered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    name = f"lamp_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(LAMP))
    return name


def graph(*args: str):
    return CliRunner().invoke(main, ["graph", *args])


def refused(result) -> str:
    """Check the form of a refusal and return its text."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("actorflow: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_class_is_drawn_as_mermaid_on_stdout(lamp):
    result = graph(f"{lamp}:Lamp")
    assert (result.exit_code, result.stdout, result.stderr) == (0, TEXT, "")


def test_chart_is_drawn(lamp):
    assert "[*] --> one" in graph(f"{lamp}:by_hand").stdout


def test_dot_on_request(lamp):
    assert graph(f"{lamp}:Lamp", "--format", "dot").stdout.startswith('digraph "Lamp" {\n')


@pytest.mark.parametrize(
    ("file", "begin"), [("a.mmd", "stateDiagram-v2"), ("a.dot", "digraph"), ("a.txt", "stateDiag")]
)
def test_output_goes_to_a_file_in_the_format_of_its_ending(lamp, tmp_path, file, begin):
    result = graph(f"{lamp}:Lamp", "--output", file)
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / file).read_text().startswith(begin)


@pytest.mark.parametrize("file", ["lamp.png", "LAMP.PNG", "lamp.pdf"])
def test_picture_that_cannot_be_drawn_is_refused_with_the_formats(lamp, tmp_path, file):
    assert ".svg" in refused(graph(f"{lamp}:Lamp", "--output", file))
    assert not (tmp_path / file).exists()


def test_format_is_stronger_than_the_ending(lamp, tmp_path):
    graph(f"{lamp}:Lamp", "--output", "a.dot", "--format", "mermaid")
    assert (tmp_path / "a.dot").read_text() == TEXT


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_svg_is_drawn(lamp):
    assert "<svg" in graph(f"{lamp}:Lamp", "--format", "svg").stdout


def test_json_file_is_drawn(lamp, tmp_path):
    (tmp_path / "lamp.json").write_text(json.dumps(LAMP_DICT))
    result = graph("lamp.json")
    assert (result.exit_code, result.stdout, result.stderr) == (0, TEXT, "")


def test_scxml_file_is_drawn(lamp, tmp_path):
    states = "<state id='off'><transition event='press' target='on'/></state><final id='on'/>"
    (tmp_path / "lamp.scxml").write_text(
        f"<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0'>{states}</scxml>"
    )
    result = graph("lamp.scxml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "off --> on : press" in result.stdout
    assert "on --> [*]" in result.stdout


def test_doubts_about_a_json_chart_are_lines_on_stderr_and_it_is_drawn(lamp, tmp_path):
    (tmp_path / "lamp.json").write_text(json.dumps(LAMP_DICT | {"states": LAMP_DICT["states"] | {"island": {}}}))
    result = graph("lamp.json")
    assert result.exit_code == 0
    assert "island" in result.stdout
    assert "island" in result.stderr
    assert all(line.startswith("actorflow: ") for line in result.stderr.splitlines())


# --- what stands in the way ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("shop", "'shop' names no target: give module:attribute, such as shop.orders:Order"),
        ("LAMP:lamp", "did you mean 'Lamp'?"),
        ("LAMP:xyz", "its targets are Lamp, by_hand"),
        ("LAMP:number", "is of type int, not an af.App, an af.Service, a saga, an af.StateMachine or a Chart"),
        ("LAMP:Abstract", "it has no states"),
        ("nowhere:Lamp", "no module named 'nowhere' here"),
        ("LAMP.py:Lamp", "is a file: name the module instead"),
        ("none.json", "cannot read none.json: No such file"),
        ("none.scxml", "none.scxml: No such file"),
        ("bad.scxml", "bad.scxml:1: not well-formed XML"),
        ("bad.json", "bad.json: the file is not JSON"),
        ("list.json", "list.json: "),
        ("latin.json", "latin.json is not UTF-8"),
        ("deep.json", "deep.json: the file is nested too deep"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_with_the_cure(lamp, tmp_path, target, text):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.scxml").write_text("<scxml")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "latin.json").write_bytes(b'{"\xe9": 1}')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert text in refused(graph(target.replace("LAMP", lamp)))


def test_svg_without_graphviz_names_the_cure(lamp, monkeypatch):
    monkeypatch.setattr("actorflow.machine.pictures.graphviz.PROGRAMS", ("no-such-program",))
    assert "pip install graphviz-pure" in refused(graph(f"{lamp}:Lamp", "--format", "svg"))


def test_unknown_format_names_the_known(lamp):
    assert "'mermaid', 'dot', 'svg'" in refused(graph(f"{lamp}:Lamp", "--format", "png"))


def test_output_that_cannot_be_written_is_one_line(lamp):
    assert "cannot write no/a.dot: No such file or directory" in refused(graph(f"{lamp}:Lamp", "--output", "no/a.dot"))


# --- apps and services -----------------------------------------------------------------------------------------------

CHOREOGRAPHED = """
    import actorflow as af
    from dataclasses import dataclass

    @af.event(name="orders.placed")
    @dataclass
    class Placed:
        order: str

    @af.event(name="orders.paid")
    @dataclass
    class Paid:
        order: str

    class Payments(af.Service):
        @af.on(Placed)
        def charge(self, event: Placed) -> Paid: ...

    @af.task
    def seat(name: str) -> str: ...

    @seat.compensate
    def free(seat: str) -> None: ...

    @af.saga
    def trip(name: str) -> None:
        seat(name)

    class Till(af.Service):
        def open(self) -> None:
            self.publish(Placed("o2"))

    app = af.App("shop").add(Payments)
    travel = af.App("travel").add(trip)
    empty = af.App("empty")

    @app.main
    def main(system, settings):
        system.publish(Placed("o1"))
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Write a module with an app of services, and return its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setattr(actorflow.events.event, "DECLARED_EVENTS", {})
    name = f"drawn_shop_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(CHOREOGRAPHED))
    return name


def test_an_app_is_drawn_with_its_services_events_and_the_code_that_publishes(shop):
    result = graph(f"{shop}:app")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("flowchart LR\n")
    for text in ('(["orders.placed"])', '["Payments"]', '["charge"]', '[/"main"/]'):
        assert text in result.stdout


def test_a_service_is_drawn_alone(shop):
    result = graph(f"{shop}:Payments", "--format", "dot")
    assert result.stdout.startswith('digraph "Payments" {')
    assert "main" not in result.stdout


def test_a_service_without_handlers_is_drawn_with_the_methods_that_publish(shop):
    text = graph(f"{shop}:Till").stdout
    for one in ('["Till"]', '["open"]', '(["orders.placed"])'):
        assert one in text
    assert "main" not in text


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_an_app_is_drawn_as_svg(shop, tmp_path):
    assert graph(f"{shop}:app", "-o", "shop.svg").exit_code == 0
    assert "orders.paid" in (tmp_path / "shop.svg").read_text()


@pytest.mark.parametrize("target", ["travel", "trip"])
def test_a_saga_is_drawn_alone_or_with_its_app(shop, target):
    text = graph(f"{shop}:{target}").stdout
    for one in ('["saga trip"]', '["seat"]', '(["free"])', "undone by"):
        assert one in text


def test_an_app_without_services_is_refused_with_the_cure(shop):
    assert f"draw a machine by its class, such as actorflow graph {shop}:Order" in refused(graph(f"{shop}:empty"))


def test_the_svg_of_an_app_without_graphviz_names_the_cure(shop, monkeypatch):
    monkeypatch.setattr("actorflow.machine.pictures.graphviz.PROGRAMS", ("no-such-program",))
    assert "pip install graphviz-pure" in refused(graph(f"{shop}:app", "--format", "svg"))
