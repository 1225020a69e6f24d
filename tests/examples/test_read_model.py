"""The example of a read model: it is what the log says, whenever it was begun, and made anew by the code of today."""

from __future__ import annotations

import random

import pytest

import actorflow as af
from actorflow.testing import LeakCheck, VirtualSystem
from examples.read_model import Accounts, Statements, main


@pytest.fixture(autouse=True)
def _code_of_the_file(monkeypatch):
    """Put the method back that the example replaces."""
    monkeypatch.setattr(Statements, "line", Statements.line)


def durable(service: type[af.Service], name: str) -> af.Child:
    return af.child(service).options(name=name, durable=True)


def test_the_program_shows_lines_before_and_after_a_replay(capsys):
    main()
    assert capsys.readouterr().out.splitlines() == [
        "[True, True, False]",
        "['+500', '-200']",
        "['+5.00 euros', '-2.00 euros']",
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_cqrs_read_model_built_by_replay_is_the_one_that_listened_all_the_time(seed):
    chance = random.Random(seed)
    with LeakCheck(), VirtualSystem("bank", seed=seed) as system:
        accounts = system.spawn(durable(Accounts, "accounts"))
        listening = system.spawn(durable(Statements, "listening"))
        booked: dict[str, list[str]] = {"ann": [], "bob": []}
        for _ in range(40):
            account, cents = chance.choice(["ann", "bob"]), chance.randrange(-300, 500)
            if accounts.call(Accounts.book, account, cents).get():
                booked[account].append(f"{cents:+}")
        late = system.spawn(durable(Statements, "late"))
        system.event_log.replay("listening")
        system.sleep(10)
        for model in (listening, late):
            assert {name: model.call(Statements.read, name).get() for name in booked} == booked
        assert len(system.event_log.list("accounts.booked")) == sum(map(len, booked.values()))
