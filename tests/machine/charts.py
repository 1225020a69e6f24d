"""Charts written by hand, for tests of what reads a chart."""

from __future__ import annotations

from dataclasses import replace

from actorflow.machine.definition.chart import ROOT, Chart, Hook, Invoke, StateNode, Transition


def chart_of(name: str, *nodes: StateNode, initial: str | None = None) -> Chart:
    """Make a chart of nodes that know their parents: children and the root follow from them."""
    children: dict[str, list[str]] = {}
    for node in nodes:
        children.setdefault(node.parent, []).append(node.name)
    first = Transition(ROOT, targets=(initial or nodes[0].name,))
    root = StateNode(ROOT, "compound", children=tuple(children[ROOT]), initial=first)
    states = {node.name: replace(node, children=tuple(children.get(node.name, ()))) for node in nodes}
    return Chart(name, {ROOT: root, **states})


def to(source: str, target: str | None, event: str | None = None, **options) -> Transition:
    """Make a transition on one event."""
    return Transition(source, (event,) if event else (), (target,) if target else (), **options)


ORDER = chart_of(
    "Order",
    StateNode(
        "new",
        transitions=(
            to("new", "paid", "pay", guard=Hook("enough"), actions=(Hook("pay"),)),
            to("new", None, "pay", actions=(Hook("pay"),)),
            to("new", "dead", "cancel", actions=(Hook("refund"), Hook("log"))),
            to("new", "dead", after=1800.0, actions=(Hook("expire"),)),
        ),
        defer=("ship",),
    ),
    StateNode(
        "paid",
        enter=(Hook("receipt"),),
        exit=(Hook("tidy"),),
        transitions=(to("paid", "shipped", "ship"), to("paid", "dead", "cancel")),
        invoke=(Invoke("parcel", object),),
    ),
    StateNode("shipped", "final"),
    StateNode("dead", "final"),
)

PLAYER = chart_of(
    "Player",
    StateNode("off", transitions=(to("off", "back", "power"), to("off", "muted", "quiet"))),
    StateNode(
        "on", "parallel", transitions=(to("on", "off", "power"), to("on", "on", "reset")), enter=(Hook("light"),)
    ),
    StateNode("back", "deep", parent="on", initial=Transition("back", targets=("stopped",))),
    StateNode("tape", "compound", parent="on", initial=to("tape", "stopped", actions=(Hook("rewind"),))),
    StateNode("stopped", parent="tape", transitions=(to("stopped", "playing", "play"),)),
    StateNode("playing", parent="tape", transitions=(to("playing", "stopped", "stop"), to("playing", "end", "end"))),
    StateNode("end", "final", parent="tape"),
    StateNode("sound", "compound", parent="on", initial=to("sound", "loud"), exit=(Hook("hush"),)),
    StateNode("loud", parent="sound", transitions=(to("loud", "muted", "mute"),)),
    StateNode(
        "muted", parent="sound", transitions=(to("muted", "loud", guard=Hook("party")), to("muted", "was", "unmute"))
    ),
    StateNode("was", "shallow", parent="sound", initial=to("was", "loud")),
)

ODD_NAMES = (
    "a b", "1. one", "- list", "_x_", "*bold*", "x_", 'say "hi"', "back\\slash", "semi;colon", "hash#tag", "#35;",
    "&amp;", "<b>html</b>", "{curly}", "]", "[*]", "[[fork]]", "<<choice>>", "a --> b", "a : b", "::: c", "%% d",
    "direction LR", "direction", "mydirection", "state", "State", "note", "class", "classDef", "default", "style",
    "click", "end", "end note", "note right of x", "accTitle: x", "title", "root", "root_start", "a_start", "a",
    "a_end", "constructor", "__proto__", "toString", "été", "größe", "日本", "🙂", "line\nbreak", "tab\tbed", "$$x$$",
    "`code`", "~gone~", "www.example.com", "n|m", "graph", "digraph", "subgraph", "node", "edge", "strict",
    "cluster_a", "\\N", "\\G", "é_é", "é é", "--", "-", "0", "1", "x" * 200, " ", "style a:#b;", "{{x}}", 'a"b',
    "\x01", "ﬂ°°35¶ß", "%%{init: {}}%%", "---", "```", "<script>alert(1)</script>",
)  # fmt: skip
ODD = chart_of(
    'odd "names" --> <b> %%',
    *(
        StateNode(
            name,
            enter=(Hook(name),),
            transitions=(
                to(name, after, name, guard=Hook(name), actions=(Hook(f"{name}!"),)),
                to(name, None, f"{name}?"),
            ),
        )
        for name, after in zip(ODD_NAMES, (*ODD_NAMES[1:], ODD_NAMES[0]), strict=True)
    ),
)
