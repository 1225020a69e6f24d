"""The fault matrix, our column: each fault is really injected, hurts nobody else, and its error names the cause."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faults.observe import observe
from tests.faults.rows import BY_NAME, ROWS
from tests.faults.table import cell, passed

LIMIT = 90.0  # seconds; a row takes one to three
PATIENCE = 5  # times those of the report, for busy machines
TOO_LATE = 9.0  # seconds that a pool may take to see a fault, on a busy machine; a forgotten one takes ten


@dataclass(frozen=True)
class Cause:
    """What the faulty task's error must say."""

    type: str
    words: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    traceback: str = ""  # a line of the remote traceback


CAUSES = {
    "kill-9": Cause("HostDied", ("SIGKILL", "may have run"), {"signal": 9, "exitcode": None, "maybe_ran": True}),
    "exit": Cause("HostDied", ("exit code 3",), {"signal": None, "exitcode": 3, "maybe_ran": True}),
    "segfault": Cause("HostDied", ("SIGSEGV",), {"signal": 11, "exitcode": None, "maybe_ran": True}),
    "timeout": Cause("TaskTimeout", ("fault", "1")),
    "memory": Cause("MemoryLimit", ("memory", "limit"), {"maybe_ran": True}),
    "unpicklable-result": Cause("PayloadError", ("result.guard", "lock")),
    "unpicklable-exception": Cause("Unsendable", ("the disc is full",), traceback="in _raise_unsendable"),
    "two-argument-exception": Cause(
        "TwoArguments", ("507: the disc is full",), {"code": 507}, "in _raise_two_arguments"
    ),
    "cancel": Cause("CancelledError", ()),
}
DELIVERED = {"nested": "F", "fork-with-lock": "F"}


@pytest.mark.slow
@pytest.mark.timeout(LIMIT + 15)
@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_fault_hurts_nobody_else_and_names_its_cause(row):
    facts = observe(row, "actorflow", LIMIT, PATIENCE)

    assert passed(BY_NAME[row], facts), f"{cell(BY_NAME[row], facts)}\n{facts}"
    assert facts["left"] == 0, facts
    assert facts.get("both", {"state": "ok"})["state"] == "ok", facts  # two workers serve at once
    assert facts["exit"] == EXITS.get(row, 0), facts
    if row in CAUSES:
        assert_names_the_cause(facts["faulty"], CAUSES[row])
    if row in DELIVERED:
        assert facts["faulty"]["value"] == DELIVERED[row], facts
    if row in FURTHER:
        FURTHER[row](facts)
    if row != "ctrl-c":
        assert "Traceback" not in facts["errors"], facts["errors"]


def assert_names_the_cause(error, cause):
    """The error's type, its words, what it carries, and where it came from."""
    assert cause.type in error["bases"], error  # a pool raises kinds of its own, which are these too
    for word in cause.words:
        assert word in error["text"], error
    for name, value in cause.attributes.items():
        assert error["attributes"].get(name) == value, (name, error)
    assert cause.traceback in error["text"] + error["notes"], error


def in_time(facts):
    """The task's second, and what the pool needs to see that it has passed."""
    assert 0.5 < facts["faulty"]["seconds"] < 1.0 + TOO_LATE, facts  # counted from a moment after the start


def slot_is_free(facts):
    """The queued tasks were served while the other worker still worked."""
    assert facts["cancelled"]["value"] is True, facts
    assert [one["state"] for one in facts["slot"]] == ["ok"] * 3, facts
    assert "CancelledError" in facts["faulty"]["bases"], facts


def interrupted_once(facts):
    """The tasks of one second are waited for, and only the script itself is interrupted."""
    assert facts["end"] < 20, facts
    assert facts["errors"].count("Traceback") == 1, facts["errors"]
    assert facts["errors"].rstrip().endswith("KeyboardInterrupt"), facts["errors"]


def ends_at_once(facts):
    """The script had 0.3 s of work left."""
    assert facts["end"] < 20, facts
    assert facts["next"]["value"] == 7, facts


EXITS = {"parent-killed-busy": -9, "parent-killed-idle": -9, "parent-terminated": -15, "ctrl-c": -2}
FURTHER = {"timeout": in_time, "cancel": slot_is_free, "ctrl-c": interrupted_once, "never-closed": ends_at_once}
