"""Rows to write, read and look for: those of nodes that do not exist."""

from collections.abc import Callable
from functools import partial

from actorflow.store.store import Store
from actorflow.store.transaction import Transaction


def row(id: str) -> dict[str, object]:
    return {"id": id, "pid": 1, "host": "here", "boot": "", "started": 0.0, "beat": 0.0}


def add(transaction: Transaction, id: str) -> str:
    transaction.run("nodes.add", row(id))
    return id


def ids(store: Store) -> set[str]:
    return set(store.read(ids_in))


def ids_in(transaction: Transaction) -> list[str]:
    return [found[0] for found in transaction.all("nodes.others", {"id": ""})]


def adding(id: str) -> Callable[[Transaction], str]:
    return partial(add, id=id)
