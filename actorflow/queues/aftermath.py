"""Aftermath: continues, part by part, the effect of a job's end on the jobs that wait for it.

See `ledger.chains`: a transaction tells some thousand jobs. The process that leaves more goes on with it; should that
be killed meanwhile, the claimer of any process does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.queues import ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.store.store import Store


def carry_on(store: Store, limit: int, told: Callable[[ledger.News], object]) -> bool:
    """Do a part of the rest, in a transaction; return whether more may be left. `told` hears after the commit."""
    now, news = store.now(), ledger.News()
    store.write(lambda transaction: ledger.carry_on(transaction, now, news, limit))
    told(news)
    return news.is_unfinished


def finish(store: Store, limit: int, told: Callable[[ledger.News], object] = lambda _news: None) -> None:
    """Do all parts that are left."""
    while carry_on(store, limit, told):
        pass
