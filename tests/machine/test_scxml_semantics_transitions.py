"""What the SCXML recommendation says of states and transitions, for charts in the default order. By its sections.

The order within a step is ours (action, exits, enters); which states and transitions take part is the recommendation's.
"""

from __future__ import annotations

from typing import Any

import pytest

import actorflow as af
from actorflow.machine import ChartBuilder
from actorflow.machine.running.platform import Alone

pytestmark = pytest.mark.filterwarnings("ignore::actorflow.machine.definition.checks.ChartWarning")


class Notes:
    """A model, and a chart that notes what runs: "-a" for exit, "+a" for enter, the event's name for its actions."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.facts: set[str] = set()

    def take(self) -> str:
        noted = " ".join(self.log)
        self.log.clear()
        return noted


def note(what: str) -> Any:
    return lambda model, *_: model.log.append(what)


class Noting(ChartBuilder):
    """Adds states and transitions that note what runs."""

    def states(self, parent: str | None, names: str, **options: Any) -> Noting:
        """Add states; the first is initial."""
        for place, name in enumerate(names.split()):
            self.add_state(
                name, parent=parent, initial=place == 0 and self._wants_initial(parent), enter=note(f"+{name}"),
                exit=note(f"-{name}"), **options,
            )  # fmt: skip
        return self

    def _wants_initial(self, parent: str | None) -> bool:
        around = self._root if parent is None else self._drafts[parent]
        return around.kind != "parallel" and around.initial is None

    def on(self, source: str, event: str | None, target: Any = None, **options: Any) -> Noting:
        """Add a transition."""
        self.add_transition(source, event, target, action=note(f"{event}@{source}"), **options)
        return self

    def run(self, *events: str, facts: str = "") -> tuple[af.Interpreter, Notes]:
        """Make an instance and send it events; what it has noted until then is dropped."""
        model = Notes()
        model.facts = set(facts.split())
        machine = af.Interpreter(self.build(), model)
        for event in events:
            machine.send(event)
        model.log.clear()
        return machine, model


def chart(top: str, **within: str) -> Noting:
    """Make a chart of states in order; within a state by its name."""
    builder = Noting("c").states(None, top)
    for parent, names in within.items():
        builder.states(parent, names)
    return builder


def fact(name: str) -> Any:
    return lambda model, *_: name in model.facts


# --- 3.2 to 3.6 states -----------------------------------------------------------------------------------------------


def test_3_3_a_compound_state_is_entered_with_its_default_from_outside_in():
    machine, model = chart("a b", b="c d", c="e f").on("a", "go", "b").run()
    machine.send("go")
    assert (model.take(), machine.state) == ("go@a -a +b +c +e", "e")


def test_3_3_a_target_inside_is_entered_with_its_ancestors_and_no_default():
    machine, model = chart("a b", b="c d", d="e f").on("a", "go", "f").run()
    machine.send("go")
    assert model.take() == "go@a -a +b +d +f"


def test_3_4_a_parallel_state_has_all_regions_active_and_they_are_entered_in_document_order():
    builder = Noting("c").states(None, "a").states(None, "p", parallel=True).states("p", "x y z").states("y", "y1 y2")
    machine, model = builder.on("a", "go", "p").run()
    machine.send("go")
    assert model.take() == "go@a -a +p +x +y +y1 +z"
    assert machine.state == "x+y1+z"


def test_3_4_a_target_in_one_region_has_the_others_entered_by_default():
    builder = Noting("c").states(None, "a").states(None, "p", parallel=True).states("p", "x y").states("x", "x1 x2")
    builder.states("y", "y1 y2")
    machine, model = builder.on("a", "go", "x2").on("a", "both", ("x2", "y2")).run()
    machine.send("go")
    assert model.take() == "go@a -a +p +x +x2 +y +y1"
    machine, model = builder.run()
    machine.send("both")
    assert model.take() == "both@a -a +p +x +x2 +y +y2"


def test_3_4_regions_are_exited_in_reverse_document_order():
    builder = Noting("c").states(None, "p", parallel=True).states(None, "out").states("p", "x y").states("y", "y1")
    machine, model = builder.on("p", "go", "out").run()
    machine.send("go")
    assert model.take() == "go@p -y1 -y -x -p +out"


# --- 3.13 selecting and executing transitions ------------------------------------------------------------------------


def test_3_13_document_order_decides_between_two_that_are_enabled():
    builder = chart("a b c").on("a", "go", "b", when=fact("b")).on("a", "go", "c")
    assert [builder.run("go", facts=facts)[0].state for facts in ("b", "")] == ["b", "c"]


def test_3_13_inner_transition_preempts_outer():
    builder = chart("a b", a="c d").on("a", "go", "b").on("c", "go", "d")
    assert builder.run("go")[0].state == "d"


def test_3_13_outer_transition_is_taken_when_the_inner_ones_are_not_enabled():
    builder = chart("a b", a="c d").on("c", "go", "d", when=fact("no")).on("a", "go", "b")
    assert builder.run("go")[0].state == "b"


def test_3_13_an_inner_transition_without_target_preempts_the_outer_too():
    machine, model = chart("a b", a="c").on("a", "go", "b").on("c", "go").run()
    machine.send("go")
    assert (model.take(), machine.state) == ("go@c", "c")


def test_3_13_a_self_transition_exits_and_enters_its_state_and_its_descendants():
    machine, model = chart("a", a="b c").on("a", "go", "a").on("b", "in", "c").run("in")
    machine.send("go")
    assert (model.take(), machine.state) == ("go@a -c -a +a +b", "b")


def test_3_13_an_external_transition_into_a_descendant_exits_the_source_and_an_internal_one_does_not():
    builder = chart("a", a="b c").on("a", "outer", "c").on("a", "inner", "c", internal=True)
    machine, model = builder.run()
    machine.send("outer")
    assert model.take() == "outer@a -b -a +a +c"
    machine.send("inner")
    assert model.take() == "inner@a -c +c"


def test_3_13_the_domain_is_the_innermost_compound_state_around_source_and_targets():
    machine, model = chart("a z", a="b c", b="d e").on("d", "near", "e").on("d", "far", "c").run()
    machine.send("near")
    assert model.take() == "near@d -d +e"
    machine, model = chart("a z", a="b c", b="d e").on("d", "far", "c").run()
    machine.send("far")
    assert model.take() == "far@d -d -b +c"


def two_regions() -> Noting:
    builder = Noting("c").states(None, "p", parallel=True).states(None, "out").states("p", "x y")
    return builder.states("x", "x1 x2").states("y", "y1 y2")


def test_3_13_transitions_of_two_regions_are_taken_in_one_step():
    machine, model = two_regions().on("x1", "go", "x2").on("y1", "go", "y2").run()
    machine.send("go")
    assert model.take() == "go@x1 go@y1 -y1 -x1 +x2 +y2"
    assert [record[:3] for record in machine.history] == [("x1+y1", "x2+y2", "go")]


def test_3_13_a_transition_that_leaves_the_regions_preempts_that_of_a_later_region():
    machine, model = two_regions().on("x1", "go", "out").on("y1", "go", "y2").run()
    machine.send("go")
    assert model.take() == "go@x1 -y1 -y -x1 -x -p +out"


def test_3_13_a_transition_of_an_earlier_region_preempts_one_that_would_leave():
    machine, _ = two_regions().on("x1", "go", "x2").on("y1", "go", "out").run("go")
    assert machine.state == "x2+y1"


def test_3_13_transitions_without_target_never_conflict():
    machine, model = two_regions().on("x1", "go", "out").on("y1", "go").run()
    machine.send("go")
    assert model.take() == "go@x1 go@y1 -y1 -y -x1 -x -p +out"


def test_3_13_a_transition_of_the_parallel_state_is_taken_if_no_region_preempts_it():
    builder = two_regions().on("p", "go", "out").on("y1", "go", "y2", when=fact("y"))
    assert [builder.run("go", facts=facts)[0].state for facts in ("", "y")] == ["out", "x1+y2"]


def test_3_13_the_guard_of_an_ancestor_is_asked_once_for_all_regions():
    asked = []

    def guard(_model: Notes) -> bool:
        asked.append(1)
        return True

    machine, model = two_regions().on("p", "go", None, when=guard).run()
    machine.send("go")
    assert (model.take(), len(asked)) == ("go@p", 1)


def test_3_13_guards_of_a_step_see_the_configuration_before_it():
    seen = []

    def look(model: Notes) -> bool:
        seen.append(machine.state)
        return True

    machine, _ = two_regions().on("x1", "go", "x2", when=look).on("y1", "go", "y2", when=look).run()
    machine.send("go")
    assert seen == ["x1+y1", "x1+y1"]


# --- eventless -------------------------------------------------------------------------------------------------------


def test_3_13_eventless_transitions_are_taken_at_the_start_and_until_none_is_enabled():
    builder = chart("a b c d").on("a", None, "b").on("b", None, "c", when=fact("c")).on("c", None, "d")
    assert [builder.run(facts=facts)[0].state for facts in ("", "c")] == ["b", "d"]


def test_3_13_eventless_transitions_come_before_internal_events():
    builder = Noting("c").states(None, "a b c").on("b", None, "c").on("b", "raised", "a").on("c", "raised")
    builder.add_transition("a", "go", "b", action=lambda model: machine.raise_event("raised"))
    machine, model = builder.run()
    machine.send("go")
    assert model.take() == "-a +b None@b -b +c raised@c"


def test_3_13_an_eventless_transition_is_enabled_by_what_an_action_changed():
    builder = chart("a b").on("a", None, "b", when=fact("ripe"))
    builder.add_transition("a", "ripen", action=lambda model: model.facts.add("ripe"))
    assert builder.run("ripen")[0].state == "b"


def test_3_13_an_eventless_transition_without_target_whose_guard_ends_it():
    builder = Noting("c").states(None, "a")
    builder.add_transition("a", None, when=lambda model: len(model.log) < 5, action=note("round"))
    model = Notes()
    af.Interpreter(builder.build(), model)
    assert model.take() == "+a round round round round"


# --- 3.10 history ----------------------------------------------------------------------------------------------------


def past(*, deep: bool, **options: Any) -> Noting:
    builder = chart("out box", box="a b", b="b1 b2")
    builder.add_history("was", of="box", deep=deep, **options)
    return builder.on("out", "in", "was").on("box", "leave", "out").on("a", "go", "b").on("b1", "go", "b2")


def test_3_10_without_a_past_the_default_is_entered_and_without_a_default_the_states_own():
    assert past(deep=False).run("in")[0].state == "a"
    machine, model = past(deep=True, default="b2").run()
    machine.send("in")
    assert model.take() == "in@out -out +box +b +b2"


@pytest.mark.parametrize(("deep", "state"), [(False, "b1"), (True, "b2")])
def test_3_10_shallow_history_holds_the_child_and_deep_history_the_innermost_states(deep, state):
    machine, _ = past(deep=deep).run("in", "go", "go", "leave", "in")
    assert machine.state == state


def test_3_10_a_history_is_of_the_last_exit():
    machine, _ = past(deep=True).run("in", "leave", "in", "go", "leave", "in", "leave", "in")
    assert machine.state == "b1"


def test_3_10_the_history_is_what_was_active_before_the_exits():
    builder = past(deep=True)
    machine, _ = builder.run("in", "go", "go")
    machine.send("leave")
    assert machine._pending.remembered == {"was": ("b2",)}


def test_3_10_a_history_may_be_reached_from_inside_and_holds_what_the_same_step_leaves():
    builder = past(deep=True).on("box", "again", "was")
    machine, model = builder.run("in", "go", "go")
    machine.send("again")
    assert model.take().startswith("again@box")
    assert machine.state == "b2"


def test_3_10_deep_history_of_regions_holds_one_state_of_each():
    builder = two_regions().on("x1", "x", "x2").on("y1", "y", "y2").on("p", "leave", "out")
    builder.add_history("was", of="p", deep=True)
    machine, _ = builder.on("out", "in", "was").run("y", "leave", "in")
    assert machine.state == "x1+y2"


# --- 3.7 final and done events ---------------------------------------------------------------------------------------


def test_3_7_entering_a_final_state_raises_the_done_event_of_its_parent_with_its_data():
    heard = []
    builder = chart("a z", a="b").add_state("f", parent="a", final=True, donedata=lambda model: {"n": 3})
    builder.add_transition("b", "go", "f")
    builder.add_transition("a", "done.state.a", "z", action=lambda model, *data: heard.append(data))
    machine, _ = builder.run("go")
    assert (machine.state, heard) == ("z", [({"n": 3},)])


def test_3_7_a_done_event_without_data_has_no_argument_and_nobody_need_wait_for_it():
    heard = []
    builder = chart("a z", a="b").add_state("f", parent="a", final=True).add_transition("b", "go", "f")
    builder.add_transition("a", "done.state.a", None, action=lambda model, *data: heard.append(data))
    machine, _ = builder.run("go")
    assert (machine.state, heard) == ("f", [()])
    quiet = chart("a z", a="b").add_state("f", parent="a", final=True).add_transition("b", "go", "f")
    assert quiet.run("go")[0].state == "f"


def test_3_7_a_failed_donedata_is_error_execution():
    def fail(_model: Notes) -> None:
        raise ValueError("no data")

    builder = chart("a z", a="b").add_state("f", parent="a", final=True, donedata=fail).add_transition("b", "go", "f")
    machine, _ = builder.run()
    with pytest.raises(ValueError, match="no data"):
        machine.send("go")
    assert machine.state == "f"
    builder.on("a", "error.execution", "z")
    assert builder.run("go")[0].state == "z"


def test_3_4_a_parallel_state_is_done_when_all_its_regions_are():
    builder = two_regions().add_state("xf", parent="x", final=True).add_state("yf", parent="y", final=True)
    builder.on("x1", "x", "xf").on("y1", "y", "yf").on("p", "done.state.p", "out").on("p", "done.state.x")
    machine, model = builder.run()
    machine.send("x")
    assert (model.take().split()[-1], machine.state) == ("done.state.x@p", "xf+y1")
    machine.send("y")
    assert machine.state == "out"


def test_3_7_a_final_state_at_the_top_ends_it_and_no_event_or_timer_is_taken_any_more():
    builder = chart("a").add_state("f", final=True, donedata=lambda model: 42)
    builder.add_transition("a", "go", "f", action=lambda model: machine.start_timer("late", 0, "go"))
    machine, _ = builder.run()
    machine.send("go")
    assert (machine.done, machine.donedata, machine.timers, machine.advance()) == (True, 42, {}, 0)
    with pytest.raises(af.TransitionRefused):
        machine.send("go")


# --- 3.12 events -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "event", "fits"),
    [
        ("error", "error", True), ("error", "error.send", True), ("error", "error.send.failed", True),
        ("error", "errors.my.custom", False), ("error", "errorhandler.mistake", False), ("error.send", "error", False),
        ("error.*", "error", True), ("error.*", "error.send", True), ("error.", "error.send", True),
        ("*", "anything", True), ("*", "any.thing", True), ("Error", "error", False), ("a b", "b.c", True),
        ("a b", "c", False),
    ],
)  # fmt: skip
def test_3_12_1_event_descriptors_match_whole_tokens_and_a_star_all(pattern, event, fits):
    machine, model = chart("a").on("a", pattern).run()
    if fits:
        machine.send(event)
        assert model.take() == f"{pattern}@a"
    else:
        with pytest.raises(af.TransitionRefused):
            machine.send(event)
    assert machine.may(event) is fits


def test_3_12_1_an_exact_descriptor_does_not_come_before_a_wildcard_that_stands_first():
    machine, model = chart("a").on("a", "*", when=fact("star")).on("a", "go").run(facts="star")
    machine.send("go")
    assert model.take() == "*@a"


def test_3_12_internal_events_come_before_external_ones_and_each_in_its_order():
    def several(_model: Notes) -> None:
        machine.send("out1")
        machine.raise_event("in1")
        machine.send("out2")
        machine.raise_event("in2")

    builder = chart("a")
    for event in ("in1", "in2", "out1", "out2"):
        builder.on("a", event)
    machine, model = builder.add_transition("a", "go", action=several).run()
    machine.send("go")
    assert model.take() == "in1@a in2@a out1@a out2@a"


def test_3_12_2_an_error_event_waits_behind_what_was_raised_before():
    def fail(_model: Notes) -> None:
        machine.raise_event("first")
        raise ValueError

    builder = chart("a").on("a", "first").on("a", "error.*")
    builder.add_state("b", enter=fail).on("b", "first").on("b", "error.*")
    machine, model = builder.add_transition("a", "go", "b").run()
    machine.send("go")
    assert model.take() == "-a first@b error.*@b"


# --- 4 and 6.2 sends and delays --------------------------------------------------------------------------------------


def test_4_2_a_raised_event_that_nobody_waits_for_is_logged_and_changes_nothing(caplog):
    builder = chart("a").add_transition("a", "go", action=lambda model: machine.raise_event("nobody"))
    machine, _ = builder.run()
    machine.send("go")
    assert "An event that nobody waits for was refused: c refuses 'nobody'" in caplog.text


def test_5_9_2_in_says_whether_a_state_is_active():
    seen = []
    builder = two_regions().add_transition("x1", "go", when=lambda model: machine.in_state("y1"))
    builder.add_transition(
        "x1", "see", action=lambda model: seen.extend([machine.in_state("p"), machine.in_state("q")])
    )
    machine, _ = builder.on("y1", "y", "y2").run()
    machine.send("see")
    assert seen == [True, False]
    machine.send("go")
    machine.send("y")
    assert not machine.may("go")


def test_6_2_delayed_events_come_in_the_order_of_their_times_and_can_be_cancelled():
    class Now(Alone):
        now = 0.0

        def time(self) -> float:
            return self.now

    builder = chart("a").on("a", "tick")
    builder.add_transition("a", "say", action=lambda model, what: model.log.append(what))
    model, clock = Notes(), Now()
    machine = af.Interpreter(builder.build(), model, platform=clock)
    model.log.clear()
    for name, seconds in (("late", 3), ("early", 1), ("never", 2), ("same", 3)):
        machine.start_timer(name, seconds, "say", name)
    assert machine.cancel_timer("never")
    assert (machine.due, machine.advance()) == (1.0, 0)
    clock.now = 10.0
    assert machine.advance() == 3
    assert model.take() == "early late same"


def test_6_2_timers_that_start_themselves_again_at_once_are_an_error():
    builder = chart("a").add_transition("a", "tick", action=lambda model: machine.start_timer("t", 0, "tick"))
    machine, _ = builder.run()
    machine.send("tick")
    with pytest.raises(af.DefinitionError, match="fired 10,000 timers without an end: 't' starts itself again"):
        machine.advance()


def test_6_2_timers_do_not_fire_in_the_middle_of_an_event():
    fired = []

    def advance(_model: Notes) -> None:
        machine.start_timer("t", 0, "tick")
        fired.append(machine.advance())

    machine, model = chart("a").on("a", "tick").add_transition("a", "go", action=advance).run()
    machine.send("go")
    assert (fired, model.take()) == ([0], "")
    assert (machine.advance(), model.take()) == (1, "tick@a")
