"""The example of two stores: a write is in both or in none, also after a kill between the two."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from examples.sync import main
from tests.examples.programs import killed, output, program, until


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """Return what is in each store."""
    monkeypatch.chdir(tmp_path)

    def read(name="ann"):
        found = []
        for file in ("crm.db", "billing.db"):
            with closing(sqlite3.connect(tmp_path / file)) as connection:
                rows = connection.execute("select address from addresses where name = ?", (name,)).fetchall()
                found += [row[0] for row in rows]
        return found

    return read


def test_an_address_is_in_both_stores(stores, capsys):
    assert main(["ann", "5 High Street"]) == 0
    assert main(["ann", "1 Low Road"]) == 0
    assert main(["ann", "5 High Street"]) == 0
    assert stores() == ["5 High Street", "5 High Street"]
    assert "is restored" not in capsys.readouterr().out


def test_an_address_that_one_store_refuses_is_in_none(stores, capsys):
    assert main(["ann", "5 High Street"]) == 0
    assert main(["ann", ""]) == 1
    assert stores() == ["5 High Street", "5 High Street"]
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-2:] == ["crm is written", "crm is restored"]
    assert "nothing is changed: billing needs an address" in printed.err


@pytest.mark.slow
@pytest.mark.parametrize("left", ["1 Low Road", ""])
def test_what_a_kill_between_the_writes_has_left_is_done_or_undone(stores, tmp_path, left):
    assert output(program(tmp_path, "examples.sync", "ann", "5 High Street"))[-1] == "both have it"
    with killed(program(tmp_path, "examples.sync", "ann", left, PACE="60")) as lines:
        until(lines, "crm is written")
    output(program(tmp_path, "examples.sync", "ann", "9 Mill Lane"))
    assert stores() == ["9 Mill Lane", "9 Mill Lane"]
