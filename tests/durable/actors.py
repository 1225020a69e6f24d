"""Durable actors that the tests share; payload types are found by their module."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

import actorflow as af


@dataclasses.dataclass
class Total:
    n: int = 0
    seen: list[Any] = dataclasses.field(default_factory=list)


class StructTotal(msgspec.Struct):
    n: int = 0


@dataclasses.dataclass
class Add:
    k: int
    to: Any = None


class Account(af.Actor, durable=True):
    """Adds; passes on what it is told to `to`."""

    def __init__(self, to: Any = None) -> None:
        super().__init__()
        self.state = Total()
        self.to = to

    def on_receive(self, message: Any) -> Any:
        self.state.seen.append(message)
        if self.to is not None:
            self.to.tell(message)
        return message

    def add(self, k: int) -> int:
        self.state.n += k
        return self.state.n

    def total(self) -> int:
        return self.state.n

    def seen(self) -> list[Any]:
        return self.state.seen

    def fail(self, k: int = 1) -> None:
        self.state.n += k
        if self.to is not None:
            self.to.tell("from a handler that failed")
        msg = "no"
        raise ValueError(msg)


class StructAccount(af.Actor, durable=True):
    def __init__(self) -> None:
        super().__init__()
        self.state = StructTotal()

    def add(self, k: int) -> int:
        self.state.n += k
        return self.state.n


class Collector(af.Actor):
    """An ordinary actor that keeps what it gets, and who sent it."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []

    def on_receive(self, message: Any) -> None:
        self.got.append(message)

    def all(self) -> list[Any]:
        return list(self.got)
