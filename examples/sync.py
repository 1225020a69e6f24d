"""Two stores that are kept alike: a customer's address is written to both, or to none: `python -m examples.sync`.

    python -m examples.sync ann "5 High Street"     # in crm.db and in billing.db
    python -m examples.sync ann ""                  # billing refuses that: crm.db has the old one again

Each write is a step of a saga, and what it replaced is its result; if the second store refuses, the first write is
undone. A kill -9 between the two writes leaves nothing half done: the next start goes on with what was left, before it
does its own. Each store notes in its own transaction which steps it has seen, so that a step that is run again changes
nothing. The file sync.db has the state of the sagas.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from contextlib import closing

import actorflow as af

PACE = float(os.environ.get("PACE", "0"))


@af.task
def write_crm(name: str, address: str) -> str | None:
    """Write an address to the customers' database; return the one before."""
    print("crm is written", flush=True)
    return replace("crm.db", name, address)


@write_crm.compensate
def restore_crm(before: str | None, name: str) -> None:
    """Write the old address again."""
    print("crm is restored", flush=True)
    replace("crm.db", name, before)


@af.task(raises=ValueError)
def write_billing(name: str, address: str) -> None:
    """Write an address to the database of bills, which needs one."""
    time.sleep(PACE)
    if not address:
        raise ValueError("billing needs an address")
    print("billing is written", flush=True)
    replace("billing.db", name, address)


@af.saga(limit=af.Limit(concurrency=1))  # the moves of one customer come one after the other
def move(name: str, address: str) -> None:
    """Write the address to both stores."""
    write_crm(name, address)
    write_billing(name, address)


def replace(file: str, name: str, address: str | None) -> str | None:
    """Write an address, once for each step; return the one before."""
    key = af.current().key
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("create table if not exists addresses (name text primary key, address text)")
        connection.execute("create table if not exists seen (key text primary key, before text)")
        connection.execute("begin immediate")
        if seen := connection.execute("select before from seen where key = ?", (key,)).fetchone():
            return seen[0]
        row = connection.execute("select address from addresses where name = ?", (name,)).fetchone()
        before = row[0] if row else None
        connection.execute("replace into addresses values (?, ?)", (name, address))
        connection.execute("insert into seen values (?, ?)", (key, before))
        return before


def main(arguments: list[str]) -> int:
    """Write an address to both stores; return 1 if one refuses it."""
    if len(arguments) != 2:
        sys.exit("usage: python -m examples.sync NAME ADDRESS")
    name, address = arguments
    with af.ActorSystem("sync", store=os.environ.get("ACTORFLOW_STORE", "sqlite:///sync.db")) as system:
        try:
            system.start(move.options(key=name), name, address).result()
        except af.RunFailed as failure:
            print(f"nothing is changed: {failure.__cause__}", file=sys.stderr)
            return 1
    print("both have it")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
