"""Checks of charts: each mistake is found, in its place, with the cure; and what is right is left alone."""

from __future__ import annotations

import warnings

import pytest

import actorflow as af
from actorflow.machine.definition import checks
from actorflow.machine.definition.chart import ROOT, Chart, Hook, Invoke, StateNode, Transition
from actorflow.machine.definition.checks import ChartWarning, Problem, check, covers, problems
from actorflow.machine.definition.draft import Draft, freeze
from actorflow.machine.definition.reachability import reachable


def to(source, event, *targets, **more):
    return Transition(source, (event,) if event else (), targets, **more)


def state(name, *transitions, parent=ROOT, kind=None, initial=None, **more):
    default = None if initial is None else Transition(name, targets=tuple(initial.split()))
    return Draft(name, parent, kind, default, transitions=list(transitions), **more)


def chart(*drafts, initial="a"):
    default = None if initial is None else Transition(ROOT, targets=tuple(initial.split()))
    return freeze("m", Draft(ROOT, initial=default), drafts)


FINAL = state("end", kind="final")


def only(made, where, *texts):
    """The chart has one mistake, and what is said of it has these texts."""
    found = problems(made)
    assert [problem.place for problem in found] == [where], found
    for text in texts:
        assert text in found[0].text


def test_a_chart_without_mistakes_has_none():
    made = chart(
        state("a", to("a", "go", "b", guard=Hook("g")), to("a", "go", "end"), defer=["back"]),
        state("b", to("b", "back", "h"), to("b", "go", "r1", "q2"), initial="c"),
        state(
            "c", to("c", None, "d", guard=Hook("g")), to("c", "done.invoke.x"), parent="b", invoke=[Invoke("x", int)]
        ),
        state("d", parent="b", kind="final"),
        state("h", parent="b", kind="deep", initial="d"),
        state("p", to("p", "done.state.p", "end"), to("p", "done.state"), kind="parallel"),
        state("r", parent="p", initial="r1"),
        state("r1", parent="r"),
        state("q", parent="p", initial="q1"),
        state("q1", to("q1", "error.*", "q2"), to("q1", "*"), to("q1", None, "q2", after=1.0), parent="q"),
        state("q2", parent="q", kind="final"),
        state("end", kind="final"),
    )
    assert problems(made) == []


# --- initial states ---------------------------------------------------------------------------------------------------


def test_no_initial_state():
    only(chart(state("a", to("a", "go", "end")), FINAL, initial=None), "m", "no initial state; mark one", "a, end")
    made = chart(state("a", to("a", "go", "end")), state("b", parent="a"), FINAL)
    only(made, "m.a", "no initial state; mark one as initial: b")


def test_an_initial_state_that_is_missing_or_elsewhere():
    made = chart(state("a", to("a", "go", "end")), FINAL, initial="aa")
    assert problems(made)[0] == Problem("m", "its initial state 'aa' does not exist; did you mean 'a'?")
    made = chart(state("a", to("a", "go", "end"), initial="end"), state("b", parent="a"), FINAL)
    assert Problem("m.a", "its initial state 'end' is outside of 'a'; name a state within it") in problems(made)


def test_two_initial_states():
    made = chart(state("a", to("a", "go", "end")), FINAL, initial="a end")
    only(made, "m", "its initial state is several", "'a' and 'end'", "never active together")


def test_no_states_at_all():
    assert [problem.place for problem in problems(chart(initial=None))] == ["m"]
    assert problems(Chart("m", {ROOT: StateNode(ROOT, "compound")}))[0].text == "it has no states; add one"
    only(chart(state("a", to("a", "go", "end"), kind="compound"), FINAL), "m.a", "compound without a state in it")


def test_a_deep_initial_state_is_fine():
    made = chart(state("a", to("a", "go", "end"), initial="b"), state("b", parent="a"), FINAL, initial="b")
    assert problems(made) == []


# --- targets ----------------------------------------------------------------------------------------------------------


