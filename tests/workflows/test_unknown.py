"""Promises: a run ends once and right, whatever commits fail or are left in doubt, drawn by seed, in virtual time."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os

import pytest

import actorflow as af
from actorflow.store.open_transaction import OpenTransaction
from actorflow.testing import VirtualSystem
from actorflow.workflows.node import giving_back
from tests.outcomes.faulty import faults
from tests.workflows.bodies import Approved
from tests.workflows.test_kills import FLOWS, result_of

SEEDS = int(os.environ.get("ACTORFLOW_UNKNOWN", "24"))
SHARE = 8  # seeds of one test


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")


def insist(system, act):
    """Do it until the store takes it, as a user does who has an id."""
    while True:
        try:
            return act()
        except af.StoreError:
            system.sleep(1)


@pytest.mark.parametrize("some", [range(at, min(at + SHARE, SEEDS)) for at in range(0, SEEDS, SHARE)], ids=str)
def test_a_run_ends_right_whatever_becomes_of_its_commits(some):
    drawn = set()
    for seed in some:
        with VirtualSystem(seed=seed) as system:
            with faults(system, seed) as faulty:
                for n in range(6):
                    workflow = FLOWS[n % 4].options(id=f"run-{n}")
                    run = insist(system, lambda workflow=workflow, n=n: system.start(workflow, n))
                    insist(system, lambda run=run: run.signal(Approved("ann"), id="once"))
                    with contextlib.suppress(af.StoreError):
                        system.sleep(1)
                system.sleep(60)
                drawn |= faulty.drawn
            system.sleep(120)
            for n in range(6):
                run = system.get_run(f"run-{n}")
                assert (run.status, run.result(timeout=10)) == ("completed", result_of(n)), (seed, n)
                steps = [(step.branch, step.name, step.occurrence) for step in run.steps]
                assert len(steps) == len(set(steps)) == 6, (seed, n)
    assert drawn == {"before", "at", "after"} or len(some) < SHARE


@af.task
def written(n: int) -> int:
    with af.current().transaction():
        return n + 1


@af.workflow
def writing(n: int) -> int:
    return written(n)


def test_a_run_that_could_not_be_given_back_is_looked_for_by_its_own_node(monkeypatch):
    failed = []

    def failing_once(name, real, error):
        def act(*args, **more):
            if name not in failed:
                failed.append(name)
                raise error
            return real(*args, **more)

        return act

    with VirtualSystem() as system:
        in_doubt = af.OutcomeUnknown("the server has gone in a commit")
        monkeypatch.setattr(OpenTransaction, "commit", failing_once("commit", OpenTransaction.commit, in_doubt))
        gone = af.StoreError("the server has gone")
        monkeypatch.setattr(giving_back.ledger, "let_go", failing_once("let go", giving_back.ledger.let_go, gone))
        assert system.start(writing, 1).result(timeout=100) == 2
    assert failed == ["commit", "let go"]


@af.task
def impossible() -> None:
    raise ValueError("it never works")


@af.saga
def behind_its_pivot() -> None:
    af.pivot()
    impossible()


def test_a_run_that_cannot_be_given_back_is_tried_again_each_second_and_told_of_once(monkeypatch):
    tries, told = [], []
    let_go = giving_back.ledger.let_go

    def act(*args, **more):
        tries.append(system.now)
        if len(tries) <= 5:
            raise af.StoreError("the disk is full")
        return let_go(*args, **more)

    monkeypatch.setattr(giving_back.ledger, "let_go", act)
    with VirtualSystem() as system:
        system.subscribe(af.RunEvent, lambda event: told.append(event.kind) if event.kind == "stuck" else None)
        run = system.start(behind_its_pivot)
        system.sleep(20)
        assert run.status == "stuck"
    assert len(tries) == 6
    assert all(after - before >= 1 for before, after in itertools.pairwise(tries))
    assert told == ["stuck"]
