"""Apps: an app runs the workflows that it was given, and no others."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.testing import VirtualScheduler
from tests.core.actors import until
from tests.workflows.bodies import number


@af.workflow
def added(n: int) -> int:
    """A step whose task was not added."""
    return number(n)[0]


@af.workflow
def not_added() -> int:
    """A workflow that the app has not."""
    return 1


def test_an_app_runs_the_workflows_that_it_was_given_and_no_others() -> None:
    app = af.App("shop").add(added)
    with app.system(scheduler=VirtualScheduler(name="shop", seed=1)) as system:
        assert system.start(added, 5).result() == 5
        other = system.start(not_added)
        system.sleep(60)
        assert other.status == "queued"


def test_an_app_goes_on_with_runs_as_it_starts(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with af.App("shop", store=url).system() as system:
        system.start(added.options(id="run"), 7)
    app = af.App("shop", store=url).add(added)

    @app.main
    def main(system: af.ActorSystem, _settings: None) -> int:
        until(lambda: system.runs().count() == {"completed": 1})
        return int(system.get_run("run").result(timeout=100))

    assert app.run() == 7


def test_an_app_is_told_of_a_workflow_once() -> None:
    with pytest.raises(af.DefinitionError, match="add it once"):
        af.App("shop").add(added, added)