def test_a_missing_target():
    made = chart(state("a", to("a", "go", "ende"), to("a", "on", "end")), FINAL)
    only(made, "m.a", "the target 'ende' of event 'go' does not exist; did you mean 'end'?")
    made = chart(state("a", to("a", "go", "xyz"), to("a", "on", "end")), FINAL)
    only(made, "m.a", "the target 'xyz' of event 'go' does not exist; there are: a, end")


def test_the_whole_machine_is_no_target():
    only(chart(state("a", to("a", "go", ROOT))), "m.a", "the target '' of event 'go' does not exist")


def test_targets_that_are_never_active_together():
    made = chart(state("a", to("a", "go", "b", "end")), state("b", to("b", "go", "end")), FINAL)
    only(made, "m.a", "event 'go' has targets 'b' and 'end', which are never active together", "regions")
    inside = [state("r", parent="p", initial="r1"), state("r1", parent="r"), state("r2", parent="r")]
    made = chart(
        state("a", to("a", None, "r1", "r2", after=3)), state("p", to("p", "x", "a"), kind="parallel"), *inside
    )
    only(made, "m.a", "after 3 seconds has targets 'r1' and 'r2'")


def test_of_several_targets_the_missing_one_is_named():
    made = chart(state("a", to("a", "go", "zz", "end", "zz")), FINAL)
    assert {problem.text for problem in problems(made)} == {
        "the target 'zz' of event 'go' does not exist; there are: a, end"
    }
    made = chart(state("a", to("a", "go", "zz", internal=True), to("a", "on", "end")), FINAL)
    only(made, "m.a", "the target 'zz' of event 'go' does not exist")


def test_a_target_and_one_within_it_go_together():
    made = chart(
        state("a", to("a", "go", "b", "c")), state("b", to("b", "go", "a"), initial="c"), state("c", parent="b")
    )
    assert problems(made) == []


def test_an_internal_transition_that_leaves():
    made = chart(state("a", to("a", "go", "end", internal=True)), FINAL)
    only(made, "m.a", "event 'go' is internal but goes to a state outside")
    made = chart(state("a", to("a", "go", "a", internal=True)))
    only(made, "m.a", "event 'go' is internal but goes to a state outside")


def test_a_negative_time():
    only(chart(state("a", to("a", None, "end", after=-2.5)), FINAL), "m.a", "after -2.5 seconds is a negative time")


# --- choices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"), [("go", "go"), ("*", "go"), ("error", "error.execution"), ("error.*", "error.a.b"), ("*", "*")]
)
def test_two_targets_of_one_event_without_a_guard(first, second):
    made = chart(state("a", to("a", first, "b"), to("a", second, "end")), state("b", to("b", "x", "a")), FINAL)
    assert f"event {second!r} is never taken to 'end'" in problems(made)[0].text
    assert "give that a guard" in problems(made)[0].text


@pytest.mark.parametrize(("first", "second"), [("go", "*"), ("error.execution", "error"), ("err", "error"), ("a", "b")])
def test_an_earlier_event_that_is_only_some_of_the_later_ones(first, second):
    made = chart(state("a", to("a", first, "b"), to("a", second, "end")), state("b", to("b", "x", "a")), FINAL)
    assert problems(made) == []


def test_a_guard_or_a_choice_leaves_the_next_one_its_chance():
    made = chart(
        state("a", to("a", "go", "a", guard=Hook("g")), to("a", "go", choose=Hook("c")), to("a", "go", "end")), FINAL
    )
    assert problems(made) == []


def test_only_the_patterns_that_are_forestalled_are_named():
    made = chart(state("a", to("a", "go"), Transition("a", ("stop", "go"), ("end",))), FINAL)
    only(made, "m.a", "event 'go' is never taken to 'end'")


def test_eventless_transitions_and_times_forestall_each_other():
    made = chart(state("a", to("a", None, "b"), to("a", None, "end")), state("b", to("b", "x", "a")), FINAL)
    assert "its eventless transition is never taken to 'end'" in problems(made)[0].text
    made = chart(state("a", to("a", None, "a", after=1), to("a", None, "end", after=1.0)), FINAL)
    assert "after 1 second is never taken to 'end'" in problems(made)[0].text
    made = chart(state("a", to("a", None, "a", after=1), to("a", None, "end", after=2)), FINAL)
    assert problems(made) == []


