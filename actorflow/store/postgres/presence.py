"""Presence: the session of a process that is always open.

One thread has it. It hears of the commits of others (LISTEN) and tells them of this process's commits (NOTIFY), which
would hold a lock of the whole server until its flush if it were part of the commit; it holds the lock that says that
the node lives; and it sets the clock by the server's. A second without news is followed by a look all the same, and by
a question: a server that does not answer it for ten seconds is lost. The link itself waits on for the answer, since
with its session it would lose the node's lock.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Any, Final

from actorflow.core.clock import SystemClock
from actorflow.core.futures.future import Future, patient
from actorflow.core.log import logger
from actorflow.core.outage import Outage
from actorflow.errors import AskTimeout, StoreError, StoreUnreachable
from actorflow.store.pending_writes import wait_for
from actorflow.store.postgres.connection import NOTHING, STATEMENTS
from actorflow.store.postgres.driver import SILENT, shown
from actorflow.store.postgres.session import ServerSession
from actorflow.store.transaction import Parameters, Row
from actorflow.store.watchers import Watchers

LOOK_SECONDS: Final = 1.0  # without news
SILENT_SECONDS: Final = 10.0  # that the server may take for an answer; a disk may keep it from that for seconds
LAST_SECONDS: Final = 1.0  # the same while the store is closed
NODE_SECONDS: Final = 30.0  # until a new node has its lock
TELL_SECONDS: Final = 0.005  # between two NOTIFYs of a process that hears nothing, or has more commits than
LONE: Final = 2  # since its last one; of two that take turns, as in an ask and its answer, each tells at once
CLOCK_SECONDS: Final = 30.0  # between two looks at the server's clock
PAUSE_SECONDS: Final = 0.1  # until a session of its own is tried again, while the link has one


class Presence:
    """The session of a store that listens, tells, holds the node's lock and reads the server's clock."""

    def __init__(self, url: str, name: str, watchers: Watchers, closing: threading.Event) -> None:
        self.lost: StoreError | None = None  # why the server is not there
        self.closing = closing  # of the store
        self._is_silent = False
        self._name = name
        self._watchers = watchers
        self._ended = threading.Event()
        self._others: list[ServerSession] = []
        self._session = ServerSession(url, self._ended, gives_up=self._gives_up)
        self._bell, self._button = socket.socketpair()  # no bare descriptors: one that is closed may be another's
        for end in (self._bell, self._button):
            end.setblocking(False)
        self._pressed = 0  # commits that nobody was told of yet
        self._told_at = 0.0
        self._has_heard = False  # of another process, since others were told
        self._waiters: list[Future[None]] = []
        self._news = False
        self._set_at = 0.0
        self._ahead = 0.0  # of the server's clock before this machine's monotonic one
        self._node: dict[str, Any] | None = None
        self._held = threading.Event()
        self._outage = Outage(SystemClock())
        self._thread = threading.Thread(target=self._run, name="actorflow-store", daemon=True)
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        self._thread.start()

    # --- for other threads -------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the server's time, in seconds since the epoch."""
        return SystemClock.monotonic() + self._ahead

    def announce(self) -> None:
        """Have others told soon that there was a commit."""
        self._pressed += 1  # two threads may count as one, which does no harm
        if self._pressed == 1:
            self._ring()

    def wait_until_back(self, deadline: float) -> bool:
        """Wait for a lost server, or a moment; other actors run meanwhile. False if the deadline is over."""
        seconds = deadline - SystemClock.monotonic()
        if seconds <= 0 or self._ended.is_set():
            return False
        back: Future[None] = patient(None)  # type: ignore[arg-type]
        self._waiters.append(back)
        try:
            wait_for(back, seconds if self.lost else min(seconds, PAUSE_SECONDS))
        except AskTimeout:
            return self.lost is None
        finally:
            self._waiters.remove(back)
        return True

    def watch_over(self, session: ServerSession) -> None:
        """Have the waits of another session end while the server does not answer."""
        session.lost = lambda: self.lost
        self._others.append(session)

    def hasten(self) -> None:
        """Ask the server at once: the store is being closed."""
        self._ring()

    def hold(self, node: dict[str, Any], patience: float) -> None:
        """Take a node's lock, as long as this process lives; a lost session takes it again.

        Raises:
            StoreError: the server does not give it; one that is known to be lost is waited for with patience.
        """
        self._node = node
        self._ring()
        if not self._held.wait(patience if self.lost else NODE_SECONDS):
            self._node = None
            msg = f"the server gives a new node no lock: {self.lost or 'it does not answer'}"
            raise StoreUnreachable(msg)

    def close(self) -> None:
        """End the session; the lock is free then."""
        self._ended.set()
        self._ring()
        self._wake()
        if self._thread is not threading.current_thread():
            self._thread.join()
            self._close()

    def _close(self) -> None:
        self._session.close()
        self._bell.close()
        self._button.close()

    def _wake(self) -> None:
        for waiter in list(self._waiters):
            waiter._settle(None, None)

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it rings already; closed: it is over
            self._button.send(b"!")

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                try:
                    self._turn()
                except StoreError as error:
                    if not self._ended.is_set():
                        self._lost(error)
        finally:
            self._session.close()

    def _lost(self, error: StoreError) -> None:
        if self._session.connection.closed:
            self.lost = error
            with contextlib.suppress(StoreError):
                self._session.reconnect(self._cut_others)
                self._held.clear()
                self._open()
                if self._node is not None:  # at once: without its lock it is taken for dead
                    self._take()
        else:
            self._outage.note(logger.warning, "The link to the server failed: %s", error)
            self._ended.wait(LOOK_SECONDS)

    def _gives_up(self, seconds: float) -> bool:
        """Note that the server is silent, and wait on for it, unless it is the end, or there was no beginning."""
        if seconds >= (LAST_SECONDS if self.closing.is_set() else SILENT_SECONDS):
            self._miss()
        self._cut_others()
        return self._is_silent and (self._ended.is_set() or not self._thread.is_alive())

    def _cut_others(self, _error: StoreError | None = None) -> bool:
        """End the waits of the other sessions for a server that is silent; True: this one tries again."""
        if self._is_silent:
            for session in self._others:
                session.cut()
        return True

    def _miss(self) -> None:
        """Note that the server is silent."""
        if not self._is_silent:
            self._is_silent = True
            self.lost = self.lost or StoreError(f"{shown(self._session.url)}: {SILENT}")
            logger.warning("The server of %s does not answer; waiting for it", shown(self._session.url))

    def _ask(self, name: str, parameters: Parameters = NOTHING) -> Row | None:
        """Run a statement, and return its first row. The answer shows that the server is there."""
        cursor = self._session.execute(STATEMENTS[name], parameters)
        if self.lost is not None:
            self.lost = None
            self._is_silent = False
            logger.warning("The server of %s is back", shown(self._session.url))
            self._wake()
            self._news = True  # something may have been missed
        return cursor.fetchone() if cursor.description is not None else None

    def _open(self) -> None:
        self._ask("session.listen")
        self._session.connection.add_notify_handler(lambda notice: self._note(notice.payload))  # that come with answers
        self._set_clock()

    def _turn(self) -> None:
        """Wait for something to do, and do it."""
        connection = self._session.connection
        if connection.closed:
            msg = "the connection is closed"
            raise StoreError(msg)
        takes_turns = self._has_heard and self._pressed <= LONE
        rest = 0.0 if takes_turns else self._told_at + TELL_SECONDS - SystemClock.monotonic()
        if self._pressed and rest <= 0:
            self._tell()
        # News that came with an answer is read already, by libpq or by the answer's reader: no socket tells of it.
        self._hear(connection.pgconn, has_input=False)
        ready = self._wait(connection, self._pause(rest))
        if self._node is not None and not self._held.is_set():
            self._take()
        is_quiet = not (ready or self._pressed or self._news)
        if is_quiet or self.closing.is_set() or SystemClock.monotonic() - self._set_at > CLOCK_SECONDS:
            self._set_clock()
        self._hear(connection.pgconn, has_input=connection in ready)
        if self._news or is_quiet:
            self._news = False
            self._watchers.notify()

    def _pause(self, rest: float) -> float:
        """Return how long to wait for news."""
        if self._news:
            return 0.0
        return max(0.0, min(LOOK_SECONDS, rest)) if self._pressed else LOOK_SECONDS

    def _wait(self, connection: Any, seconds: float) -> list[Any]:
        ready, _, _ = select.select([connection, self._bell], [], [], seconds)
        if self._bell in ready:
            with contextlib.suppress(BlockingIOError):
                self._bell.recv(1024)
        return ready

    def _tell(self) -> None:
        self._pressed = 0
        self._has_heard = False
        self._told_at = SystemClock.monotonic()
        self._ask("session.tell", {"from": self._name})

    def _hear(self, pg: Any, *, has_input: bool) -> None:
        """Read the notices that have come."""
        try:
            if has_input:
                pg.consume_input()
            while (notice := pg.notifies()) is not None:
                self._note(notice.extra.decode())
        except self._session.error as error:
            self._session.close()
            msg = f"the server is lost: {error}"
            raise StoreError(msg) from error

    def _note(self, teller: str) -> None:
        if teller != self._name:
            self._news = self._has_heard = True

    def _take(self) -> None:
        """Take the node's lock; its row is there again if others have taken it for dead."""
        assert self._node is not None
        row = self._ask("session.hold", {"id": self._node["id"]})
        if row is not None and row[0]:
            self._ask("session.rejoin", self._node)
            self._held.set()

    def _set_clock(self) -> None:
        """Look at the server's clock; the answer took half of the way. One that took long sets no clock."""
        before = SystemClock.monotonic()
        row = self._ask("session.time")
        after = SystemClock.monotonic()
        assert row is not None
        is_due = after - self._set_at > CLOCK_SECONDS and after - before < LOOK_SECONDS
        if is_due or not self._set_at:
            self._ahead = row[0] - (before + after) / 2
            self._set_at = after
