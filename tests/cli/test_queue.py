"""`actorflow queue`: what it shows of a store, what it changes, and what stands in the way."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3

import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main
from actorflow.cli.output import draw
from tests.queues import tasks


@pytest.fixture
def url(tmp_path) -> str:
    """A store with one queue, whose one worker has been through some jobs."""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with af.ActorSystem("shop", store=url) as system:
        jobs = system.queue("photos", workers=1)
        jobs.enqueue(tasks.double, 1).result(timeout=100)  # job 1
        with pytest.raises(af.JobFailed):
            jobs.enqueue(tasks.fail, "broken lens").result(timeout=100)  # job 2
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


def test_a_job_that_has_ended_is_not_due(url):
    with af.ActorSystem("shop", store=url) as system:
        job = system.queue("photos", workers=1).enqueue(tasks.fail.options(delay=0.01), "late")
        with pytest.raises(af.JobFailed):
            job.result(timeout=100)
    shown = {job["id"]: job["due"] for job in asked("show", "photos", "--store", url)}
    assert [id_ for id_, due in shown.items() if due is not None] == ["4"]


def test_show_finds_jobs_by_tag_and_task_and_pages_them(url):
    assert [job["id"] for job in asked("show", "photos", "--tag", "night", "--store", url)] == ["3"]
    assert [job["id"] for job in asked("show", "photos", "--task", tasks.fail.name, "--store", url)] == ["2"]
    assert [job["id"] for job in asked("show", "photos", "--before", "3", "--limit", "1", "--store", url)] == ["2"]
    assert asked("show", "photos", "--status", "queued", "--count", "--store", url) == {"name": "photos", "count": 2}
    assert run("show", "photos", "--tag", "night", "--count", "--store", url).stdout == "1 job of photos, tag night\n"
    assert "night" in run("show", "photos", "--store", url).stdout


def test_jobs_are_cancelled_and_queued_again_by_tag_status_and_task(url):
    assert asked("cancel", "--queue", "photos", "--tag", "night", "--store", url) == {"name": "photos", "cancelled": 1}
    assert asked("show", "3", "--store", url)[0]["status"] == "cancelled"
    found = asked("retry", "--queue", "photos", "--status", "failed", "--task", tasks.fail.name, "--store", url)
    assert found == {"name": "photos", "retried": 1}
    assert "1 job of photos queued again" in run("retry", "--queue", "photos", "--tag", "night", "--store", url).stderr
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
            letter.result(timeout=100)
    assert asked("retry", "photos", "--dead", "--store", url) == {"name": "photos", "retried": 1}
    assert asked("show", letter.id, "--store", url)[0]["status"] == "queued"


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
    assert "env var: 'ACTORFLOW_STORE'" in CliRunner().invoke(main, ["queue", "list"]).stderr


def test_the_path_of_a_file_is_as_good_as_its_url(url):
    assert asked("list", "--store", url.removeprefix("sqlite:///")) == asked("list", "--store", url)


def test_no_help_text_of_a_command_is_cut_off():
    for group in (["queue"], ["store"], ["store", "dead"], []):
        assert "..." not in CliRunner().invoke(main, [*group, "--help"]).stdout.partition("Commands:")[2], group


@pytest.mark.parametrize("content", ["foreign", "empty"])
def test_a_file_that_is_not_ours_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "other.db"
    if content == "foreign":
        with contextlib.closing(sqlite3.connect(path)) as conn:
            conn.execute("create table mine (a)")
    else:
        path.touch()
    before = path.read_bytes()
    assert "no tables of actorflow" in run("list", "--store", f"sqlite:///{path}", code=2).stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", ["9" * 18, "9" * 19, "9" * 30, "\u00b2", "0"])
def test_a_number_of_no_job_is_one_line_for_each_command(url, number):
    assert "there is no " in run("show", number, "--store", url, code=2).stderr
    for command in ("cancel", "retry"):
        result = CliRunner().invoke(main, ["queue", command, number, "--store", url])
        assert result.exit_code in {1, 2}
        assert len(result.stderr.splitlines()) == 1


def test_a_job_that_cannot_be_queued_again_does_not_keep_the_others_from_it(url):
    with af.ActorSystem("shop", store=url) as system:
        jobs = system.queue("photos")
        old = jobs.enqueue(tasks.double.options(unique="u"), 1)
        old.cancel()
        live = jobs.enqueue(tasks.double.options(unique="u"), 1)
    assert asked("retry", old.id, "2", "--store", url, code=1) == [
        {"job": old.id, "done": False},
        {"job": "2", "done": True},
    ]
    assert f"job {live.id} is live" in run("retry", old.id, "--store", url, code=1).stderr


def test_options_that_choose_jobs_go_with_a_queue(url):
    for command in ("cancel", "retry"):
        assert "name it by --queue" in run(command, "1", "--tag", "night", "--store", url, code=2).stderr
        assert "name jobs by their numbers" in run(command, "1", "--queue", "photos", "--store", url, code=2).stderr


def test_one_job_is_shown_with_times_that_people_read(url):
    shown = run("show", "1", "--store", url).stdout
    assert re.search(r"^created +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", shown, re.MULTILINE)


def test_one_job_is_shown_with_its_call_its_result_and_its_traceback(url):
    (done,) = asked("show", "1", "--store", url)
    assert (done["arguments"], done["result"], done["attempt"], done["traceback"]) == ([[1], {}], 2, 1, None)
    (failed,) = asked("show", "2", "--store", url)
    assert failed["error"] == "ValueError: broken lens"
    assert "in fail\n    raise ValueError(text)\n" in failed["traceback"]
    assert failed["traceback"].endswith("ValueError: broken lens\n")
    shown = run("show", "2", "--store", url).stdout
    assert re.search(r'^arguments +"broken lens"', shown, re.MULTILINE)
    assert "raise ValueError(text)" in shown
    assert re.search(r"^result +2", run("show", "1", "--store", url).stdout, re.MULTILINE)


def test_a_job_whose_row_is_damaged_is_shown(url):
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
        conn.execute("update af_job set args = x'ff', result = x'00', progress = '{', error = x'ff' where id = 1")
        conn.commit()
    (job,) = asked("show", "1", "--store", url)
    assert job["arguments"] == repr(b"\xff")
    assert "damaged" in job["error"]
    assert run("show", "1", "--store", url).stdout
    assert len(asked("show", "photos", "--store", url)) == 4


def test_columns_that_are_damaged_hide_no_job(url):
    damaged = "key = x'ff', tags = x'ff', created = 1e300, due = 'x', priority = 'x', task = x'ff', args = ?"
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
        conn.execute(f"update af_job set {damaged} where id = 1", (b"[" * 100_000,))
        conn.commit()
    assert len(asked("show", "photos", "--store", url)) == 4
    assert asked("show", "1", "--store", url)[0]["key"] == repr(b"\xff")
    assert "1e+300" in run("show", "1", "--store", url).stdout
    assert "1e+300" in run("show", "photos", "--store", url).stdout


def test_retry_takes_all_failed_jobs_of_a_queue(url):
    assert asked("retry", "photos", "--failed", "--store", url) == {"name": "photos", "retried": 1}
    assert asked("show", "2", "--store", url)[0]["status"] == "queued"
    assert "0 jobs of photos queued again" in run("retry", "photos", "--failed", "--dead", "--store", url).stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("photos",), "name a status, a tag or a task"),
        (("films", "--failed"), "there is no queue 'films'"),
        (("photos", "1"), "'photos' is no job"),
        (("1", "--failed"), "--status, --tag and --task choose among the jobs of a queue"),
    ],
)
def test_retry_says_what_it_was_not_told(url, arguments, text):
    assert text in run("retry", *arguments, "--store", url, code=2).stderr


def test_figures_say_what_they_count(url):
    shown = run("stats", "photos", "--store", url).stdout
    assert re.search(r"^failed +1 +jobs that failed for good since the queue was made", shown, re.MULTILINE)
    assert re.search(r"^queued +1 +jobs now that could begin", shown, re.MULTILINE)
    assert "failed (ever)" in run("list", "--store", url).stdout
    chosen = ("show", "photos", "--status", "queued", "--tag", "night", "--count", "--store", url)
    assert run(*chosen).stdout == "1 job of photos, status queued, tag night\n"


@pytest.mark.parametrize(
    "command",
    [
        ("list",), ("stats", "photos"), ("show", "photos"), ("show", "2"), ("show", "photos", "--count"),
        ("retry", "photos", "--failed"), ("retry", "2"), ("cancel", "3"),
        ("cancel", "--queue", "photos", "--tag", "night"),
        ("pause", "photos"), ("resume", "photos"), ("purge", "photos", "--yes"),
    ],
)  # fmt: skip
def test_every_command_prints_json_and_nothing_else(url, command):
    result = run(*command, "--store", url, "--json")
    json.loads(result.stdout)
    assert not result.stderr


NAMES = ["17", "--x", "ünï😀", "two\nlines", "[red]x", "[b]", ":smile:", "\x1b[31mred", "q" * 150]


@pytest.fixture
def odd(tmp_path) -> str:
    """A store with queues of odd names, and a job in each."""
    url = f"sqlite:///{tmp_path / 'odd.db'}"
    with af.ActorSystem("shop", store=url) as system:
        for name in NAMES:
            system.queue(name).enqueue(tasks.double, name)
    return url


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_queue_of_any_name_is_listed_shown_and_changed(odd, name):
    assert name in [row["name"] for row in asked("list", "--store", odd)]
    (job,) = asked("show", "--queue", name, "--store", odd)
    assert job["queue"] == name
    (line,) = [line for line in run("show", job["id"], "--store", odd).stdout.splitlines() if line.startswith("queue ")]
    assert line.split("  ")[-1].strip() == name.split("\n")[0].replace("\x1b", "\\x1b")
    assert "\x1b" not in run("list", "--store", odd).stdout
    assert json.loads(run("stats", "--store", odd, "--json", "--", name).stdout)["queued"] == 1
    assert asked("cancel", "--queue", name, "--status", "queued", "--store", odd)["cancelled"] == 1
    assert asked("retry", "--queue", name, "--status", "cancelled", "--store", odd)["retried"] == 1


def test_a_number_is_a_job_and_a_queue_of_that_name_is_named_by_an_option(odd):
    assert "there is no job 17" in run("show", "17", "--store", odd, code=2).stderr
    assert [job["queue"] for job in asked("show", "--queue", "17", "--store", odd)] == ["17"]
    for arguments in ([], ["17", "--queue", "17"]):
        assert "--queue" in run("show", *arguments, "--store", odd, code=2).stderr


@pytest.mark.parametrize(
    "text", ["cannot open [/etc/x]", "[red]x", ":smile: dict[str, int]", "x" * 3000, "\x1b[31mred\x07"]
)
def test_the_text_of_an_error_is_shown_as_it_is_in_one_line(url, text):
    with af.ActorSystem("shop", store=url) as system:
        job = system.queue("photos", workers=1).enqueue(tasks.fail.options(priority=-1), text)
        with pytest.raises(af.JobFailed):
            job.result(timeout=100)
    expected = text.replace("\x1b", "\\x1b").replace("\x07", "\\x07")
    (line,) = [line for line in run("show", job.id, "--store", url).stdout.splitlines() if line.startswith("error ")]
    assert line.endswith(expected)
    assert run("show", "photos", "--store", url).stdout.count(expected) == 1


def test_a_terminal_shows_texts_as_they_are(capsys):
    draw([["name"], ["[/x] [red]y :smile:"]])
    assert "[/x] [red]y :smile:" in capsys.readouterr().out
