"""Doorbell: what the thread of a worker sleeps on, its socket and a bell that other threads ring. Layer 2."""

from __future__ import annotations

import os
import select
import threading

NONE = 0


class Doorbell:
    """Waits for a socket and for `ring`; another thread may disarm the socket, to read it itself."""

    def __init__(self, descriptor: int) -> None:
        self._socket = descriptor
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(descriptor, select.EPOLLIN)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._lock = threading.Lock()  # so that nobody rings a descriptor that was closed, and is another's by now

    def wait(self, seconds: float | None) -> bool:
        """Wait until the socket is readable, the bell rings or the time is over; True: the socket is."""
        found = self._epoll.poll(seconds)
        for descriptor, _ in found:
            if descriptor == self._bell:
                try:
                    os.eventfd_read(self._bell)
                except BlockingIOError:
                    continue
        return len(found) > 1 or (len(found) == 1 and found[0][0] == self._socket)

    def ring(self) -> None:
        """Wake the thread. Safe from any thread, also after the end."""
        with self._lock:
            if not self._epoll.closed:
                os.eventfd_write(self._bell, 1)

    def disarm(self) -> None:
        """Have the thread sleep on while another reads the socket."""
        self._epoll.modify(self._socket, NONE)

    def arm(self) -> None:
        """Have the thread watch the socket again."""
        self._epoll.modify(self._socket, select.EPOLLIN)

    def close(self) -> None:
        """Give the descriptors back."""
        with self._lock:
            if not self._epoll.closed:
                self._epoll.close()
                os.close(self._bell)