def test_eventless_transitions_that_never_end():
    for targets in ((), ("a",)):
        only(chart(state("a", to("a", None, *targets))), "m.a", "go round in it for ever; give one a guard")
    ring = [
        state("b", to("b", None, "c")),
        state("c", to("c", "x"), to("c", None, "d")),
        state("d", to("d", None, "b")),
    ]
    found = problems(chart(state("a", to("a", None, "b")), *ring))
    assert [problem.place for problem in found] == ["m.b", "m.c", "m.d"]
    assert "go round in 'b' and 'c' and 'd' for ever" in found[0].text


def test_eventless_transitions_that_a_guard_may_end():
    guarded = to("a", None, "end", guard=Hook("done"))
    assert problems(chart(state("a", guarded, to("a", None, "a")), FINAL)) == []
    assert problems(chart(state("a", to("a", None, "b")), state("b", to("b", None, "a", guard=Hook("g"))))) == []
    assert problems(chart(state("a", to("a", None, choose=Hook("c"))))) == []


# --- reach ------------------------------------------------------------------------------------------------------------


def test_a_state_that_nothing_leads_to():
    made = chart(state("a", to("a", "go", "end")), state("b", to("b", "go", "end")), FINAL)
    only(made, "m.b", "nothing leads to it; make it the target of a transition")


def test_of_a_nest_out_of_reach_the_outermost_state_is_named():
    made = chart(
        state("a", to("a", "go", "end")),
        state("b", to("b", "go", "c"), initial="c"),
        state("c", parent="b"),
        state("h", parent="b", kind="shallow", initial="c"),
        FINAL,
    )
    only(made, "m.b", "nothing leads to it")


def test_states_that_lead_to_each_other_only_are_out_of_reach():
    made = chart(state("a", to("a", "x", "end")), state("b", to("b", "x", "c")), state("c", to("c", "x", "b")), FINAL)
    assert [problem.place for problem in problems(made)] == ["m.b", "m.c"]


def test_a_state_entered_by_a_target_within_it_is_not_entered_by_default():
    made = chart(
        state("a", to("a", "go", "d")),
        state("b", to("b", "x", "a"), initial="c"),
        state("c", parent="b"),
        state("d", parent="b"),
    )
    only(made, "m.c", "nothing leads to it")


def test_regions_are_entered_with_a_target_in_one_of_them():
    made = chart(
        state("a", to("a", "go", "r1")),
        state("p", to("p", "x", "a"), kind="parallel"),
        *(state("r", parent="p", initial="r1"), state("r1", parent="r")),
        *(state("q", parent="p", initial="q1"), state("q1", parent="q")),
    )
    assert problems(made) == []


def test_a_history_that_no_transition_leads_to_is_out_of_reach():
    made = chart(
        state("a", to("a", "x"), initial="b"), state("b", parent="a"), state("h", parent="a", kind="deep", initial="b")
    )
    only(made, "m.h", "nothing leads to it")


def test_with_a_chosen_target_any_state_is_in_reach():
    made = chart(state("a", to("a", "*", choose=Hook("handle"))), state("b", to("b", "x", "a")))
    assert problems(made) == []
    assert reachable(made) == {ROOT, "a", "b"}


def test_without_an_initial_state_reach_is_not_judged():
    only(chart(state("a", to("a", "x", "b")), state("b", to("b", "x", "a")), initial=None), "m", "no initial state")


# --- no way out -------------------------------------------------------------------------------------------------------


def test_a_state_without_a_way_out():
    only(chart(state("a")), "m.a", "no way out of it, and it is not final; give it a transition, or make it final")
    only(chart(state("a", to("a", "go", "b")), state("b")), "m.b", "no way out")


def test_a_way_out_of_what_is_around_will_do():
    made = chart(state("a", to("a", "go", "end"), initial="b"), state("b", parent="a"), FINAL)
    assert problems(made) == []


def test_a_way_out_of_a_sibling_will_not_do():
    made = chart(
        state("a", initial="b"),
        state("b", to("b", "go", "c"), to("b", "on", "end"), parent="a"),
        state("c", parent="a"),
        FINAL,
    )
    only(made, "m.c", "no way out")


