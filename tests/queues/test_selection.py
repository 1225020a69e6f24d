"""Jobs by status, tag and task: listed, counted, cancelled, queued again."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import actorflow as af
from actorflow.queues import ledger, selection
from actorflow.store.codec import encode
from actorflow.store.sqlite.connection import STATEMENTS
from tests.queues import tasks


def ids(found):
    return [info.id for info in found]


def test_jobs_are_found_by_tag_status_and_task(shop):
    jobs = shop.queue("q")
    plain = jobs.enqueue(tasks.double, 1)
    night = jobs.enqueue(tasks.double.options(tags=["night", "user-7"]), 2)
    other = jobs.enqueue(tasks.fail.options(tags=("user-7",)), "x")
    late = jobs.enqueue(tasks.fail.options(tags=["night"], delay=60), "x")
    shop.queue("elsewhere").enqueue(tasks.double.options(tags=["night"]), 1)
    late.cancel()
    assert ids(jobs.jobs()) == [late.id, other.id, night.id, plain.id]
    assert ids(jobs.jobs(tag="user-7")) == [other.id, night.id]
    assert ids(jobs.jobs(tag="night")) == [late.id, night.id]
    assert ids(jobs.jobs("queued", tag="night")) == [night.id]
    assert ids(jobs.jobs("cancelled")) == [late.id]
    assert ids(jobs.jobs(task=tasks.fail)) == [late.id, other.id]
    assert ids(jobs.jobs(task=tasks.fail.name, tag="user-7")) == [other.id]
    assert ids(jobs.jobs(tag="none")) == ids(jobs.jobs("dead")) == ids(jobs.jobs("running")) == []
    assert jobs.jobs(tag="user-7")[1].tags == ("night", "user-7")
    assert (jobs.count(), jobs.count("queued"), jobs.count(tag="night"), jobs.count("queued", tag="night")) == (
        4,
        3,
        2,
        1,
    )
    assert jobs.count(task=tasks.double) == 2


def test_pages_follow_each_other(shop):
    jobs = shop.queue("q")
    made = [jobs.enqueue(tasks.double.options(tags=["a"] if n % 2 else []), n).id for n in range(10)]
    for tag, expected in ((None, made[::-1]), ("a", made[::-2])):
        found, before = [], None
        while page := jobs.jobs(tag=tag, limit=3, before=before):
            assert len(page) <= 3
            found += ids(page)
            before = page[-1].id
        assert found == expected


def test_running_and_failed_jobs_are_found(shop):
    jobs = shop.queue("q", workers=1)
    begun = tasks.begun("found")
    with pytest.raises(af.JobFailed):
        jobs.enqueue(tasks.fail.options(tags=["a"]), "x").result(timeout=30)
    job = jobs.enqueue(tasks.hold.options(tags=["a"]), "found")
    assert begun.wait(30)
    try:
        assert ids(jobs.jobs("running")) == ids(jobs.jobs("running", tag="a", task=tasks.hold)) == [job.id]
        assert ids(jobs.jobs("running", task=tasks.double)) == []
        assert jobs.count("running") == 1
        assert len(jobs.jobs("failed")) == jobs.count("failed", tag="a") == 1
    finally:
        tasks.GATES["found"].set()


@pytest.mark.parametrize(
    ("status", "tag", "task", "text"),
    [
        ("waiting", None, None, "queued"),
        (None, 3, None, "tag"),
        (None, None, 3, "task"),
        (None, None, None, "name a status, a tag or a task"),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(shop, status, tag, task, text):
    jobs = shop.queue("q")
    for act in (jobs.cancel_all, jobs.retry_all):
        with pytest.raises(af.DefinitionError, match=text):
            act(status, tag=tag, task=task)


@pytest.mark.parametrize("tags", ["night", [""], ["a\nb"], [3]])
def test_a_tag_is_a_word(tags):
    with pytest.raises(af.DefinitionError, match="tags="):
        tasks.double.options(tags=tags)


def test_cancel_all_cancels_what_is_not_over_and_no_more(shop, monkeypatch):
    monkeypatch.setattr(selection, "PART", 2)  # so it takes several transactions
    jobs = shop.queue("q")
    mine = [jobs.enqueue(tasks.double.options(tags=["a"], delay=n % 2), n) for n in range(5)]
    other = jobs.enqueue(tasks.double.options(tags=["b"]), 1)
    behind = jobs.enqueue(tasks.double.options(after=[mine[0]]), 1)
    mine[1].cancel()
    heard = []
    jobs.subscribe(heard.append)
    assert jobs.cancel_all(tag="a") == 4
    assert [job.status for job in (*mine, other, behind)] == ["cancelled"] * 5 + ["queued", "cancelled"]
    assert {event.job for event in heard if event.kind == "cancelled"} == {job.id for job in (*mine, behind)} - {
        mine[1].id
    }
    assert jobs.cancel_all(tag="a") == 0
    assert jobs.stats().cancelled == 6


def test_cancel_all_has_running_jobs_end(shop):
    jobs = shop.queue("q", workers=2)
    begun = [tasks.begun(f"cancel-{n}") for n in range(2)]
    running = [jobs.enqueue(tasks.until_cancelled.options(tags=["a"]), f"cancel-{n}") for n in range(2)]
    assert all(event.wait(30) for event in begun)
    assert jobs.cancel_all("running", tag="a") == 2
    for job in running:
        job.result(timeout=30)  # their tasks look whether they are cancelled, and return


def test_cancel_all_counts_those_that_another_of_them_took_along(shop):
    jobs = shop.queue("q")
    first = jobs.enqueue(tasks.double.options(tags=["a"]), 1)
    jobs.enqueue(tasks.double.options(tags=["a"], after=[first]), 2)
    assert jobs.cancel_all(tag="a") == 2


def test_retry_all_queues_again_what_failed(shop, monkeypatch):
    monkeypatch.setattr(selection, "PART", 2)
    jobs = shop.queue("q", workers=1)
    failed = [jobs.enqueue(tasks.fail.options(tags=["a"]), "x") for _ in range(5)]
    for job in failed:
        with pytest.raises(af.JobFailed):
            job.result(timeout=30)
    jobs.enqueue(tasks.double.options(tags=["a"]), 1).result(timeout=30)
    jobs.pause()
    assert jobs.retry_all(tag="b") == jobs.retry_all("dead") == 0
    assert jobs.retry_all("failed", tag="a") == 5
    assert {(job.status, job.info().attempt) for job in failed} == {("queued", 0)}
    jobs.resume()
    for job in failed:
        with pytest.raises(af.JobFailed):
            job.result(timeout=30)


def test_retry_all_leaves_a_job_whose_unique_key_is_taken(shop):
    jobs = shop.queue("q")
    job = jobs.enqueue(tasks.double.options(unique="u", tags=["a"]), 1)
    job.cancel()
    other = jobs.enqueue(tasks.double.options(tags=["a"]), 2)
    other.cancel()
    jobs.enqueue(tasks.double.options(unique="u"), 3)
    assert jobs.retry_all(tag="a") == 1
    assert (job.status, other.status) == ("cancelled", "queued")


def test_tags_go_with_their_jobs(shop):
    jobs = shop.queue("q")
    jobs.enqueue(tasks.double.options(tags=["a", "b", "a"], keep=0), 1).cancel()
    jobs.enqueue(tasks.double.options(tags=["a"]), 2)
    jobs.enqueue(tasks.double, 3)
    count = (
        "select count(*) from af_job_tag"
        if shop.store.dialect == "sqlite"
        else "select count(*) from actorflow.job_tag"
    )
    statements_of(shop)["test.count_tags"] = count
    left = lambda: shop.store.read(lambda tx: tx.one("test.count_tags"))[0]  # noqa: E731
    assert left() == 3
    shop.store.write(lambda tx: ledger.prune(tx, shop.store.now() + 2 * ledger.DAY))
    assert left() == 1
    jobs.purge()
    assert left() == 0


def statements_of(shop):
    if shop.store.dialect == "sqlite":
        return STATEMENTS
    from actorflow.store.postgres.connection import STATEMENTS as SERVER

    return SERVER


@pytest.mark.parametrize("url", ["memory", "sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("list_tagged", "tag USING PRIMARY KEY (queue=? AND tag=? AND job<?)"),
        ("list_running", "af_job_running"),
        ("list_failed", "af_job_status"),
        ("list", "PRIMARY KEY (rowid<?)"),
        ("count_tagged", "tag USING PRIMARY KEY (queue=? AND tag=?)"),
    ],
)
def test_a_look_goes_by_an_index(shop, name, index):
    statements = statements_of(shop)
    statements["test.plan"] = "explain query plan " + statements[f"jobs.{name}"]
    values = {"queue": "q", "before": 1, "limit": 1, "status": "failed", "task": None, "tag": "a"}
    plan = shop.store.read(lambda tx: tx.all("test.plan", values))
    assert index in plan[0][3]
    assert not any("SCAN" in line[3] and "INDEX" not in line[3] for line in plan)


@pytest.mark.parametrize("name", ["purge_needs", "forget_needs", "purge_needed"])
def test_what_waits_for_a_job_and_what_it_waits_for_are_found_by_indexes(shop, name):
    """Or each part of a purge, and each job that is queued again, would look at all needs of the store."""
    statements, is_sqlite = statements_of(shop), shop.store.dialect == "sqlite"
    statements["test.off"] = (
        "select 1" if is_sqlite else "set local enable_seqscan = off"
    )  # a small table needs no index
    statements["test.plan"] = f"explain {'query plan' if is_sqlite else ''} {statements[f'jobs.{name}']}"

    def plan(transaction):
        transaction.run("test.off")
        return " ".join(str(line) for line in transaction.all("test.plan", {"ids": "[1]", "job": 1}))

    found = shop.store.read(plan)
    index = "need_job" if name != "purge_needed" else "PRIMARY KEY (needs=?)" if is_sqlite else "need_pkey"
    assert index in found


@pytest.mark.parametrize("url", ["memory", "sqlite"], indirect=True)
def test_the_open_jobs_of_the_stats_are_counted_by_indexes(shop):
    statements = statements_of(shop)
    statements["test.plan"] = "explain query plan " + statements["jobs.depth"]
    plan = [line[3] for line in shop.store.read(lambda tx: tx.all("test.plan", {"queue": "q"})) if "af_job" in line[3]]
    assert [line.partition("INDEX ")[2].partition(" ")[0] for line in plan] == [
        "af_job_ready", "af_job_due", "af_job_held", "af_job_behind", "af_job_running", "af_job_lacking",
    ]  # fmt: skip


WORDS = st.lists(st.sampled_from("abc"), max_size=3)
CALLS = st.lists(st.tuples(WORDS, st.booleans(), st.sampled_from(["queued", "cancelled", "due"])), max_size=12)


@settings(max_examples=40, deadline=None)
@given(calls=CALLS, status=st.sampled_from([None, "queued", "cancelled"]), tag=st.sampled_from([None, *"abc"]))
def test_what_is_found_is_what_a_look_at_each_job_finds(calls, status, tag):
    with af.ActorSystem("shop", durability="process") as shop:
        jobs = shop.queue("q")
        for words, fails, state in calls:
            task = tasks.fail if fails else tasks.double
            job = jobs.enqueue(task.options(tags=words, delay=60 if state == "due" else 0), 1)
            if state == "cancelled":
                job.cancel()
        for task in (None, tasks.double):
            expected = [
                info.id
                for info in jobs.jobs()
                if (status is None or info.status == status)
                and (tag is None or tag in info.tags)
                and (task is None or info.task == task.name)
            ]
            assert ids(jobs.jobs(status, tag=tag, task=task)) == expected
            assert jobs.count(status, tag=tag, task=task) == len(expected)


def test_an_older_store_is_brought_up_to_date_with_its_tags(bare_url, monkeypatch):
    if bare_url.startswith("sqlite"):
        from actorflow.store.sqlite import file as schema
    else:
        from actorflow.store.postgres import schema
    from actorflow.store.store import open_store

    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:3])
        older.setattr(schema, "VERSION", 3)
        store = open_store(bare_url)
        values = {"queue": "q", "task": tasks.double.name, "stage": 0, "priority": 0, "due": None, "expires": None}
        values |= {"key": None, "unique": None, "at_most_once": 0, "needs": 0, "gather": None, "options": None}
        values |= {"args": encode([[1], {}]), "created": 0.0}
        for tags in ("night\nuser-7", None, "night"):
            store.write(lambda tx, tags=tags: tx.one("jobs.put", {**values, "tags": tags}))
        store.close()
    with af.ActorSystem("shop", store=bare_url) as shop:
        jobs = shop.queue("q")
        assert ids(jobs.jobs(tag="night")) == ["3", "1"]
        assert ids(jobs.jobs(tag="user-7")) == ["1"]
        with pytest.raises(af.DefinitionError, match="text that is not empty"):
            jobs.count(tag="")


def test_other_processes_have_a_file_between_the_parts_of_a_long_change(shop, monkeypatch):
    """Its lock has no queue, so they would find it free once in seconds only."""
    rests = []
    monkeypatch.setattr(selection, "pause", rests.append)
    jobs = shop.queue("q")
    jobs.enqueue_many(tasks.double.options(tags=["t"]), [(n,) for n in range(selection.PART + 1)])
    assert jobs.cancel_all(tag="t") == selection.PART + 1
    assert len(rests) == (2 if shop.store.url.startswith("sqlite") else 0)
    jobs.retry_all(tag="t")
    jobs.purge()
    assert len(rests) == (5 if shop.store.url.startswith("sqlite") else 0)
    assert all(0 < seconds <= selection.REST_SECONDS for seconds in rests)
