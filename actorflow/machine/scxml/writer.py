"""Writer: a chart becomes an SCXML document.

A chart that was read from SCXML is written whole: reading it again gives an equal chart. Of any other, states,
transitions, history and timeouts survive; guards, actions and hooks are Python, so they are named, in a namespace of
actorflow's (`af:guard`, `<af:call>`), which other tools and the reader pass over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actorflow.machine.definition.chart import HISTORY, ROOT, Chart, Hook, Invoke, StateNode, Transition
from actorflow.machine.scxml.binding import DoneData
from actorflow.machine.scxml.content import Block, Condition
from actorflow.machine.scxml.document import ScxmlChart
from actorflow.machine.scxml.elements import OWN, Element, to_document
from actorflow.machine.scxml.invoking import Invocation


def chart_to_scxml(chart: Chart) -> str:
    """Write a chart as an SCXML document.

    >>> from actorflow.machine.scxml import load
    >>> print(
    ...     chart_to_scxml(
    ...         load("<scxml><state id='a'><transition event='go' target='b'/></state><final id='b'/></scxml>")
    ...     )
    ... )
    <?xml version="1.0" encoding="UTF-8"?>
    <scxml xmlns="http://www.w3.org/2005/07/scxml">
      <state id="a">
        <transition event="go" target="b"/>
      </state>
      <final id="b"/>
    </scxml>
    <BLANKLINE>
    """
    return to_document(chart.document if isinstance(chart, ScxmlChart) else _root(chart))


def _root(chart: Chart) -> Element:
    root = chart.states[ROOT]
    attributes = {"version": "1.0", "name": chart.name, "datamodel": "null"}
    if root.initial is not None:
        attributes["initial"] = " ".join(root.initial.targets)
    if chart.order != "scxml":
        attributes[f"{OWN} order"] = chart.order
    if chart.version != 1:
        attributes[f"{OWN} version"] = str(chart.version)
    return Element("scxml", attributes, tuple(_state(chart, chart.states[name]) for name in root.children))


def _state(chart: Chart, node: StateNode) -> Element:
    attributes = {"id": node.name}
    if node.kind in HISTORY:
        attributes["type"] = node.kind
        return Element("history", attributes, (_default(chart, node),))
    if node.defer:
        attributes[f"{OWN} defer"] = " ".join(node.defer)
    children: list[Element] = []
    if node.initial is not None and node.kind == "compound":
        if node.initial.actions:
            children.append(Element("initial", {}, (_transition(node.initial, ""),)))
        else:
            attributes["initial"] = " ".join(node.initial.targets)
    transitions = list(node.transitions)
    if node.parent == ROOT:
        transitions += chart.states[ROOT].transitions  # those of the root: SCXML's has none, its states do the same
    timers = {
        id(each): f"after.{node.name}.{place}" for place, each in enumerate(transitions) if each.after is not None
    }
    children += _blocks("onentry", node.enter)
    children += _timers(transitions, timers)
    children += _blocks("onexit", node.exit)
    children += [_transition(each, timers.get(id(each), " ".join(each.events))) for each in transitions]
    children += [_invoke(each) for each in node.invoke]
    if node.donedata is not None:
        if isinstance(node.donedata.function, DoneData):
            children.append(node.donedata.function.element)
        else:
            attributes[f"{OWN} donedata"] = node.donedata.name
    children += [_state(chart, chart.states[name]) for name in node.children]
    tag = node.kind if node.kind in {"parallel", "final"} else "state"
    return Element(tag, attributes, tuple(children))


def _default(chart: Chart, node: StateNode) -> Element:
    """Return the transition of a history, which SCXML wants; without one, it is that of the state around it."""
    if node.initial is not None:
        return _transition(node.initial, "")
    outer = chart.states[node.parent]
    inner = [name for name in outer.children if chart.states[name].kind not in HISTORY]
    targets = outer.initial.targets if outer.initial is not None else tuple(inner)
    return Element("transition", {"target": " ".join(targets)})


def _blocks(tag: str, hooks: Iterable[Hook]) -> list[Element]:
    return [Element(tag, {}, tuple(content)) for hook in hooks if (content := _content(hook))]


def _content(hook: Hook) -> list[Element]:
    if isinstance(hook.function, Block):
        return list(hook.function.elements)
    return [Element(f"{OWN} call", {"name": hook.name})]


def _timers(transitions: list[Transition], timers: dict[int, str]) -> list[Element]:
    """Return the elements that start the timeouts of a state, and those that cancel them."""
    found: list[Element] = []
    for transition in transitions:
        name = timers.get(id(transition))
        if name is not None:
            send = Element("send", {"event": name, "id": name, "delay": f"{transition.after or 0:.6f}s"})
            found += [Element("onentry", {}, (send,)), Element("onexit", {}, (Element("cancel", {"sendid": name}),))]
    return found


def _transition(transition: Transition, events: str) -> Element:
    attributes: dict[str, str] = {}
    if events:
        attributes["event"] = events
    guard = transition.guard
    if guard is not None and isinstance(guard.function, Condition):
        attributes["cond"] = guard.function.element.attributes["cond"]
    elif guard is not None:
        attributes[f"{OWN} guard"] = guard.name
    if transition.targets:
        attributes["target"] = " ".join(transition.targets)
    elif not events and "cond" not in attributes:
        attributes["cond"] = "true"  # SCXML wants one of event, cond and target
    if transition.internal:
        attributes["type"] = "internal"
    if transition.choose is not None:
        attributes[f"{OWN} choose"] = transition.choose.name
    return Element("transition", attributes, tuple(each for hook in transition.actions for each in _content(hook)))


def _invoke(invoke: Invoke) -> Element:
    child: Any = invoke.child
    if isinstance(child, Invocation):
        return child.element
    name = getattr(child, "__qualname__", None) or getattr(child, "name", None) or type(child).__name__
    attributes = {"id": invoke.id, "type": OWN, "src": str(name)}
    if invoke.autoforward:
        attributes["autoforward"] = "true"
    finalize = (Element("finalize", {}, tuple(_content(invoke.finalize))),) if invoke.finalize is not None else ()
    return Element("invoke", attributes, finalize)
