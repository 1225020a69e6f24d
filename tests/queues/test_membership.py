"""Promises: a process that only works on a queue is a member of the store like any other."""

import actorflow as af
from tests.queues.tasks import until


def beat_of(store, node):
    return store.read(lambda transaction: transaction.one("nodes.get", {"id": node}))[5]


def test_a_process_with_workers_only_beats_and_buries(tmp_path, monkeypatch):
    monkeypatch.setattr("actorflow.store.members.BEAT_SECONDS", 0.0)
    with af.ActorSystem("test", store=f"sqlite:///{tmp_path}/test.db") as system:
        system.queue("q", workers=1)
        store = system.store
        node = store.node.id
        store.write(lambda transaction: transaction.run("nodes.beat", {"id": node, "beat": -1e9}))
        until(lambda: beat_of(store, node) > 0)
        dead = {"id": "dead", "pid": 1, "host": "x", "boot": "x", "started": 0.0, "beat": 0.0}
        monkeypatch.setattr(store.node, "dead", lambda: ["dead"])
        store.write(lambda transaction: transaction.run("nodes.add", dead))
        until(lambda: len(store.read(lambda tx: tx.all("nodes.others", {"id": ""}))) == 1)
