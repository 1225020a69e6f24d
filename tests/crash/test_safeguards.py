"""Each safeguard of the queue is switched off in turn, and a check sees the harm: so the checks can fail."""

import itertools

import pytest

from tests.crash import safeguards, two_nodes
from tests.crash.stores import stores

TRIES = 60  # deaths, at most, until the harm is seen


def nearest_first(points, place):
    """Yield the points of a run, those near a place of it first."""
    middle = int(points * place)
    return itertools.islice(sorted(range(1, points + 1), key=lambda point: abs(point - middle)), TRIES)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", safeguards.STORY)
def test_without_a_safeguard_a_death_does_harm(tmp_path, name):
    _, harm, place = safeguards.STORY[name]
    with stores(tmp_path, None) as made:
        (whole,) = made.run([0])
        for run in made.run(nearest_first(whole["points"], place), name, at_once=4):
            if any(harm in problem for problem in run["problems"]):
                return
    pytest.fail(f"nothing notices that this is off: {name}")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """Return the URL of a store of each kind that several processes may work on."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres_server").database() as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path / 'two.db'}"


def test_two_nodes_do_each_job_once(url):
    assert two_nodes.problems(url) == []


@pytest.mark.parametrize("name", safeguards.TWO_NODES)
def test_without_a_safeguard_two_nodes_do_harm(url, monkeypatch, name):
    with safeguards.without(name, monkeypatch):
        assert two_nodes.problems(url)


def test_without_locks_of_nodes_the_living_lose_their_jobs(url, monkeypatch):
    safeguards.without_node_locks(monkeypatch)
    assert two_nodes.problems(url)
