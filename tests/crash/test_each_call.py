"""A short run of a queue dies at each of its points in turn; what it leaves is right each time.

The points are each statement that is sent to the store, the moment after each commit, both sides of each work note,
begin and effect of tasks, and each word to listeners and to the producer. CI takes some of them, ACTORFLOW_CRASHES all
on a file, and each seventh on PostgreSQL (`tox -e crashes`). What they pass, of the list of crash points that the store
was designed by, and where the others are:

| crash point | where |
|---|---|
| commit of enqueue, claim, result and ack; join counter; timer fire; schedule fire; checkpoint | here |
| job start, effect; shared commit of several writers | here |
| migration in the middle, first start | here: `test_a_new_file_is_whole_wherever_its_first_process_dies` |
| child spawn, death of a child at each stage of its task | `test_children.py`; at random in `test_kills.py` |
| a server that dies | `test_server_kills.py` |
| outbox write and send, inbox mark, timers of durable actors | `tests/durable/test_crashes.py` |
| lease runs out while its owner is stopped, then late ack | `tests/queues/test_several_processes.py`, `two_nodes.py` |
| clock set back and forward | `tests/queues/test_time.py`, `two_nodes.py` |
| disk full | `tests/queues/test_full_disk.py`, `tests/store/test_sqlite_file.py` |
| two processes open the same new file | `tests/store/test_sqlite_file.py` |
| signal consume, step intent and result, compensation | with workflows and sagas |
"""

import os

import pytest

from actorflow.store.sqlite import file as sqlite_file
from tests.crash.stores import stores

SAMPLES = 10
ALL = "ACTORFLOW_CRASHES" in os.environ


@pytest.fixture(params=["sqlite", "postgres"])
def server(request):
    """The URL of a server, or None for files."""
    if request.param == "sqlite":
        return None
    return request.getfixturevalue("postgres_server").server.get_uri()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_a_run_leaves_is_right_at_whichever_point_it_dies(tmp_path, server):
    with stores(tmp_path, server) as made:
        (whole,) = made.run([0])
        assert whole["problems"] == []
        points = whole["points"]
        assert points > 300
        step = points // SAMPLES if not ALL else 1 if server is None else 7
        died = 0
        for run in made.run(range(1, points + 1, step)):
            assert run["problems"] == [], run
            died += run["points"] is None
        assert died > 0.9 * points / step - 1  # in a few there were fewer points: commits are shared as chance has it


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_new_file_is_whole_wherever_its_first_process_dies(tmp_path):
    with stores(tmp_path, None) as made:
        (whole,) = made.run([0], new=True)
        assert whole["problems"] == []
        statements = sum(sql.count(";") for _, sql in sqlite_file.MIGRATIONS)
        assert whole["points"] > statements
        step = 1 if ALL else whole["points"] // SAMPLES
        for run in made.run(range(1, whole["points"], step), new=True):
            assert (run["points"], run["problems"]) == (None, []), run
