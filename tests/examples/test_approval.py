"""The example of an approval: its days pass in virtual time; killed for real, it waits on."""

from __future__ import annotations

import pytest

import actorflow as af
from examples.approval import DAY, Decision, expense
from tests.examples.programs import killed, output, program, until

ASKED = "to boss: bob asks for 250"
REMINDED = "to boss: bob still waits for 250"


@pytest.fixture
def run(virtual_system):
    return virtual_system.start(expense, "bob", 250)


def printed(capsys):
    return capsys.readouterr().out.splitlines()


def test_an_expense_that_nobody_decides_on_is_reminded_of_once_and_expires_on_the_third_day(
    virtual_system, run, capsys
):
    virtual_system.sleep(DAY - 1)
    assert printed(capsys) == [ASKED]
    virtual_system.sleep(2)
    assert printed(capsys) == [REMINDED]
    virtual_system.sleep(2 * DAY - 3)
    assert run.status == "running"
    virtual_system.sleep(3)
    assert run.result() == "expired"
    assert printed(capsys) == ["to bob: nobody has decided in three days"]


@pytest.mark.parametrize("days", [0, 0.5, 2.5])
def test_a_decision_within_three_days_counts(virtual_system, run, capsys, days):
    virtual_system.sleep(days * DAY)
    run.signal(Decision("ann", is_approved=True))
    assert run.result() == "paid"
    *before, last = printed(capsys)
    assert before == [ASKED, REMINDED][: 1 + (days > 1)]
    assert last.startswith("paid 250 with key ")


def test_an_expense_that_is_refused_is_not_paid(run, capsys):
    run.signal(Decision("ann", is_approved=False))
    assert run.result() == "refused"
    assert printed(capsys) == [ASKED, "to bob: ann has refused"]


def test_a_decision_after_the_third_day_is_refused(virtual_system, run):
    virtual_system.sleep(4 * DAY)
    with pytest.raises(af.DefinitionError, match="is over"):
        run.signal(Decision("ann", is_approved=True))


def killed_while_it_waits(folder):
    with killed(program(folder, "examples.approval")) as lines:
        assert until(lines, "asks for") == [ASKED]


def test_it_is_killed_and_the_decision_of_meanwhile_counts(tmp_path):
    killed_while_it_waits(tmp_path)
    decided = output(program(tmp_path, "examples.approval", "approve", "ann"))  # this program may do the rest, too
    *before, last = decided + output(program(tmp_path, "examples.approval"))
    assert last == "the expense is paid"
    paid = {line for line in before if line.startswith("paid 250 with key ")}
    assert len(paid) == 1
    assert {*before} - paid <= {ASKED}  # once more, if the kill came before the record


def test_it_is_killed_and_its_days_go_on(tmp_path):
    killed_while_it_waits(tmp_path)
    heard = output(program(tmp_path, "examples.approval", DAY="0.1"))
    rest = [REMINDED, "to bob: nobody has decided in three days", "the expense is expired"]
    assert heard in (rest, [ASKED, *rest])
