"""A short run of a queue that dies at one of its points, and what is wrong with what it leaves.

`python -m tests.crash.short_run FOLDER SAFEGUARD POINT=URL...` prints a line of JSON for each: it dies at a point, by
its number or name (0: it lives), of a run on the store at URL, with a safeguard switched off (or none). Each run is a
fork. On a new file, new-POINT.db, the run is only its first process.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import actorflow as af
from actorflow.store.sqlite import node as sqlite_node
from actorflow.store.sqlite import store as sqlite_store
from actorflow.store.sqlite.file import open_file
from actorflow.store.sqlite.work_notes import WorkNotes
from tests.crash import safeguards, tasks
from tests.crash.books import Books
from tests.crash.points import Points, around, watch
from tests.durable.crashing import forked

QUEUE = "short"
LATER = 3600.0  # seconds until jobs that no run sees
PATIENCE = 20.0  # seconds in which all is at rest
YEARLY = "0 0 1 1 *"


class Story:
    """What a producer wants to be done; who is not sure that he has said it says it again."""

    def __init__(self, system: af.ActorSystem, folder: Path, points: Points) -> None:
        self.system = system
        self.folder = folder
        self.points = points
        self.path = folder / "acknowledged"
        self.queue = system.queue(QUEUE, workers=2, per_key=af.Limit(concurrency=1), concurrency=5)
        self.queue.subscribe(self.hear)

    def hear(self, event: Any) -> None:
        """Tell the world."""
        self.points()
        tasks.note(self.folder / "told", event.kind, event.job)

    def said(self) -> dict[str, list[str]]:
        """Return what was acknowledged: names, and ids of jobs."""
        return read(self.path)

    def say(self, name: str, enqueue: Callable[[], Any]) -> list[Any]:
        """Enqueue jobs, unless that was acknowledged; return them."""
        if name not in self.said():
            jobs = enqueue()
            self.points(f"unsure: {name}")
            tasks.note(self.path, name, *(job.id for job in jobs))
            self.points()
        return [self.system.get_job(id_) for id_ in self.said()[name]]

    def tell(self) -> list[Any]:
        """Say all of it; return the jobs that come to an end."""
        queue, say, plain = self.queue, self.say, tasks.plain
        queue.cron(YEARLY, tasks.scheduled, catch_up="latest", name="yearly")
        first = say("first", lambda: [queue.enqueue(plain, 1)])
        jobs = [
            *say("behind", lambda: [queue.enqueue(plain.options(after=first, priority=3), 2)]),
            *say("keyed", lambda: [queue.enqueue(plain.options(key="k"), 3)]),
            *say("alike", lambda: [queue.enqueue(plain.options(key="k"), 4)]),
            *say("many", lambda: queue.enqueue_many(plain, [(5,), (6,), (7,), (8,), (9,)])),
            *say("flaky", lambda: [queue.enqueue(tasks.fails_once)]),
            *say("timed", lambda: [queue.enqueue(plain.options(delay=0.01), 10)]),
            *say("effect", lambda: [queue.enqueue(tasks.effect)]),
            *say("group", self.group),
            *self.together(),
            *say("once", lambda: [queue.enqueue(tasks.once.options(at_most_once=True), str(self.folder / "ran"))]),
        ]
        (later,) = say("later", lambda: [queue.enqueue(plain.options(delay=LATER), 11)])
        later.cancel()
        say("cancelled", lambda: [later])
        say("unique", lambda: [queue.enqueue(plain.options(delay=LATER, unique="u"), 12)])
        return jobs

    def group(self) -> list[Any]:
        """Add a group; the job that waits for it is the last."""
        group = self.queue.group([(tasks.plain, 20), (tasks.plain, 30)], then=tasks.total)
        return [*group.jobs, group.then]

    def together(self) -> list[Any]:
        """Have three threads enqueue in one commit."""
        if all(f"together-{place}" in self.said() for place in range(3)):
            return [job for place in range(3) for job in self.say(f"together-{place}", list)]
        store: Any = self.system.store
        inside, go = threading.Event(), threading.Event()
        holder = threading.Thread(target=store.write, args=(lambda _: inside.set() or go.wait(10),))
        holder.start()
        inside.wait(10)
        found: dict[int, list[Any]] = {}

        def add(place: int) -> None:
            found[place] = self.say(
                f"together-{place}", lambda: [self.queue.enqueue(tasks.plain.options(tags=["t"]), 40 + place)]
            )

        threads = [threading.Thread(target=add, args=(place,)) for place in range(3)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 10
        while len(store._commits._waiting) + len(found) < 3 and time.monotonic() < until:
            time.sleep(0.001)
        go.set()
        for thread in (holder, *threads):
            thread.join()
        return [job for place in range(3) for job in found[place]]


EXPECTED = {
    "first": [2],
    "behind": [4],
    "keyed": [6],
    "alike": [8],
    "many": [10, 12, 14, 16, 18],
    "flaky": ["done"],
    "timed": [20],
    "effect": [None],
    "group": [40, 60, 100],
    **{f"together-{place}": [2 * (40 + place)] for place in range(3)},
}


def read(path: Path) -> dict[str, list[str]]:
    """Read notes: by their first words, all others."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        word, *others = line.split()
        found.setdefault(word, []).extend(others)
    return found


