"""Durable actors in a ring: n tokens, so n messages in each shared commit; beside the same rows by bare SQLite."""

import dataclasses
import sqlite3
import tempfile
import threading
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import actorflow as af

from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check

RAW = "SQLite"
ACTORS = 128
HOST = af.Process(name="ring")
BATCHES = ((1, 300, 0.5), (8, 300, 0.25), (64, 100, 0.25))  # tokens, hops of each, and the part of bare SQLite's rate


HERE = "in one process"


def experiments(*, quick: bool) -> list[Experiment]:
    """Give a ring of durable actors at three sizes of a commit (synchronous FULL), and what a child process adds."""
    share = 3 if quick else 1
    hosted = [
        Experiment(
            "durable-hosted",
            {OURS: partial(ring, 64, 60 // share, host=HOST), HERE: partial(ring, 64, 60 // share)},
            [Row("rate", "durable messages, 64 at a time, handled in a child process", "/s", [Goal(">=", 0.3, HERE)])],
        ),
        Experiment(
            "durable-hosted-ask",
            {OURS: partial(asks, 1500 // share, host=HOST), HERE: partial(asks, 1500 // share)},
            [Row("rate", "asks one by one, handled in a child process, NORMAL", "/s", [Goal(">=", 0.25, HERE)])],
        ),
    ]
    return hosted + [
        Experiment(
            f"durable-{tokens}",
            {
                OURS: partial(ring, tokens, hops // (3 if quick else 1)),
                RAW: partial(raw, tokens, hops // (3 if quick else 1)),
            },
            [Row("rate", f"durable messages, {tokens} at a time, FULL", "/s", [Goal(">=", goal, RAW)])],
        )
        for tokens, hops, goal in BATCHES
    ]


@dataclasses.dataclass
class Handled:
    n: int = 0


class Node(af.Actor, durable=True):
    """Counts, and hands a number, less one, to the next of the ring."""

    def __init__(self, arrived: Any) -> None:
        super().__init__()
        self.state = Handled()
        self.next: Any = None
        self.arrived = arrived

    def on_receive(self, message: int) -> None:
        self.state.n += 1
        if message:
            self.next.tell(message - 1)
        else:
            self.arrived.tell(message)

    def hand_to(self, node: Any) -> None:
        self.next = node

    def follow(self) -> int:
        return self.state.n


class Source(af.Actor, durable=True):
    """Sends all tokens by one commit: sent one by one, the first would be half way before the last is there."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Handled()

    def send(self, nodes: list[Any], hops: int) -> None:
        for node in nodes:
            node.tell(hops)


class Arrivals(af.Actor):
    """Says when all tokens are through."""

    def __init__(self, expected: int, done: threading.Event) -> None:
        super().__init__()
        self.expected, self.done = expected, done

    def on_receive(self, _message: int) -> None:
        self.expected -= 1
        if not self.expected:
            self.done.set()


def ring(tokens: int, hops: int, host: Any = None) -> Figures:
    """Time the tokens on their way round."""
    done = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        with af.ActorSystem("ring", store=f"sqlite:///{folder}/ring.db", durability="power") as system:
            arrivals = system.spawn(Arrivals, tokens, done)
            node = af.child(Node, arrivals).options(host=host)
            nodes = [system.spawn(node.options(name=f"n{i}")) for i in range(ACTORS)]
            for i, node in enumerate(nodes):
                node.call(Node.hand_to, nodes[(i + 1) % ACTORS]).get(timeout=WAIT)
            source = system.spawn(af.child(Source).options(name="source"))
            begin = perf_counter()
            source.cast(Source.send, [nodes[token * ACTORS // tokens] for token in range(tokens)], hops)
            check(done.wait(WAIT), "a token got lost")
            seconds = perf_counter() - begin
            handled = sum(node.call(Node.follow).get(timeout=WAIT) for node in nodes)
    check(handled == tokens * (hops + 1), f"handled {handled} messages, not {tokens * (hops + 1)}")
    return {"rate": handled / seconds}


def asks(count: int, host: Any = None) -> Figures:
    """Time asks, each after the answer to the one before."""
    with tempfile.TemporaryDirectory() as folder:
        with af.ActorSystem("asks", store=f"sqlite:///{folder}/asks.db", durability="process") as system:
            node = system.spawn(af.child(Node, None).options(name="n", host=host))
            node.call(Node.follow).get(timeout=WAIT)
            begin = perf_counter()
            for _ in range(count):
                node.call(Node.follow).get(timeout=WAIT)
            seconds = perf_counter() - begin
    return {"rate": count / seconds}


def raw(tokens: int, hops: int) -> Figures:
    """Write the same rows: state, done message and next message, so many messages in a transaction."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)
        for sql in (
            "pragma journal_mode = wal",
            "pragma synchronous = full",
            "pragma wal_autocheckpoint = 0",
            "create table actor (name text primary key, state blob) without rowid",
            "create table mail (id integer primary key autoincrement, receiver text, body blob)",
            "create index receiver on mail (receiver, id)",
        ):
            connection.execute(sql)
        names = [f"n{i}" for i in range(ACTORS)]
        connection.executemany("insert into actor values (?, null)", [(name,) for name in names])
        connection.executemany(
            "insert into mail (receiver, body) values (?, '0')", [(names[i],) for i in range(tokens)]
        )
        begin = perf_counter()
        for hop in range(hops):
            connection.execute("begin immediate")
            for token in range(tokens):
                number = hop * tokens + token
                state = '{"$type":"tests.benchmarks.durable.Handled","fields":{"n":1}}'
                connection.execute("update actor set state = ? where name = ?", (state, names[number % ACTORS]))
                connection.execute("delete from mail where id = ?", (number + 1,))
                receiver = names[(number + 1) % ACTORS]
                connection.execute("insert into mail (receiver, body) values (?, ?)", (receiver, f'["tell",{number}]'))
            connection.execute("commit")
        seconds = perf_counter() - begin
        connection.close()
    return {"rate": tokens * hops / seconds}
