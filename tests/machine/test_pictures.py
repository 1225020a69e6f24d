"""Pictures of a chart: what is drawn, and that no name breaks the drawing.

What Mermaid takes was found with its own parser and renderer (11.17); it is a program of JavaScript, so the tests hold
the text to the few forms of line that were tried there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.errors import ActorflowError, DefinitionError
from actorflow.machine.definition.chart import ROOT, Chart, Hook, StateNode, Transition
from actorflow.machine.pictures import dot, mermaid, svg
from tests.machine.charts import ODD, ODD_NAMES, ORDER, PLAYER, chart_of, to

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")

LABEL = r"(?:[\w ,./()\[\]=]|[#]\d+;)+"
LINES = re.compile(
    rf"""\ *(?:
      stateDiagram-v2 | \}} | -- | end\ note | note\ right\ of\ \w+ | {LABEL}(?:<br/>{LABEL})*
    | (?:\[\*\]|[a-zA-Z]\w*)\ -->\ (?:\[\*\]|[a-zA-Z]\w*)(?:\ :\ {LABEL})?
    | state\ (?:"{LABEL}"\ as\ )?[a-zA-Z]\w*(?:\ \{{)?
    | [a-zA-Z]\w*(?:\ :\ {LABEL})?
    | classDef\ active\ \S+ | class\ [\w,]+\ active
    )""",
    re.VERBOSE | re.ASCII,
)
KEYWORDS = {"state", "note", "class", "classdef", "default", "style", "click", "direction", "root", "constructor"}


def lines_of(chart: Chart, **options) -> list[str]:
    return [line.strip() for line in mermaid(chart, **options).splitlines()]


def decoded(text: str) -> str:
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), text)


def check_mermaid(text: str) -> None:
    """Check that each line has a form that Mermaid reads, and no id is one of its words."""
    for line in text.splitlines():
        readable = re.sub(r"[^\W\x00-\x7f]", "x", line)  # letters of any script are fine in labels
        assert LINES.fullmatch(readable), line
        if found := re.fullmatch(r" *(\S+) --> (\S+)( : .*)?", line):
            assert not {found[1].lower(), found[2].lower()} & KEYWORDS
        assert not re.search(r"(?i)direction\s+(tb|bt|lr|rl)\b|%%|<<|^ *state.*\[", line)


# --- what Mermaid shows ----------------------------------------------------------------------------------------------


def test_mermaid_of_a_flat_machine():
    assert (
        mermaid(ORDER, active={"paid"})
        == """\
stateDiagram-v2
    [*] --> new
    state "new" as new
    new : pay
    new : ship / defer
    state "paid" as paid
    paid : enter / receipt
    paid : exit / tidy
    paid : invoke / parcel
    shipped
    shipped --> [*]
    dead
    dead --> [*]
    new --> paid : pay [enough]
    new --> dead : cancel / refund, log
    new --> dead : after 1800 s / expire
    paid --> shipped : ship
    paid --> dead : cancel
    classDef active fill:#ffe08a,stroke:#b26a00,stroke-width:3px
    class paid active
"""
    )


def test_mermaid_of_regions_and_histories():
    assert (
        mermaid(PLAYER)
        == """\
stateDiagram-v2
    [*] --> off
    off
    state on {
        state "#91;H#42;]" as back
        state tape {
            [*] --> stopped : / rewind
            stopped
            playing
            end
            end --> [*]
            stopped --> playing : play
            playing --> stopped : stop
            playing --> end : end
        }
        --
        state sound {
            [*] --> loud
            state "#91;H]" as was
            loud
            muted
            was --> loud
            loud --> muted : mute
            muted --> loud : [party]
            muted --> was : unmute
        }
        note right of sound
            exit / hush
        end note
    }
    note right of on
        enter / light
    end note
    on --> off : power
    on --> on : reset
    off --> back : power
    off --> muted : quiet
    back --> stopped
"""
    )


def test_mermaid_draws_arrows_over_borders_outside_of_all_states():
    # Mermaid moves a state into the scope of the arrow that names it, so these must stand outermost.
    text = mermaid(PLAYER)
    assert "\n    off --> muted : quiet\n" in text
    assert "\n    back --> stopped\n" in text


def test_mermaid_draws_the_root_when_it_has_transitions_of_its_own():
    root = StateNode(
        ROOT,
        "compound",
        children=("a", "b"),
        initial=to(ROOT, "a"),
        transitions=(to(ROOT, "b", "reset"), to(ROOT, None, "ping", actions=(Hook("pong"),))),
    )
    text = lines_of(Chart("Whole", {ROOT: root, "a": StateNode("a"), "b": StateNode("b")}))
    assert "state Whole {" in text
    assert "Whole --> b : reset" in text
    assert "ping / pong" in text


def test_initial_transition_may_lead_deep_down():
    chart = chart_of(
        "deep",
        StateNode("outer", "compound", initial=to("outer", "inner")),
        StateNode("middle", "compound", parent="outer", initial=to("middle", "inner")),
        StateNode("inner", parent="middle"),
    )
    text = lines_of(chart)
    # The last scope that names a state gets it, so the scope of the outer one must name it first.
    assert text.index("[*] --> inner") < text.index("state middle {")


def test_class_says_its_events_guards_hooks_and_timeouts():
    class Order(af.StateMachine):
        new, paid = af.State(initial=True), af.State(final=True)

        def enough(self, amount: int) -> bool:
            return amount > 3

        @new.to(paid, when=enough)
        @new.stay
        def pay(self, amount: int) -> None: ...

        @new.after(60, paid)
        def expire(self) -> None: ...

        @paid.enter
        def receipt(self) -> None: ...

    assert (
        Order.chart.mermaid()
        == """\
stateDiagram-v2
    [*] --> new
    state "new" as new
    new : pay
    state "paid" as paid
    paid : enter / receipt
    paid --> [*]
    new --> paid : pay [enough]
    new --> paid : after 60 s / expire
"""
    )


# --- names -----------------------------------------------------------------------------------------------------------


def test_odd_names_are_shown_as_they_are_and_break_no_line():
    text = mermaid(ODD)
    check_mermaid(text)
    shown = {decoded(name) for name in re.findall(r'state "(.*)" as', text)}
    assert {" ".join(name.split()) for name in ODD_NAMES if name.strip() and len(name) < 50} <= shown


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4, unique=True))
def test_mermaid_reads_any_name_of_states_events_and_hooks(names):
    names = [name for name in names if name] or ["a"]
    nodes = [
        StateNode(name, enter=(Hook(name),), transitions=(to(name, names[0], name or "e", guard=Hook(name)),))
        for name in names
    ]
    check_mermaid(mermaid(chart_of("".join(names), *nodes), active=names))


def test_ids_of_states_differ_also_where_their_letters_do_not():
    chart = chart_of(
        "x", StateNode("a b"), StateNode("a_b"), StateNode("a-b"), StateNode("state"), StateNode("s_state_")
    )
    declared = [re.split(r" as |^", line)[-1] for line in lines_of(chart)[2:]]
    assert len(set(declared)) == len(chart.states) - 1


def test_long_names_are_clipped():
    text = mermaid(chart_of("x", StateNode("a", enter=(Hook("x" * 500),))))
    assert max(map(len, text.splitlines())) < 100


# --- Graphviz --------------------------------------------------------------------------------------------------------


def test_dot_of_regions_draws_dashed_clusters_and_cuts_arrows_at_their_borders():
    text = dot(PLAYER, active={"on", "muted"})
    assert "compound=true;" in text
    assert '"anchor on" -> "off" [label=<power>, ltail="cluster on"];' in text
    assert text.count("style=dashed;") == 2
    assert '"back" [label=<H*>' in text
    assert '"muted" [label=<muted>, fillcolor="#ffe08a"' in text
    assert text.count('color="#b26a00"') == 2


def test_dot_does_not_cut_an_arrow_inside_of_a_state_at_its_border():
    inward = chart_of(
        "x",
        StateNode("a", "compound", initial=to("a", "b"), transitions=(to("a", "b", "in"), to("a", "a", "self"))),
        StateNode("b", parent="a", transitions=(to("b", "a", "out"),)),
    )
    arrows = [line.strip() for line in dot(inward).splitlines() if re.search("label=<(in|self|out)>", line)]
    assert arrows == [
        '"anchor a" -> "b" [label=<in>];',
        '"anchor a" -> "anchor a" [label=<self>];',
        '"b" -> "anchor a" [label=<out>];',
    ]


@needs_dot
@pytest.mark.parametrize("chart", [ORDER, PLAYER, ODD], ids=lambda chart: chart.name[:6])
def test_graphviz_reads_the_text_without_a_warning(chart):
    run = subprocess.run(["dot", "-Tsvg"], input=dot(chart).encode(), capture_output=True, timeout=200)
    assert (run.returncode, run.stderr) == (0, b"")


@needs_dot
def test_svg_shows_all_states():
    drawn = svg(PLAYER, active={"off"})
    texts = {"".join(text.itertext()).strip() for text in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")}
    assert {"off", "on", "tape", "sound", "playing", "H*", "enter / light", "[party]"} <= texts


@needs_dot
def test_state_with_the_name_of_a_part_of_the_picture_is_another_node():
    chart = chart_of(
        "x",
        StateNode("anchor a"),
        StateNode("begin "),
        StateNode("a", "compound", initial=to("a", "b")),
        StateNode("b", parent="a"),
    )
    assert svg(chart).count('class="node"') == 5  # three states, and two dots to begin at; ends of arrows are not drawn


def test_svg_without_graphviz_names_the_cure(monkeypatch):
    monkeypatch.setattr("actorflow.machine.pictures.graphviz.PROGRAMS", ("no-such-program",))
    with pytest.raises(ActorflowError, match="pip install graphviz-pure"):
        svg(ORDER)


def test_svg_passes_on_what_graphviz_says(monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho 'out of colours' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ActorflowError, match="cannot draw 'Order': out of colours"):
        svg(ORDER)


def test_svg_that_takes_too_long_is_an_error(monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("actorflow.machine.pictures.graphviz.SECONDS", 0.2)
    with pytest.raises(ActorflowError, match="did not draw"):
        svg(ORDER)


# --- both ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [mermaid, dot])
def test_transition_to_several_states_is_an_arrow_to_each(draw):
    chart = chart_of(
        "x",
        StateNode("off", transitions=(Transition("off", ("go",), ("p1", "q1")),)),
        StateNode("both", "parallel"),
        StateNode("p", "compound", parent="both", initial=to("p", "p1")),
        StateNode("p1", parent="p"),
        StateNode("q", "compound", parent="both", initial=to("q", "q1")),
        StateNode("q1", parent="q"),
    )
    text = draw(chart)
    assert len(re.findall(r'off"? -+> "?[pq]1"? .*go', text)) == 2


@pytest.mark.parametrize("draw", [mermaid, dot])
def test_transition_that_chooses_its_target_says_by_what(draw):
    chart = chart_of("x", StateNode("a", transitions=(Transition("a", ("go",), choose=Hook("pick")),)))
    assert "go goes where pick says" in draw(chart)


@pytest.mark.parametrize("draw", [mermaid, dot])
def test_active_state_that_the_chart_does_not_have_is_an_error(draw):
    with pytest.raises(DefinitionError, match="'Order' has no state 'payd'; did you mean 'paid'"):
        draw(ORDER, active={"payd"})


@pytest.mark.parametrize("draw", [mermaid, dot])
def test_half_a_surrogate_pair_in_a_name_leaves_text_that_can_be_written(draw):
    half = "a\ud800b"
    text = draw(chart_of("m", StateNode(half, transitions=(to(half, half, "go\udc00"),))))
    assert "a?b" in text.encode().decode().replace("#63;", "?")
