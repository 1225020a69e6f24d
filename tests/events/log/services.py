"""Durable services that the tests share, and the model of what they make of the log."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar

import actorflow as af


@af.event(name="test.ordered", key="key")
@dataclasses.dataclass
class Ordered:
    key: str
    n: int


@af.event(name="test.paid", key="key")
@dataclasses.dataclass
class Paid:
    key: str
    n: int


@af.event(name="test.noted")
@dataclasses.dataclass
class Noted:
    text: str


@dataclasses.dataclass
class Seen:
    """What a service has handled, by key, in order."""

    by_key: dict[str, list[int]] = dataclasses.field(default_factory=dict)

    def note(self, key: str, n: int) -> None:
        self.by_key.setdefault(key, []).append(n)


class Failing:
    """What the handlers of a test fail on: always, or so many times."""

    poison: ClassVar[set[int]] = set()
    flaky: ClassVar[dict[int, int]] = {}
    tried: ClassVar[list[tuple[str, int]]] = []

    @classmethod
    def reset(cls) -> None:
        cls.poison, cls.flaky, cls.tried = set(), {}, []

    @classmethod
    def check(cls, who: str, n: int) -> None:
        cls.tried.append((who, n))
        if n in cls.poison:
            raise ValueError(f"{n} is poison")
        left = cls.flaky.get(n, 0)
        if left:
            cls.flaky[n] = left - 1
            raise OSError(f"{n} fails {left} times more")


class Cashier(af.Service):
    """Publishes a Paid for each Ordered."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Seen()

    @af.on(Ordered)
    def charge(self, event: Ordered) -> Paid:
        Failing.check("cashier", event.n)
        self.state.note(event.key, event.n)
        return Paid(event.key, event.n)

    def seen(self) -> dict[str, list[int]]:
        return self.state.by_key


class Ledger(af.Service):
    """Notes what was ordered and paid; it is async."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Seen()

    @af.on(Ordered, Paid)
    async def note(self, event: Ordered | Paid) -> None:
        self.state.note(event.key, event.n if type(event) is Ordered else -event.n)

    def seen(self) -> dict[str, list[int]]:
        return self.state.by_key


class Splitter(af.Service):
    """Publishes several events for one, and has no state."""

    @af.on(Noted, when=lambda self, event: "," in event.text)
    def split(self, event: Noted) -> Iterator[Noted]:
        for text in event.text.split(","):
            yield Noted(text)


def service(cls: type[Any], name: str, **options: Any) -> Any:
    retry = options.pop("retry", af.Retry(3, af.Backoff(2, factor=1, jitter=0)))
    return af.child(cls).options(durable=True, name=name, retry=retry, restart="permanent", **options)


def rows(store: Any) -> list[tuple[Any, ...]]:
    """Return the log, in order."""
    return store.read(lambda tx: tx.all("events.list_after", {"after": 0, "correlation": None, "limit": 1_000_000}))


def merged(parts: list[dict[str, list[int]]]) -> dict[str, list[int]]:
    """Return what the members of a consumer have seen, together; no key is with two of them."""
    found: dict[str, list[int]] = {}
    for part in parts:
        assert not found.keys() & part.keys()
        found.update(part)
    return found


def expected(store: Any, kinds: dict[str, int], dead: set[str]) -> dict[str, list[int]]:
    """Return what a service has handled of the log: of each type with a sign, but for dead ones, which are ids."""
    from actorflow.store.codec import decode

    found: defaultdict[str, list[int]] = defaultdict(list)
    for _seq, _part, key, kind, _version, body, id_, *_ in rows(store):
        n = decode(body)["n"] if kind in kinds else 0
        if kind in kinds and id_ not in dead:
            found[key].append(kinds[kind] * n)
    return dict(found)
