"""Small apps with odd hints, inheritance and calls: what is drawn of each is compared with what flows when it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from typing import Annotated, Generic, Optional, TypeVar, Union

import msgspec

import actorflow as af
from tests.events.topology import drawn_facts

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class A:
    n: int = 0


@dataclasses.dataclass(frozen=True)
class B:
    n: int = 0


@dataclasses.dataclass(frozen=True)
class C:
    n: int = 0


@dataclasses.dataclass(frozen=True)
class LargeB(B): ...


@dataclasses.dataclass(frozen=True)
class Changed(Generic[T]):
    to: T


class Struct(msgspec.Struct, frozen=True):
    n: int = 0


class HearsB(af.Service):
    @af.on(B)
    def hear(self, event: B) -> None: ...


class HearsC(af.Service):
    @af.on(C)
    def hear(self, event: C) -> None: ...


class HearsBoth(af.Service):
    @af.on(B, C)
    def hear(self, event: B | C) -> None: ...


# --- hints -----------------------------------------------------------------------------------------------------------


class OneOfSome(af.Service):
    @af.on(A)
    def handle(self, event: A) -> B | C | None:
        return [B(), C(), None][event.n]


class OldUnion(af.Service):
    @af.on(A)
    def handle(self, event: A) -> Optional[Union[B, C]]:  # noqa: UP007, UP045 - as older code has it
        return [B(), C(), None][event.n]


class Annotations(af.Service):
    @af.on(A)
    def handle(self, event: Annotated[A, "comes"]) -> Annotated[B, "goes"]:
        return B()


class OfGeneric(af.Service):
    @af.on(A)
    def handle(self, event: A) -> Changed[int]:
        return Changed(1)

    @af.on(Changed)
    def hear(self, event: Changed[int]) -> Struct:
        return Struct()


class HearsStruct(af.Service):
    @af.on(Struct)
    def hear(self, event: Struct) -> None: ...


class Forward(af.Service):
    @af.on(A)
    def handle(self, event: A) -> Later | None:
        return Later()


@dataclasses.dataclass(frozen=True)
class Later: ...


class HearsLater(af.Service):
    @af.on(Later)
    def hear(self, event: Later) -> None: ...


# --- several events --------------------------------------------------------------------------------------------------


class Generates(af.Service):
    @af.on(A)
    def handle(self, event: A) -> Generator[B | C, None, None]:
        yield B()
        yield C()


class Lists(af.Service):
    @af.on(A)
    def handle(self, event: A) -> Iterable[B]:
        return [B(), B(1)]


class GeneratesAsync(af.Service):
    @af.on(A)
    async def handle(self, event: A) -> AsyncIterator[B]:
        yield B()
        yield B(1)

    @af.on(B)
    async def go_on(self, event: B) -> C | None:
        return C() if event.n else None


# --- inheritance -----------------------------------------------------------------------------------------------------


class Base(af.Service):
    @af.on(A)
    def handle(self, event: A) -> B:
        return B()

    @af.on(B)
    def go_on(self, event: B) -> C:
        return C()


class Silent(Base):
    def go_on(self, event: B) -> None: ...  # type: ignore[override]


class Other(Base):
    def handle(self, event: A) -> C:  # type: ignore[override]
        return C()


class Below(af.Service):
    @af.on(A)
    def handle(self, event: A) -> B:
        return LargeB() if event.n else B()


class HearsLarge(af.Service):
    @af.on(LargeB)
    def hear(self, event: LargeB) -> None: ...


# --- calls of publish ------------------------------------------------------------------------------------------------


def made(n: int) -> C | None:
    return C(n)


class Calls(af.Service):
    @af.on(A)
    def handle(self, event: A) -> None:
        self.publish(B())
        self.publish(made(event.n) or B())


class ByMethods(af.Service):
    @af.on(A)
    def handle(self, event: A) -> None:
        self.say(B())
        self.say_all([self.last(), self.last()])
        self.ctx.after(1.0, self.later)

    def say(self, event: B) -> None:
        self.publish(event)

    def say_all(self, events: Sequence[C]) -> None:
        for event in events:
            self.publish(event)

    def last(self) -> C:
        return C()

    def later(self) -> None:
        self.publish(Struct())


class Inherits(ByMethods): ...


class Counts(af.Service):
    @af.on(B)
    def count(self, event: B) -> None:
        if event.n < 3:
            self.publish(dataclasses.replace(event, n=event.n + 1))


class Unasked(af.Service):
    """Publishes when it is called; no handler leads there."""

    def order(self, events: list[B]) -> None:
        for event in events:
            self.publish(event)


# --- patterns, machines, names that two modules have -----------------------------------------------------------------


class ByPattern(af.Service):
    @af.on("**.B")
    def handle(self, event: object) -> Struct:
        return Struct()

    @af.on("tests.**")
    def all(self, event: C | Struct) -> None: ...


class Machine(af.StateMachine, af.Service):
    first, second = af.State(initial=True), af.State()

    @first.to(second)
    @af.on(A)
    def go(self, event: A) -> B:
        return B()

    @second.to(first)
    @af.on(B)
    def back(self, event: B) -> C | None:
        return C()


class Both(af.Service):
    @af.on(A)
    @af.on(B, when=lambda _, event: event.n > 0)
    def handle(self, event: A | B) -> C:
        return C()


class SameName(af.Service):
    @af.on(A)
    def handle(self, event: A) -> drawn_facts.A:
        return drawn_facts.A()


def stream() -> Iterator[object]:
    yield from (A(0), A(1), A(2))


APPS: dict[str, tuple[list[type[af.Service]], list[object]]] = {
    "a union": ([OneOfSome, HearsBoth], [*stream()]),
    "an older union": ([OldUnion, HearsBoth], [*stream()]),
    "annotations": ([Annotations, HearsB], [A()]),
    "a generic event, a Struct": ([OfGeneric, HearsStruct], [A()]),
    "a forward reference": ([Forward, HearsLater], [A()]),
    "a generator": ([Generates, HearsBoth], [A()]),
    "a list": ([Lists, HearsB], [A()]),
    "an async generator": ([GeneratesAsync, HearsBoth], [A()]),
    "an inherited handler": ([Base, HearsBoth], [A()]),
    "an override that publishes nothing": ([Silent, HearsBoth], [A()]),
    "an override that publishes another": ([Other, HearsBoth], [A()]),
    "an event below that of the hint": ([Below, HearsB, HearsLarge], [A(0), A(1)]),
    "an event below that of the handler": ([HearsB, HearsLarge], [LargeB(), B()]),
    "calls": ([Calls, HearsBoth], [A()]),
    "calls of methods and timers": ([ByMethods, HearsBoth, HearsStruct], [A()]),
    "calls of inherited methods": ([Inherits, HearsBoth, HearsStruct], [A()]),
    "a copy": ([Counts, HearsB], [B()]),
    "a call from outside": ([Unasked, HearsB], []),
    "patterns": ([OneOfSome, ByPattern], [*stream()]),
    "a machine": ([Machine, HearsC], [A()]),
    "two marks": ([Both, HearsC], [A(), B(0), B(1)]),
    "two events of one name": ([SameName, drawn_facts.Hears], [A()]),
}
