"""Doorbell: the socket and the bell that the thread of a worker sleeps on; other threads ring the bell."""

from __future__ import annotations

import select
import socket
import threading
from functools import partial
from typing import Any

from actorflow.core.atomic import exclusively


class Doorbell:
    """Waits for a socket and for `ring`; another thread may disarm the socket, to read it itself."""

    def __init__(self, descriptor: int) -> None:
        self._socket = descriptor
        self._poll: Any = select.epoll() if hasattr(select, "epoll") else select.poll()  # it closes itself, if need be
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)
        self._poll.register(descriptor, select.POLLIN)
        self._poll.register(self._bell.fileno(), select.POLLIN)
        # `disarm` has the thread sleep on while another reads the socket; without epoll it waits for the lock.
        # `arm` has it watch again. All in C: a caller that reads by itself does both each time.
        self.disarm = partial(self._poll.modify, descriptor, 0)
        self.arm = partial(self._poll.modify, descriptor, select.POLLIN)
        self._unit = 1 if hasattr(select, "epoll") else 1000  # seconds, or milliseconds
        self._lock = threading.RLock()  # so that no thread rings a closed bell; a signal handler may ring, too

    def wait(self, seconds: float) -> bool:
        """Wait until the socket is readable, the bell rings or the time is over; True: the socket is."""
        readable = False
        for descriptor, _ in self._poll.poll(seconds * self._unit):
            if descriptor == self._socket:
                readable = True
            else:
                self._bell.recv(4096)
        return readable

    def ring(self) -> None:
        """Wake the thread. Safe from any thread, also after the end."""
        exclusively(self._lock, self._ring)

    def _ring(self) -> None:
        try:
            self._rope.send(b"!")
        except OSError as error:  # it has been rung often enough, or is closed
            if error.errno is None:  # a signal's handler raised it: a TimeoutError, say
                raise

    def close(self) -> None:
        """Give the descriptors back."""
        with self._lock:
            self._bell.close()
            self._rope.close()
            if hasattr(self._poll, "close"):
                self._poll.close()
