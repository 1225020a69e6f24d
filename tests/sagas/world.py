"""The world outside of sagas, for tests: what its steps have done there, by their keys, and what was undone."""

from __future__ import annotations

from collections import Counter

import actorflow as af


class Boom(Exception):
    """An error whose class no task declares."""


class Outside:
    """Effects by key, which outlive any system.

    Attributes:
        done: names by the keys of their steps.
        undone: how often each key was undone.
        order: of what was done and undone.
        fates: what becomes of a step, by its name: a list of words, one for each try; the last one stays.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self, **fates: list[str]) -> None:
        self.done: dict[str, str] = {}
        self.undone: Counter[str] = Counter()
        self.order: list[str] = []
        self.fates = {name: list(words) for name, words in fates.items()}
        self.tries: Counter[str] = Counter()

    def fate(self, name: str) -> str:
        words = self.fates.get(name, ["ok"])
        return words.pop(0) if len(words) > 1 else words[0]

    def act(self, name: str) -> str:
        """Do something, once for each key; raise before it, or after it."""
        key = af.current().key
        self.tries[name] += 1
        fate = self.fate(name)
        if fate == "raises":
            raise Boom(name)
        if key not in self.done:
            self.done[key] = name
            self.order.append(name)
        if fate == "maybe":
            raise af.MaybeDone(name)
        if fate == "late":
            raise af.TaskTimeout(name)
        return key

    def undo(self, name: str, key: str) -> None:
        """Undo what was done under a key, if it was; it may be called again."""
        if self.fate(f"undo {name}") == "raises":
            raise Boom(f"undo {name}")
        if self.done.pop(key, None) is not None:
            self.order.append(f"-{name}")
        self.undone[key] += 1


OUTSIDE = Outside()


@af.task
def seat(name: str) -> str:
    return OUTSIDE.act("seat")


@seat.compensate
def free_seat(key: str) -> None:
    OUTSIDE.undo("seat", key)


@af.task
def flight(name: str, seat: str) -> str:
    return OUTSIDE.act("flight")


@flight.compensate(retry=af.Retry(4, af.Backoff(0.01)))
def cancel_flight(step: af.Step) -> None:
    OUTSIDE.undo("flight", step.key)


@af.task
def hotel(name: str) -> str:
    return OUTSIDE.act("hotel")


@hotel.compensate(retry=af.Retry(3, af.Backoff(0.01)))
async def cancel_hotel(key: str, name: str, step: af.Step) -> None:
    assert name == step.arguments["name"]
    assert step.maybe or key == step.key
    OUTSIDE.undo("hotel", step.key)


@af.task
def card(price: int) -> str:
    return OUTSIDE.act("card")


@card.compensate
def refund(step: af.Step) -> None:
    OUTSIDE.undo("card", step.key)


@af.task
def mail(name: str) -> str:
    return OUTSIDE.act("mail")
