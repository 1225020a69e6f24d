"""Sessions that are invoked: cancel, what comes late, and what came in time (sections 6.4 and 6.5)."""

from __future__ import annotations

from xml.sax.saxutils import escape

from actorflow.machine.scxml import load
from actorflow.testing import VirtualSystem
from tests.machine.scxml.documents import document, passes, run


def invoke(body: str, **attributes: str) -> str:
    given = "".join(f" {name}='{value}'" for name, value in attributes.items())
    return f"<invoke{given}><content>{escape(document(body))}</content></invoke>"


def test_a_cancelled_session_exits_its_states_and_what_it_says_then_is_dropped() -> None:
    child = "<state id='k'><onexit><send event='late' target='#_parent'/></onexit></state>"
    passes(
        f"<state id='a'>{invoke(child)}<transition event='go' target='b'/></state>"
        "<state id='b'><onentry><send event='over' delay='1s'/></onentry>"
        "<transition event='late' target='fail'/><transition event='over' target='pass'/></state>",
        "go",
    )


def test_sessions_inside_a_cancelled_one_exit_their_states_too() -> None:
    inner = "<state id='i'><onexit><send event='told' target='#_scxml_witness'/></onexit></state>"
    child = f"<state id='k'>{invoke(inner)}</state>"
    from actorflow.machine.scxml.actor import ScxmlActor

    parent = document(f"<state id='a'>{invoke(child)}<transition event='go' target='b'/></state><state id='b'/>")
    witness = document("<state id='w'><transition event='told' target='pass'/></state>")
    with VirtualSystem("test") as system:
        seen = system.spawn(ScxmlActor, load(witness), sessionid="witness")
        ref = system.spawn(ScxmlActor, load(parent))
        system.sleep(1)
        ref.send("go").get()
        system.sleep(1)
        assert seen.state == "pass"


def test_a_session_that_is_invoked_again_is_heard_and_the_cancelled_one_is_not() -> None:
    child = (
        "<datamodel><data id='n'/></datamodel><state id='k'><onentry><send event='tick' delay='1s'/></onentry>"
        "<transition event='tick'><send event='n' target='#_parent'><param name='n' expr='n'/></send></transition>"
        "</state>"
    )
    content = f"<content>{escape(document(child))}</content>"
    outcome = run(
        document(
            "<datamodel><data id='n' expr='0'/><data id='got' expr='[]'/></datamodel>"
            "<state id='a'><onentry><assign location='n' expr='n + 1'/></onentry>"
            f"<invoke id='k'><param name='n' expr='n'/>{content}</invoke>"
            "<transition event='again' target='a'/>"
            "<transition event='n'><assign location='got' expr='got + [_event.data.n]'/></transition></state>"
        ),
        "again",
        "again",
        seconds=5,
    )
    assert outcome.data["got"] == [3]


def test_an_event_is_passed_on_to_the_child_that_has_sent_it_too() -> None:
    child = (
        "<state id='k'><onentry><send event='ping' target='#_parent'/></onentry>"
        "<transition event='ping' target='l'/></state>"
        "<state id='l'><onentry><send event='heard' target='#_parent'/></onentry></state>"
    )
    passes(f"<state id='a'>{invoke(child, autoforward='true')}<transition event='heard' target='pass'/></state>")


def test_the_done_event_of_a_child_that_was_over_before_its_state_was_left_is_handled() -> None:
    child = "<final id='f'/>"
    passes(
        f"<state id='a'>{invoke(child, id='k')}<onentry><send event='go'/></onentry>"
        "<transition event='go' target='b'/></state>"
        "<state id='b'><onentry><send event='over' delay='1s'/></onentry>"
        "<transition event='done.invoke.k' target='pass'/><transition event='over' target='fail'/></state>"
    )


def test_the_end_of_a_child_after_its_cancel_is_no_event() -> None:
    child = (
        "<state id='k'><onentry><send event='e' delay='1s'/></onentry>"
        "<transition event='e' target='f'/></state><final id='f'/>"
    )
    passes(
        f"<state id='a'>{invoke(child, id='k')}<transition event='go' target='b'/></state>"
        "<state id='b'><onentry><send event='over' delay='5s'/></onentry>"
        "<transition event='done.invoke' target='fail'/><transition event='over' target='pass'/></state>",
        "go",
    )


def test_done_data_whose_params_all_fail_is_empty() -> None:
    passes(
        "<state id='a'><state id='b'><transition target='c'/></state>"
        "<final id='c'><donedata><param name='x' expr='nobody'/></donedata></final>"
        "<transition event='done.state.a' cond='_event.data is None' target='pass'/>"
        "<transition event='done.state.a' target='fail'/></state>"
    )


def test_a_condition_of_if_that_fails_is_false_and_the_block_goes_on() -> None:
    outcome = run(
        document(
            "<datamodel><data id='v' expr='[]'/></datamodel><state id='a'><onentry>"
            "<if cond='nobody'><assign location='v' expr='v + [1]'/>"
            "<elseif cond='1 // 0'/><assign location='v' expr='v + [2]'/>"
            "<else/><assign location='v' expr='v + [3]'/></if><assign location='v' expr='v + [4]'/></onentry>"
            "<transition event='error.execution'><assign location='v' expr='v + [_event.name]'/></transition></state>"
        )
    )
    assert outcome.data["v"] == [3, 4, "error.execution", "error.execution"]


def test_an_empty_condition_is_an_error_of_the_document_and_false() -> None:
    passes(
        "<state id='a'><transition event='go' cond='' target='fail'/>"
        "<transition event='error.execution' target='pass'/></state>",
        "go",
    )


def test_a_document_that_names_no_data_model_gets_the_one_that_is_asked_for() -> None:

    text = "<scxml><datamodel><data id='v' expr='{}'/></datamodel><state id='a'/></scxml>"
    assert load(text.format("[1] + [2]")).interpreter().model.data == {"v": [1, 2]}
    assert load(text.format("[1] + [2]"), datamodel="ecmascript").interpreter().model.data == {"v": "12"}
    assert load(text.format('1 &amp;&amp; !In("a")'), datamodel="c89").interpreter().model.data == {"v": True}
