"""Each safeguard of the queue is switched off in turn, and a check sees the harm: so the checks can fail."""

import pytest

from tests.crash import safeguards, two_nodes
from tests.crash.stores import stores


@pytest.mark.slow
@pytest.mark.parametrize("name", safeguards.STORY)
def test_without_a_safeguard_a_death_does_harm(tmp_path, name):
    _, point, harm = safeguards.STORY[name]
    with stores(tmp_path, None) as made:
        (run,) = made.run([point], name)
        assert run["points"] is None  # it died
        assert any(harm in problem for problem in run["problems"]), run


@pytest.mark.slow
def test_with_all_safeguards_the_same_deaths_do_none(tmp_path):
    points = {point for _, point, _ in safeguards.STORY.values()} - {"harm"}
    with stores(tmp_path, None) as made:
        for run in made.run(points):
            assert (run["points"], run["problems"]) == (None, [])


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
