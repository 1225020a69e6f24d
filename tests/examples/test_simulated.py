"""The shop of the examples in a simulation: its scenario files are of today's code, and no run of a few fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from actorflow.cli import main

FOLDER = Path(__file__).parents[2] / "examples" / "shop"


@pytest.mark.parametrize("form", ["choreographed", "orchestrated"])
def test_the_shop_keeps_its_books_on_two_nodes_that_crash(form):
    args = [f"examples.shop.{form}:app", "--scenario", str(FOLDER / f"{form}.toml"), "--json"]
    done = CliRunner().invoke(main, ["sim", *args, "--runs", "2"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["runs"] == 2
    assert found["faults"] > 2
    assert found["met"]["stub of debit was called"]


@pytest.mark.slow
def test_a_shop_that_forgets_a_sold_out_order_is_found(monkeypatch):
    from examples.shop.services import Orders

    monkeypatch.setattr(Orders, "undo", lambda *_: iter(()))
    args = ["examples.shop.choreographed:app", "--scenario", str(FOLDER / "choreographed.toml"), "--runs", "1"]
    done = CliRunner().invoke(main, ["sim", *args])
    assert done.exit_code == 1, done.output
    assert "'choreography is well' does not hold" in done.stdout
