"""Session: one connection to a PostgreSQL server, made anew when the server was lost."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.log import logger
from actorflow.errors import DefinitionError, StoreError, StoreUnreachable
from actorflow.store.postgres.driver import ends_session, is_yet_to_come, psycopg_module, shown, store_error
from actorflow.store.transaction import Durability, Parameters, Row

if TYPE_CHECKING:
    import psycopg

    from actorflow.store.postgres.waiting import GivesUp, WatchedConnection

SYNCHRONOUS: Final = {"process": "off", "power": "on"}
PAUSES: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)  # between two tries to reach it; the last one from then on
ABANDON_SECONDS: Final = 2.0  # that a thread has to leave a connection that is ended
CONNECT_SECONDS: Final = 5
SESSION: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "actorflow",
    "keepalives_idle": 10,  # a server that is cut off is noticed within half a minute
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# A process that is stopped in a transaction must not hold up the others for long, nor wait for ever itself: our own
# transactions take milliseconds, so the server ends one before the others give up. One that a task has may be longer.
OPTIONS: Final = "set lock_timeout = '30s'; set idle_in_transaction_session_timeout = '10s'"

_connections: weakref.WeakSet[Any] = weakref.WeakSet()


class ServerSession:
    """One connection, made anew when the server was lost."""

    def __init__(
        self,
        url: str,
        ended: threading.Event,
        waits: Callable[[], bool] = lambda: False,
        gives_up: GivesUp | None = None,
    ) -> None:
        self.url = url
        self._ended = ended
        self.lost: Callable[[], StoreError | None] = lambda: None  # says why nobody should try to connect just now
        self._gives_up = gives_up
        self._cut: object = None  # connection that was ended from outside
        self.connection = self._first(waits)
        self.error: type[Exception] = psycopg_module().Error
        self._durability: Durability | None = None

    def execute(self, sql: Any, parameters: Parameters | None = None) -> psycopg.Cursor[Any]:
        """Run SQL.

        Raises:
            StoreError: the server refused, or is lost.
        """
        try:
            return self.connection.execute(sql, parameters)
        except self.error as error:
            raise self.failed(error) from error

    def failed(self, error: Exception) -> StoreError:
        """Return the StoreError for an error of the server, or for its silence, in which this session was cut."""
        if ends_session(error):
            self.connection.close()  # else it would look as if it went on: psycopg has not read the end of it yet
        lost = self.lost()
        is_cut = self._cut is self.connection and lost is not None
        return StoreError(f"{lost}") if is_cut else store_error(self.url, error)

    def begin(self, sql: str, durability: Durability | None = None) -> Row | None:
        """Open a transaction; a lost session is made anew. Return the last row that the statements give.

        Raises:
            StoreUnreachable: the server is not there, and nothing was done.
        """
        try:
            if not self.connection.closed:
                return self._begin(sql, durability)
        except StoreError:
            if not self.connection.closed:
                raise
        self._connect_again()
        return self._begin(sql, durability)

    def _begin(self, sql: str, durability: Durability | None) -> Row | None:
        if durability is not None and durability != self._durability:
            sql = f"set synchronous_commit = {SYNCHRONOUS[durability]}; {sql}"
        if self.connection.info.transaction_status != 0:  # the end of the last one was interrupted twice
            self.rollback()
        cursor = self.execute(sql)
        self._durability = durability
        while cursor.nextset():
            pass
        return cursor.fetchone() if cursor.description is not None else None

    def _connect_again(self) -> None:
        """Connect once more; while the link knows that the server is lost, leave that to it.

        Raises:
            StoreUnreachable: there is no server.
        """
        lost = self.lost()
        if lost is not None:
            raise unreachable(lost)
        logger.warning("The server of %s is lost; waiting for it", shown(self.url))
        self._durability = None
        self.close()
        try:
            self.connection = self._connect()
        except StoreError as error:
            raise unreachable(error) from error
        logger.warning("The server of %s is back", shown(self.url))

    def abandon(self) -> None:
        """End the session under the hands of a thread that hangs in its transaction: the server undoes it.

        If the thread waits for the server just now, the end of the socket wakes it.
        """
        connection = self.connection
        self._end_socket(connection)
        is_free = connection.lock.acquire(timeout=ABANDON_SECONDS)
        try:
            connection.close()
        finally:
            if is_free:
                connection.lock.release()

    def cut(self) -> None:
        """End the wait for an answer that a thread may be in."""
        connection = self.connection
        if connection.lock.locked() and connection is not self._cut:
            self._cut = connection
            self._end_socket(connection)

    def _end_socket(self, connection: WatchedConnection) -> None:
        with contextlib.suppress(OSError, self.error), socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)

    def reconnect(self, goes_on: Callable[[StoreError], bool]) -> None:
        """Connect again, while `goes_on` says so of each error and the store has not ended.

        Raises:
            StoreError: the server was not back by then.
        """
        logger.warning("The server of %s is lost; waiting for it", shown(self.url))
        self._durability = None
        self.close()
        self.connection = self._reach(goes_on)

    def _connect(self) -> WatchedConnection:
        connection = connect(self.url)
        if self._gives_up is not None:
            connection.watch(self._gives_up)
        return connection

    def _first(self, waits: Callable[[], bool]) -> WatchedConnection:
        """Connect to a server that may be about to start, as long as `waits` says so."""
        first: list[StoreError] = []

        def goes_on(error: StoreError) -> bool:
            if not (is_yet_to_come(error) and waits()):
                return False
            if not first:
                first.append(error)
                logger.warning("%s; waiting for it", error)
            return True

        connection = self._reach(goes_on)
        if first:
            logger.warning("The server of %s is there", shown(self.url))
        return connection

    def _reach(self, goes_on: Callable[[StoreError], bool]) -> WatchedConnection:
        """Connect, again and again while `goes_on` says so of the error and the store has not ended."""
        number = 0
        while True:
            try:
                return self._connect()
            except StoreError as error:
                if not goes_on(error) or self._ended.wait(PAUSES[min(number, len(PAUSES) - 1)]):
                    raise
                number += 1

    def rollback(self) -> None:
        """Undo the open transaction; a connection that cannot do that is given up."""
        connection = self.connection
        if connection.closed or connection.info.transaction_status == 0:
            return
        try:
            connection.execute("rollback")
        except self.error:
            connection.close()

    def close(self) -> None:
        """End the session."""
        self.connection.close()


def unreachable(why: StoreError) -> StoreUnreachable:
    """Return the text about a server that is not there."""
    return StoreUnreachable(f"{why}; nothing of this was done")


def connect(url: str) -> WatchedConnection:
    """Open a session on a server, in which each transaction is begun by name. It waits for no answer for long.

    Raises:
        DefinitionError: the URL makes no sense.
        StoreError: the server cannot be reached, or refuses.
    """
    psycopg = psycopg_module()
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        text = str(error).replace(url, shown(url))  # it may quote all of it
        msg = f"store={shown(url)!r}: {text}; write 'postgresql://user@host/database'"
        raise DefinitionError(msg) from error
    from actorflow.store.postgres.waiting import WatchedConnection  # noqa: PLC0415 - psycopg is an extra

    try:
        options = {key: SESSION[key] for key in SESSION if key not in given}
        connection = WatchedConnection.connect(url, autocommit=True, client_encoding="UTF8", **options)
        connection.watch(lambda seconds: seconds >= CONNECT_SECONDS)
        connection.execute(OPTIONS)
        connection.unwatch()
    except psycopg.Error as error:
        raise store_error(url, error) from error
    _connections.add(connection)
    return connection


def _after_fork() -> None:
    """Close a child's copies of the sockets: with them, a dead parent's session and its locks would live on."""
    for connection in list(_connections):
        if not connection.closed:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, connection.fileno(), inheritable=False)
            os.close(nothing)


os.register_at_fork(after_in_child=_after_fork)
