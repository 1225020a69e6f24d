"""StoredRuns: the runs in a store: listed, looked into, sent messages, removed.

It works on a store that no system runs on, too: no workflow has to be known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.actors.traits import check_choice, check_type
from actorflow.durable.rows.ledger import LedgerContext
from actorflow.store.error_json import read_error
from actorflow.store.transaction import NEWEST
from actorflow.tasks.options import check_count, check_seconds, check_text
from actorflow.workflows.rows import keeping, ledger, pausing, trying_again, unsticking
from actorflow.workflows.rows.records import KIND_NAMES
from actorflow.workflows.rows.sending import RunOver, missing, send_stored
from actorflow.workflows.run import STATUSES
from actorflow.workflows.workflow import AnyWorkflow

if TYPE_CHECKING:
    from actorflow.store.store import Store
    from actorflow.workflows.rows.records import RunRow


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run, as its row has it.

    Attributes:
        id: of the run.
        workflow: name of its workflow.
        status: as that of its handle.
        parent: id of the run that started it, if one did.
        created: when it was started; seconds since the epoch, as `started` and `ended`.
        started: when a process first began it.
        ended: when it was over.
        reason: why it is parked, or stuck.
    """

    id: str
    workflow: str
    status: str
    parent: str | None
    created: float
    started: float | None
    ended: float | None
    reason: str | None


