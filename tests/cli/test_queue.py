"""`actorflow queue`: what it shows of a store, what it changes, and what stands in the way."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main
from tests.queue import tasks


@pytest.fixture
def url(tmp_path) -> str:
    """A store with one queue, whose one worker has been through some jobs."""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with af.ActorSystem("shop", store=url) as system:
        jobs = system.queue("photos", workers=1)
        jobs.enqueue(tasks.double, 1).result(timeout=10)  # job 1
        with pytest.raises(af.JobFailed):
            jobs.enqueue(tasks.fail, "broken lens").result(timeout=10)  # job 2
    with af.ActorSystem("shop", store=url) as system:
        jobs = system.queue("photos")
        jobs.enqueue(tasks.double.options(priority=3, tags=["night"]), 2)  # job 3
        jobs.enqueue(tasks.double.options(delay=1000), 3)  # job 4
    return url


def run(*arguments: str, code: int = 0, **options):
    result = CliRunner().invoke(main, ["queue", *arguments], **options)
    assert result.exit_code == code, result.output
    return result


def asked(*arguments: str, code: int = 0):
    return json.loads(run(*arguments, "--json", code=code).stdout)


def test_list_shows_the_queues_and_what_they_hold(url):
    assert asked("list", "--store", url) == [
        {
            "name": "photos", "queued": 1, "due": 1, "running": 0, "completed": 1, "failed": 1, "cancelled": 0,
            "retried": 0, "dead": 0, "paused": False,
        }
    ]  # fmt: skip
    assert "photos" in run("list", "--store", url).stdout


def test_the_store_may_come_from_the_environment(url):
    assert "photos" in run("list", env={"ACTORFLOW_STORE": url}).stdout


def test_show_lists_the_newest_jobs(url):
    assert [job["id"] for job in asked("show", "photos", "--store", url)] == ["4", "3", "2", "1"]
    assert [job["id"] for job in asked("show", "photos", "--status", "failed", "--store", url)] == ["2"]
    assert [job["id"] for job in asked("show", "photos", "--limit", "1", "--store", url)] == ["4"]
    assert "broken lens" in run("show", "photos", "--store", url).stdout


def test_show_finds_jobs_by_tag_and_task_and_pages_them(url):
    assert [job["id"] for job in asked("show", "photos", "--tag", "night", "--store", url)] == ["3"]
    assert [job["id"] for job in asked("show", "photos", "--task", tasks.fail.name, "--store", url)] == ["2"]
    assert [job["id"] for job in asked("show", "photos", "--before", "3", "--limit", "1", "--store", url)] == ["2"]
    assert asked("show", "photos", "--status", "queued", "--count", "--store", url) == {"name": "photos", "count": 2}
    assert run("show", "photos", "--tag", "night", "--count", "--store", url).stdout == "1\n"
    assert "night" in run("show", "photos", "--store", url).stdout


def test_jobs_are_cancelled_and_queued_again_by_tag_status_and_task(url):
    assert asked("cancel", "--queue", "photos", "--tag", "night", "--store", url) == {"name": "photos", "cancelled": 1}
    assert asked("show", "3", "--store", url)[0]["status"] == "cancelled"
    found = asked("retry", "--queue", "photos", "--status", "failed", "--task", tasks.fail.name, "--store", url)
    assert found == {"name": "photos", "retried": 1}
    assert "1 jobs of photos queued again" in run("retry", "--queue", "photos", "--tag", "night", "--store", url).stderr
    assert asked("show", "photos", "--status", "queued", "--count", "--store", url)["count"] == 3


def test_show_tells_all_of_one_job(url):
    (job,) = asked("show", "3", "--store", url)
    assert (job["status"], job["priority"], job["tags"]) == ("queued", 3, ["night"])
    assert "night" in run("show", "3", "--store", url).stdout


def test_stats_are_the_queues(url):
    assert asked("stats", "photos", "--store", url)["failed"] == 1
    assert "completed" in run("stats", "photos", "--store", url).stdout


def test_pause_and_resume_hold_for_who_works_on_the_store(url):
    assert "photos is paused" in run("pause", "photos", "--store", url).stderr
    assert asked("stats", "photos", "--store", url)["paused"] is True
    assert asked("resume", "photos", "--store", url) == {"name": "photos", "paused": False}
    assert asked("stats", "photos", "--store", url)["paused"] is False


def test_retry_queues_failed_jobs_again(url):
    assert asked("retry", "2", "--store", url) == [{"job": "2", "done": True}]
    assert asked("show", "2", "--store", url)[0]["status"] == "queued"
    assert asked("retry", "1", "2", "--store", url, code=1) == [
        {"job": "1", "done": False},
        {"job": "2", "done": False},
    ]


def test_retry_takes_all_dead_letters_of_a_queue(url):
    with af.ActorSystem("shop", store=url) as system:
        jobs = system.queue("photos", workers=1)
        letter = jobs.enqueue(tasks.cpu_kill_self.options(at_most_once=True))
        with pytest.raises(af.JobFailed):
            letter.result(timeout=30)
    assert asked("retry", "--dead", "photos", "--store", url) == [{"job": letter.id, "done": True}]


def test_cancel_ends_jobs(url):
    assert asked("cancel", "3", "4", "--store", url) == [{"job": "3", "done": True}, {"job": "4", "done": True}]
    assert "job 3 is over" in run("cancel", "3", "--store", url, code=1).stderr


def test_purge_asks_first(url):
    run("purge", "photos", "--store", url, input="n\n", code=1)
    assert asked("purge", "photos", "--yes", "--store", url) == {"name": "photos", "removed": 2}
    assert asked("stats", "photos", "--store", url)["queued"] == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("show", "films"), "there is no queue 'films'"),
        (("show", "77"), "there is no job 77"),
        (("pause", "films"), "there are: photos"),
        (("retry",), "name jobs by their numbers"),
        (("cancel",), "name jobs by their numbers"),
        (("cancel", "--queue", "films"), "there is no queue 'films'"),
        (("cancel", "--queue", "photos"), "name a status, a tag or a task"),
        (("retry", "--queue", "photos"), "name a status, a tag or a task"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(url, arguments, text):
    stderr = run(*arguments, "--store", url, code=2).stderr
    assert text in stderr
    assert stderr.count("\n") == 1


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    assert "there is no file" in run("list", "--store", f"sqlite:///{tmp_path}/none.db", code=2).stderr
    assert not (tmp_path / "none.db").exists()
    assert "in the process" in run("list", "--store", "memory:", code=2).stderr
    assert "--store" in CliRunner().invoke(main, ["queue", "list"]).stderr
