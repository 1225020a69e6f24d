"""Promises: a run outlives a store that is gone for a while, and a defect of the runtime's own gives it back."""

from __future__ import annotations

import logging

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from actorflow.workflows.node.run_actor import RunActor
from tests.workflows.bodies import Approved
from tests.workflows.test_kills import order, order_async, result_of


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")


@pytest.mark.parametrize("workflow", [order, order_async], ids=["plain", "async"])
def test_a_run_whose_mail_cannot_be_read_looks_again(workflow, monkeypatch):
    with VirtualSystem() as system:
        run = system.start(workflow.options(id="run"), 5)
        read = system.store.read
        failures = [af.StoreError("gone")] * 5

        def fails(work):
            if failures:
                raise failures.pop()
            return read(work)

        monkeypatch.setattr(system.store, "read", fails)
        system.sleep(30)
        assert not failures
        run.signal(Approved("ann"))
        assert run.result(timeout=60) == result_of(5)


@pytest.mark.parametrize("workflow", [order, order_async], ids=["plain", "async"])
def test_a_run_whose_actor_fails_is_taken_again(workflow, monkeypatch):
    with VirtualSystem() as system:
        run = system.start(workflow.options(id="run"), 5)
        take_in, failed = RunActor.take_in, []

        def fails(self, *row):
            if not failed:
                failed.append(row)
                raise RuntimeError("a defect")
            take_in(self, *row)

        monkeypatch.setattr(RunActor, "take_in", fails)
        system.sleep(1)
        run.signal(Approved("ann"))
        assert run.result(timeout=120) == result_of(5)
        assert failed
