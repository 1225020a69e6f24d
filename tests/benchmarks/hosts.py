"""Actors in child processes against a multiprocessing.Pipe to a child that does the same."""

import multiprocessing
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from time import perf_counter
from typing import Any

from .harness import OURS, PIPE, WAIT, Experiment, Figures, Goal, Row, check
from .tasks import COUNT, TAKE, serve_pipe

Channel = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""How to send a message, and how to send one and wait for its answer."""

Channels = Callable[[], AbstractContextManager[Channel]]


def experiments(*, quick: bool) -> list[Experiment]:
    """Give hosttell and hostask."""
    part = 5 if quick else 1
    return [
        Experiment(
            "hosttell",
            {OURS: partial(tells, our_host, 100_000 // part), PIPE: partial(tells, pipe, 50_000 // part)},
            [
                Row(
                    "rate",
                    "tells of 100 bytes to an actor in a child, all handled",
                    "/s",
                    [Goal(">=", 3, PIPE)],
                )
            ],
        ),
        Experiment(
            "hostask",
            {OURS: partial(asks, our_host, 3000 // part), PIPE: partial(asks, pipe, 3000 // part)},
            [
                Row("us", "ask of an actor in a child, from outside, median", "us", [Goal("<=", 1.6, PIPE)]),
                Row("mean", "same, mean", "us"),
            ],
        ),
    ]


@contextmanager
def our_host() -> Iterator[Channel]:
    """Run an actor in a process of its own."""
    import actorflow as af

    from .actors import Collector

    with af.ActorSystem("bench") as system:
        ref = system.spawn(af.child(Collector).options(host=af.Process()))
        yield ref.tell, ref.ask  # without a timeout, as the Pipe


@contextmanager
def pipe() -> Iterator[Channel]:
    """Run a child at the other end of a multiprocessing.Pipe."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=serve_pipe, args=(theirs,), daemon=True)
    child.start()
    theirs.close()

    def ask(message: Any) -> Any:
        ours.send(message)
        return ours.recv()

    try:
        yield ours.send, ask
        ours.send(None)
        child.join(WAIT)
    finally:
        child.kill()
        child.join()
        ours.close()


def tells(channels: Channels, n: int) -> Figures:
    """Send n messages of 100 bytes, all different, and wait until the child has handled them all."""
    messages = [b"%0100d" % i for i in range(n)]
    with channels() as (tell, ask):
        _warm(tell, ask)
        begin = perf_counter()
        for message in messages:
            tell(message)
        handled = ask(COUNT)
        seconds = perf_counter() - begin
        check(handled == n, f"{n - handled} messages were not handled")
        check(ask(TAKE) == b"".join(messages), "wrong messages, or a wrong order")
    return {"rate": n / seconds}


def asks(channels: Channels, n: int) -> Figures:
    """Time asks of this thread, one after the other; message and answer are 100 characters."""
    times = []
    with channels() as (tell, ask):
        _warm(tell, ask)
        for i in range(n):
            message = f"{i:0100}"
            begin = perf_counter()
            answer = ask(message)
            times.append(perf_counter() - begin)
            check(answer == message, "wrong answer")
    return {"us": statistics.median(times) * 1e6, "mean": statistics.fmean(times) * 1e6}


def _warm(tell: Callable[[Any], Any], ask: Callable[[Any], Any]) -> None:
    """Have the child up, and each way used."""
    for i in range(100):
        tell(b"%d" % i)
        check(ask(i) == i, "wrong answer")
    check(ask(COUNT) == 100, "messages were not handled")
    check(len(ask(TAKE)) == 190, "wrong messages")