class StoredRuns:
    """The runs in a store, or those of one workflow or status: `system.runs(...)`.

    >>> import actorflow as af
    >>> @af.workflow
    ... def hello() -> str:
    ...     return "hello"
    >>> with af.ActorSystem("demo") as system:
    ...     run = system.start(hello.options(id="first"))
    ...     run.result(timeout=10)
    ...     [info.id for info in system.runs(hello, status="completed")]
    'hello'
    ['first']
    """

    def __init__(
        self,
        store: Store,
        workflow: AnyWorkflow | str | None = None,
        status: str | None = None,
        *,
        only_sagas: bool = False,
    ) -> None:
        name = workflow.name if isinstance(workflow, AnyWorkflow) else workflow
        check_type("workflow", name, str | None)
        check_text("workflow", name)
        if status is not None:
            check_choice("status", status, STATUSES)
        self._store = store
        self._where = {"workflow": name, "status": status, "sagas": True if only_sagas else None}

    def list(self, *, limit: int = 100, before: str | None = None) -> Sequence[RunInfo]:
        """Return runs, the newest first.

        Args:
            limit: so many.
            before: an id; only runs that were started before that one.

        Raises:
            DefinitionError: the limit is no count, or there is no such run.
        """
        check_count("limit", limit, most=NEWEST)
        upto = NEWEST if before is None else self.row(before)[0]
        values = {**self._where, "limit": limit, "before": upto}
        return [RunInfo(*row) for row in self._store.read(lambda tx: tx.all("runs.list", values))]

    def __iter__(self) -> Iterator[RunInfo]:
        before = None
        while page := self.list(before=before):
            yield from page
            before = page[-1].id

    def count(self) -> dict[str, int]:
        """Return how many runs there are of each status."""
        return {row[0]: row[1] for row in self._store.read(lambda tx: tx.all("runs.count", self._where))}

    def prune(self, *, keep_ids: float = keeping.KEEP_IDS) -> int:
        """Remove runs that were kept their time, as processes at work do by themselves; return how many rows went.

        Args:
            keep_ids: seconds for which ids are known after that.

        Raises:
            DefinitionError: that is no time.
        """
        check_seconds("keep_ids", keep_ids, zero=True)
        return keeping.remove_all(self._store, keep_ids)

    # --- one run -----------------------------------------------------------------------------------------------------

    def row(self, id: str) -> RunRow:
        """Return the row of a run.

        Raises:
            DefinitionError: there is no such run.
        """
        check_text("id", id)
        row = self._store.read(lambda tx: ledger.find(tx, id))
        if row is None or row.state == keeping.REMOVED:
            raise missing(id, self._store)
        return row

    def export(self, id: str) -> dict[str, Any]:
        """Return all that is stored of a run and its records, with values as the JSON that is stored.

        Raises:
            DefinitionError: there is no such run.
        """
        row = self.row(id)
        records = self._store.read(lambda tx: ledger.records(tx, row.id))
        return {
            "id": row.name,
            **{column: value for column, value in row._asdict().items() if column not in INNER},
            "input": plain(row.input),
            "output": plain(row.output),
            "error": text_in(row.error),
            "records": [
                {
                    **asdict(record),
                    "identity": [*record.identity],
                    "kind": KIND_NAMES[record.kind],
                    "hash": None if record.hash is None else record.hash.hex(),
                    "value": plain(record.value),
                    "has_value": record.value is not None,
                    "error": text_in(record.error),
                    "failure": plain(record.error),
                }
                for record in records
            ],
        }

    def signal(self, id: str, body: bytes, *, marked: str | None = None) -> bool:
        """Send a run a signal that is packed already; False if one was sent that was marked so.

        Raises:
            DefinitionError: there is no such run, or it is over; or the mark is no text that can be stored.
        """
        check_text("id", id)
        check_type("body", body, bytes)
        check_text("marked", marked)
        return send_stored(self._store, LedgerContext(self._store.now), id, body, marked)

    def cancel(self, id: str, body: bytes) -> bool:
        """Ask a run to end; False if it is over."""
        check_text("id", id)
        check_type("body", body, bytes)
        try:
            send_stored(self._store, LedgerContext(self._store.now), id, body, None, is_cancel=True)
        except RunOver:
            return False
        return True

    def pause(self, id: str) -> bool:
        """Have a run begin nothing more until it is resumed; False if it is over."""
        check_text("id", id)
        letter, context = pausing.letter_to(id), LedgerContext(self._store.now)
        done = self._store.write(lambda tx: pausing.pause(tx, context, id, letter))
        if done is None:
            raise missing(id, self._store)
        return done

    def resume(self, id: str) -> bool:
        """Have a run go on that is paused or parked; False if it is neither."""
        check_text("id", id)
        done = self._store.write(partial(pausing.resume, run=id, now=self._store.now()))
        if done is None:
            raise missing(id, self._store)
        return done

    def retry(self, id: str, step: str | None = None) -> None:
        """Have a run that has failed, or was cancelled, go on from a step; the results before that are kept.

        Args:
            id: of the run.
            step: its name; None: the one that failed last, or the place of the cancel.

        Raises:
            DefinitionError: there is no such run, or it is not over, or has no such step.
        """
        self.row(id)
        check_text("step", step)
        self._store.write(partial(trying_again.retry, name=id, step=step, now=self._store.now()))

    def skip(self, id: str, step: str | None, reason: str) -> None:
        """Have a stuck saga go on without the compensations that have failed, or one of them.

        Raises:
            DefinitionError: there is no such run, it is not stuck, or no such compensation has failed.
        """
        self.row(id)
        check_text("reason", reason)
        self._store.write(partial(unsticking.skip, name=id, step=step, reason=reason, now=self._store.now()))

    def fork(self, id: str, step: str | None, new: str) -> None:
        """Have a copy of a run, with another id, go on from a step; without one, from its begin. The run stays.

        Raises:
            DefinitionError: there is no such run, or it has no such step, or the new id is taken or cannot be stored.
        """
        check_type("new", new, str)
        check_text("new", new)
        check_text("step", step)
        row = self.row(id)
        trying_again.fork_now(self._store, row, new, step)


INNER: Final = {"id", "name", "on_close", "slot"}  # columns that an export leaves out, or has by another name


def plain(stored: bytes | None) -> Any:
    """Return a stored value as JSON; if it is damaged, as text."""
    if stored is None:
        return None
    try:
        return json.loads(stored)
    except (ValueError, RecursionError):
        return repr(stored)


def text_in(stored: bytes | None) -> str | None:
    """Return the text of a stored error."""
    return None if stored is None else read_error(stored)[0]