@contextlib.contextmanager
def story(url: str, folder: Path, safeguard: str, points: Points) -> Any:
    """Open a system; what begins is written down by this test too, before the store's own notes."""
    sqlite_store.CHECKPOINT_BYTES = 1  # type: ignore[misc]  # each look at the log is followed by a checkpoint
    sqlite_node.ORPHAN_SECONDS = 0.0  # type: ignore[misc]  # nobody else starts just now
    around(WorkNotes, "add", lambda _, number: tasks.note(folder / "begun", number), None)
    watch(points)
    with af.ActorSystem("short", store=url, durability="process") as system:
        safeguards.switch_off(safeguard, system.store, points)
        yield Story(system, folder, points)


def live(url: str, folder: Path, dies_at: int | str, safeguard: str) -> int:
    """Run, and die at a point; return how many there are if it lives."""
    points = Points(dies_at)
    with story(url, folder, safeguard, points) as told:
        for job in told.tell():
            with contextlib.suppress(af.JobFailed):
                job.result(timeout=PATIENCE)
    return points.passed


def problems(url: str, folder: Path, safeguard: str) -> list[str]:
    """Go on with the story, wait until all is at rest, and say what is wrong."""
    books = Books(url)
    with story(url, folder, safeguard, Points(0)) as told:
        told.tell()
        if stuck := never_at_rest(books, PATIENCE / 4 if safeguard else PATIENCE):
            return [f"never go on: {stuck}"]
        said = told.said()
        found = wrong_results(told.system, said)
    present = {str(id_) for (id_,) in books.rows("select id from {job}")}
    if lost := {id_ for ids in said.values() for id_ in ids} - present:
        found.append(f"lost: {lost}")
    if books.value("select count(*) from {job} where \"unique\" = 'u' and stage < 5") != 1:
        found.append("there is more than one live job of a unique key, or none")
    name = tasks.scheduled.name
    if books.value(f"select count(*) from {{job}} where task = '{name}'") != 1:
        found.append("the schedule has not fired once")
    if books.rows("select key from effect group by key having count(*) > 1"):
        found.append("an effect was recorded twice")
    return [*found, *told_problems(books, folder), *once_problems(books, folder), *books.problems(),
            *books.count_problems(QUEUE)]  # fmt: skip


def begin(url: str, dies_at: int) -> int:
    """Be the first process on a new file, and die at a point; return how many there are if it lives."""
    points = Points(dies_at)
    watch(points)
    with af.ActorSystem("first", store=url) as system:
        system.queue(QUEUE).enqueue(tasks.plain, 1)
    return points.passed


