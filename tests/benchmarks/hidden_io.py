"""Handlers that block where no scheduler can see it: 50 actors that make 20 calls of time.sleep each."""

import time
from functools import partial
from time import perf_counter
from typing import Any

from .harness import OURS, PYKKA, WAIT, Experiment, Figures, Goal, Row, check
from .runtimes import Actors, our_actors, pykka_actors

ACTORS = 50
CALLS = 20


def experiments(*, quick: bool) -> list[Experiment]:
    """Give io5 and io50: calls of 5 ms and of 50 ms, each in two forms."""
    return [_experiment(5, CALLS), _experiment(50, 5 if quick else CALLS)]


def _experiment(ms: int, calls: int) -> Experiment:
    goals = [Goal("<=", 1.5, PYKKA)]
    title = f"hidden I/O, {ACTORS} actors x {calls} calls of {ms} ms"
    return Experiment(
        f"io{ms}",
        {
            OURS: partial(hidden_io, our_actors, ms / 1e3, calls),
            PYKKA: partial(hidden_io, pykka_actors, ms / 1e3, calls),
        },
        [Row("queued", f"{title}, all queued", "ms", goals), Row("rounds", f"{title}, in rounds", "ms", goals)],
    )


def hidden_io(actors: Actors, delay: float, calls: int) -> Figures:
    """Time all calls queued at once, and in rounds (each actor has one call at a time). Ideal: calls * delay."""
    return {
        "queued": _timed(actors, delay, rounds=1, calls=calls),
        "rounds": _timed(actors, delay, rounds=calls, calls=1),
    }


def _timed(actors: Actors, delay: float, rounds: int, calls: int) -> float:
    class Blocker:  # a new class each time: what a system learns about it is part of the price
        def on_receive(self, message: Any) -> Any:
            time.sleep(delay)
            return message

    with actors() as spawn:
        refs = [spawn(Blocker) for _ in range(ACTORS)]
        begin = perf_counter()
        for _ in range(rounds):
            futures = [ref.ask(i, block=False) for i in range(calls) for ref in refs]
            answers = [future.get(timeout=WAIT) for future in futures]
            check(answers == [i for i in range(calls) for _ in refs], "wrong answers")
        return (perf_counter() - begin) * 1e3
