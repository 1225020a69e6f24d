"""Durable actors that ask each other through `ctx.pipe`, and a process of them that dies. Run as a script.

python -m tests.durable.asking URL ACT TIMEOUT: the asker asks, and the process dies in the handler that is to answer,
or, where ACT is "nobody", once the ask is committed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import actorflow as af
from tests.durable.actors import Account, Total


class Asker(Account):
    """Asks; notes each answer and each error that comes."""

    def ask_for(self, other: Any, act: str, timeout: float | None = None) -> None:
        self.ctx.pipe(other.call(Answerer.act, act), self.got, on_error=self.missed, timeout=timeout)

    def ask_often(self, other: Any, times: int) -> None:
        for _ in range(times):
            self.ctx.pipe(other.call(Answerer.act, "say"), self.got)

    def ask_bare(self, other: Any, act: str) -> None:
        self.ctx.pipe(other.call(Answerer.act, act), self.got)

    def ask_bare_within(self, other: Any, act: str, timeout: float) -> None:
        self.ctx.pipe(other.call(Answerer.act, act), self.got, timeout=timeout)

    def ask_twice(self, other: Any) -> None:
        future = other.call(Answerer.act, "say")
        self.ctx.pipe(future, self.got)
        self.ctx.pipe(future, self.got, on_error=self.missed)

    def ask_all(self, other: Any) -> None:
        both = other.call(Answerer.act, "say").join(other.call(Answerer.act, "say"))
        self.ctx.pipe(both, self.got)

    def ask_mapped(self, other: Any, timeout: float) -> None:
        self.ctx.pipe(other.call(Answerer.act, "say").map(str.upper), self.got, on_error=self.missed, timeout=timeout)

    def got(self, value: Any) -> None:
        self.state.seen.append(["got", value])

    def missed(self, error: Exception) -> None:
        self.state.seen.append(["missed", type(error).__name__])


class Patient(Asker):
    """Puts answers aside until it is told to take them."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = False

    def open(self) -> None:
        self.is_open = True
        self.ctx.unstash()

    def got(self, value: Any) -> None:
        if self.is_open:
            super().got(value)
        else:
            self.ctx.stash()


class Answerer(Account):
    """Answers, in the way it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.promise: Any = None

    def act(self, act: str) -> Any:
        if "dies" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)
        self.state.n += 1
        if act == "fail":
            msg = "not today"
            raise ValueError(msg)
        if act == "promise":
            self.state.seen.append(self.ctx.reply_later())
            return None
        return f"{act} {self.state.n}"

    def keep_promise(self) -> None:
        self.state.seen.pop().set("as promised")

    def promised(self) -> Any:
        return self.state.seen.pop()


def main(url: str, act: str, timeout: str) -> None:
    """Run a process that dies."""
    with af.ActorSystem("test", store=url, durability="process") as system:
        if act == "nobody":
            other: Any = system.durable("other", Answerer)
        else:
            other = system.spawn(af.child(Answerer).options(name="other"))
        asker = system.spawn(af.child(Asker).options(name="asker"))
        asker.call(Asker.ask_for, other, act, float(timeout) or None).get(timeout=20)
        if act == "nobody":
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait(20)


if __name__ == "__main__":
    main(*sys.argv[1:4])

__all__ = ["Answerer", "Asker", "Total"]