def begin_problems(url: str) -> list[str]:
    """Open what it left, work on it, and say what is wrong."""
    sqlite_node.ORPHAN_SECONDS = 0.0  # type: ignore[misc]
    books = Books(url)
    with af.ActorSystem("second", store=url) as system:
        queue = system.queue(QUEUE, workers=1)
        job = queue.enqueue(tasks.plain, 2)
        found = [] if job.result(timeout=PATIENCE) == 4 else ["a wrong result"]
        if left := never_at_rest(books, PATIENCE):
            found.append(f"never go on: {left}")
    with books.connection() as connection:
        tables = connection.execute("select name, sql from sqlite_master order by name").fetchall()
    if tables != made_at_once():
        found.append("it has other tables than a file that was made at once")
    return found + books.problems(with_list=False) + books.count_problems(QUEUE)


def made_at_once() -> list[Any]:
    """Return the tables of a file whose making nobody killed."""
    connection, _ = open_file(":memory:", "migrate")
    with contextlib.closing(connection):
        return connection.execute("select name, sql from sqlite_master order by name").fetchall()


def never_at_rest(books: Books, patience: float) -> list[Any]:
    """Wait until no job is left but those of later, and no dead node; return those that are left all the same."""
    until = time.monotonic() + patience
    while True:
        left = books.rows(
            "select id, task, stage, owner from {job} "
            f"where stage < 5 and not (stage = 1 and due > {time.time() + LATER / 2})"
        )
        nodes = books.rows("select id from {node}")
        if (not left and len(nodes) == 1) or time.monotonic() > until:
            return left or nodes[1:]
        time.sleep(0.01)


def wrong_results(system: af.ActorSystem, said: dict[str, list[str]]) -> list[str]:
    """Look at the jobs that were acknowledged: each has the right result, or was cancelled as asked."""
    found = []
    for name, expected in EXPECTED.items():
        for id_, value in zip(said[name], expected, strict=True):
            job = system.get_job(id_)
            if job.status != "completed" or job.result(timeout=0) != value:
                found.append(f"{name}: job {id_} is {job.info()}")
    (later,) = said["cancelled"]
    if system.get_job(later).status != "cancelled":
        found.append("a job that was cancelled is not")
    return found


def told_problems(books: Books, folder: Path) -> list[str]:
    """What listeners heard is so, and they heard it once."""
    told = read(folder / "told").get("completed", [])
    done = {str(id_) for (id_,) in books.rows("select job from done")}
    found = [f"told twice that job {id_} was completed" for id_ in set(told) if told.count(id_) > 1]
    return found + [f"told that job {id_} was completed, but it was not" for id_ in set(told) - done]


def once_problems(books: Books, folder: Path) -> list[str]:
    """What may run once did, and nothing counts as crashed that was not begun."""
    ran = list(read(folder / "ran"))
    lines = (folder / "ran").read_text().splitlines() if ran else []
    found = [f"{key} ran twice" for key in ran if lines.count(key) > 1]
    if books.is_sqlite:  # PostgreSQL's nodes may be on other machines, and note nothing
        begun = Counter((folder / "begun").read_text().split())
        for id_, crashes, status in books.rows("select id, crashes, status from {job} where crashes > 0"):
            if crashes > begun[str(id_)] - (status == "completed"):
                found.append(f"job {id_} counts a crash, but was not begun")
    return found


def main(folder: str, safeguard: str, *runs: str) -> None:
    for run in runs:
        name, _, url = run.partition("=")
        point = int(name) if name.isdigit() else name
        if Path(url).name.startswith("new-"):
            passed = forked(lambda url=url, point=point: begin(url, point))
            found = forked(lambda url=url: begin_problems(url))
        else:
            place = Path(folder) / f"run-{name}"
            place.mkdir()
            passed = forked(lambda place=place, url=url, point=point: live(url, place, point, safeguard))
            found = forked(lambda place=place, url=url: problems(url, place, safeguard))
        print(json.dumps({"dies_at": point, "points": passed, "problems": found}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