def regions(*of_q1):
    return chart(
        state("p", kind="parallel"),
        *(state("r", parent="p", initial="r1"), state("r1", parent="r")),
        *(state("q", parent="p", initial="q1"), state("q1", *of_q1, parent="q")),
        FINAL,
        initial="p",
    )


def test_a_way_out_by_another_region_will_do():
    assert problems(regions(to("q1", "go", "end"))) == []
    assert problems(regions(to("q1", "go", choose=Hook("handle")))) == []
    found = problems(regions(to("q1", "go", "q1")))
    assert [problem.place for problem in found] == ["m.r1", "m.end"], "another region moves, but leaves nothing"


def test_a_state_that_only_reacts_is_no_trap():
    assert problems(chart(state("a", to("a", "ping")))) == []


# --- final, parallel, history -----------------------------------------------------------------------------------------


def test_a_final_state_has_nothing_but_enter_exit_and_donedata():
    first = state("a", to("a", "go", "end"))
    only(chart(first, state("end", to("end", "x", "a"), kind="final")), "m.end", "final and has transitions")
    made = chart(first, state("end", kind="final"), state("b", parent="end", kind="final"))
    assert Problem("m.end", "it is final and has states in it, b; make it an ordinary state") in problems(made)
    made = chart(first, state("end", kind="final", defer=["go"]))
    only(made, "m.end", "neither defers nor invokes")
    made = chart(first, state("end", kind="final", invoke=[Invoke("x", int)]))
    only(made, "m.end", "neither defers nor invokes")
    good = state("end", kind="final", donedata=Hook("d"), enter=[Hook("e")], exit=[Hook("x")])
    assert problems(chart(first, good)) == []
    only(chart(state("a", to("a", "x"), donedata=Hook("d"))), "m.a", "it has donedata but is not final")


def test_a_region_is_not_final():
    made = chart(state("a", to("a", "x", "a"), kind="parallel"), state("b", parent="a", kind="final"))
    only(made, "m.b", "a region of 'a' cannot be final by itself; put it into a region")


def test_a_parallel_state_has_regions_and_no_initial_state():
    only(chart(state("a", to("a", "x"), kind="parallel")), "m.a", "no regions")
    made = chart(state("a", to("a", "x", "h"), kind="parallel"), state("h", parent="a", kind="deep", initial="h"))
    assert Problem("m.a", "it is parallel and has no regions; add states to it") in problems(made)
    made = chart(state("a", to("a", "x"), kind="parallel", initial="b"), state("b", parent="a"))
    only(made, "m.a", "all in it are entered; leave its initial state out")


def with_history(*more, initial, kind="shallow"):
    return chart(
        state("a", to("a", "x", "h"), initial="b"),
        state("b", to("b", "x", "end"), parent="a"),
        state("h", *more, parent="a", kind=kind, initial=initial),
        FINAL,
    )


def test_the_default_of_a_history():
    assert problems(with_history(initial="b")) == []
    only(with_history(initial=None), "m.h", "it has no default; name a state within 'a'")
    only(with_history(initial="bb"), "m.h", "its default 'bb' does not exist; did you mean 'b'?")
    only(with_history(initial="end"), "m.h", "its default 'end' is outside of 'a'; name a state within it")
    only(with_history(initial="a"), "m.h", "its default 'a' is outside of 'a'")
    only(with_history(initial="h"), "m.h", "its default is itself")
    only(with_history(to("h", "x", "b"), initial="b"), "m.h", "a history has nothing but a default")


def test_a_history_of_the_whole_machine():
    only(chart(state("a", to("a", "x", "h")), state("h", kind="deep", initial="a")), "m.h", "never entered again")


def test_an_atomic_state_with_states_in_it():
    made = chart(state("a", to("a", "x"), kind="atomic", initial="b"), state("b", parent="a"))
    only(made, "m.a", "it is atomic and has states in it")


# --- events -----------------------------------------------------------------------------------------------------------


