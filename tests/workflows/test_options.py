"""Options of steps: what only a job of a queue has is refused in the body of a workflow."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.workflows.bodies import number


@af.workflow
def optioned(name: str, value: object) -> str:
    """Begin a step with an option."""
    try:
        return str(number.options(**{name: value})(1))
    except af.DefinitionError as error:
        return str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", "ann"),
        ("tags", ["night"]),
        ("delay", 5),
        ("unique", "x"),
        ("expires", 9),
        ("at_most_once", True),
        ("priority", 3),
    ],
)
def test_an_option_that_only_a_job_has_is_refused_for_a_step(name: str, value: object) -> None:
    with VirtualSystem("test", seed=1) as system:
        text = system.start(optioned, name, value).result()
        assert f"number.options({name}=): only a job of a queue has that" in text


def test_retry_and_timeout_hold_for_a_step() -> None:
    with VirtualSystem("test", seed=1) as system:
        assert system.start(optioned, "timeout", 5).result() == "[1]"
