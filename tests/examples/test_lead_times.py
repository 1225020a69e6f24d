"""The example of a data pipeline: its table is right, also after a kill, and a line that is wrong is named."""

from __future__ import annotations

import subprocess

import pytest

from examples.lead_times import SHARES, lead_times, write_table
from examples.orders.generate import generate
from examples.orders.log import write
from tests.examples.logs import REAL_LOG, needs_real_log
from tests.examples.programs import killed, output, program, until


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    write(path, generate(60, seed=3))
    return path


def table_of(log, to):
    """The table of a log that is counted in one share."""
    assert write_table([lead_times(str(log), 0, 1)], str(to)) > 0
    return to.read_text().splitlines()


def test_shares_have_each_order_once(log):
    whole = lead_times(str(log), 0, 1)
    shares = [lead_times(str(log), share, SHARES) for share in range(SHARES)]
    assert sum(map(len, whole.values())) == 60
    for month, days in whole.items():
        assert sorted(days) == sorted(day for share in shares for day in share.get(month, ()))


def test_it_is_killed_after_some_shares_and_the_table_is_right(tmp_path, log):
    with killed(program(tmp_path, "examples.lead_times", "--log", str(log), PACE="0.2")) as lines:
        until(lines, "is counted")
        until(lines, "is counted")
    lines = output(program(tmp_path, "examples.lead_times", "--log", str(log)))
    counted = [line for line in lines if line.endswith("is counted")]
    assert len(counted) <= SHARES
    assert lines[lines.index("month,orders,median days,slowest") : -1] == table_of(log, tmp_path / "other.csv")
    assert lines[-1].startswith("60 orders in ")


@needs_real_log
@pytest.mark.slow
def test_the_real_log_has_its_two_thousand_orders(tmp_path):
    assert output(program(tmp_path, "examples.lead_times", "--log", str(REAL_LOG)))[-1].startswith("2,000 orders in ")


def test_a_line_that_is_wrong_ends_the_program_with_its_number(tmp_path, log):
    with log.open("a") as file:
        file.write("9999.0,juggle,2026-01-01 00:00:00.000Z, , , , , , , \n")
    number = len(log.read_text().splitlines())
    process = program(tmp_path, "examples.lead_times", "--log", str(log), stderr=subprocess.PIPE)
    with process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"line {number}: unknown activity 'juggle'" in errors