def test_a_deferred_event_that_nothing_waits_for():
    made = chart(state("a", to("a", "pay", "end"), defer=["pya"]), FINAL)
    only(made, "m.a", "it defers 'pya', an event that no transition waits for; did you mean 'pay'?")
    for deferred, waited in (("*", "pay"), ("pay", "*"), ("pay.*", "pay.cash"), ("pay.cash", "pay")):
        made = chart(state("a", to("a", waited, "b"), defer=[deferred]), state("b", to("b", waited, "a")))
        assert problems(made) == []


def test_a_done_event_of_what_is_never_done():
    made = chart(state("a", to("a", "done.state.ende", "end")), FINAL)
    only(made, "m.a", "waits for 'done.state.ende', but there is no such state; did you mean 'end'?")
    made = chart(state("a", to("a", "done.state.end", "end")), FINAL)
    only(made, "m.a", "'end' has no states in it and is never done")
    made = chart(state("a", to("a", "done.invoke.curier", "end"), invoke=[Invoke("courier", int)]), FINAL)
    only(made, "m.a", "nothing is invoked under that id; did you mean 'courier'?")
    only(chart(state("a", to("a", "done.invoke.x", "end")), FINAL), "m.a", "under that id; there are: none")
    made = chart(state("a", to("a", "done.invoke.x.*", "end"), to("a", "done.*"), invoke=[Invoke("x.1", int)]), FINAL)
    assert problems(made) == []


@pytest.mark.parametrize(
    ("pattern", "event", "yes"),
    [
        ("a", "a", True),
        ("a", "a.b", True),
        ("a.*", "a.b.c", True),
        ("a.*", "a", True),
        ("*", "a.b", True),
        ("*", "*", True),
        ("a", "ab", False),
        ("a.b", "a", False),
        ("a", "*", False),
        ("", "", True),
        ("*", "", False),
    ],
)
def test_what_a_pattern_covers(pattern, event, yes):
    assert covers(pattern, event) is yes


# --- how it is said ---------------------------------------------------------------------------------------------------


BROKEN = chart(state("a", to("a", "go", "b")), state("c"))


def test_an_error_lists_all_places():
    with pytest.raises(af.DefinitionError) as raised:
        check(BROKEN, loud="error")
    first, *lines = str(raised.value).splitlines()
    assert first == "m has 2 mistakes:"
    assert lines == [f"  {place}: {text}" for place, text in problems(BROKEN)]


def test_a_warning_says_the_same_where_the_user_called():
    with pytest.warns(ChartWarning, match="m has 2 mistakes") as caught:
        check(BROKEN, loud="warning")
    assert caught[0].filename == __file__


def test_a_good_chart_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(chart(state("a", to("a", "go", "end")), FINAL), loud="warning")
        check(chart(state("a", to("a", "go", "end")), FINAL), loud="error")


def test_a_chain_of_eventless_transitions_is_walked_once(monkeypatch):
    length, walked = 500, []
    chain = [state(f"s{at}", to(f"s{at}", None, f"s{at + 1}")) for at in range(length)]
    made = chart(*chain, state(f"s{length}", kind="final"), initial="s0")
    forced = checks._forced
    monkeypatch.setattr(checks, "_forced", lambda node: walked.append(node.name) or forced(node))
    assert problems(made) == []
    assert len(walked) <= 2 * length


def test_each_state_of_a_circle_is_named_and_a_long_one_is_cut_short():
    circle = [state(f"s{at}", to(f"s{at}", None, f"s{(at + 1) % 40}")) for at in range(40)]
    found = problems(chart(state("a", to("a", "go", "s0")), *circle))
    assert [one.place for one in found] == [f"m.s{at}" for at in range(40)]
    assert all(one.text.count("'s") == 10 for one in found)
    assert "'s39' and 's0' and 's1'" in found[39].text


def test_of_very_many_mistakes_the_first_are_told():
    astray = [state(f"state{at}", to(f"state{at}", "go", f"stat{at}")) for at in range(300)]
    with pytest.warns(ChartWarning, match="m has more than 100 mistakes; the first of them:") as heard:
        check(chart(state("a", to("a", "go", "state0")), *astray), loud="warning")
    assert len(str(heard[0].message).splitlines()) == 101
