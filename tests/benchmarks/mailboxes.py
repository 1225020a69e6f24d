"""Long mailboxes: what they cost their neighbours (fairness) and whether a message in one costs more (backlog)."""

from functools import partial
from time import perf_counter
from typing import Any

from .asking import Echo
from .harness import OURS, WAIT, Experiment, Figures, Goal, Row, check
from .runtimes import our_actors

FAR = 100_000
NEAR = 1000
NEAR_NAME = f"{NEAR:,} queued"
TRIES = 20


def experiments(*, quick: bool) -> list[Experiment]:
    """Give fairness (worst of 20) and backlog (100,000 against 1,000)."""
    tries = 7 if quick else TRIES
    return [
        Experiment(
            "fairness",
            {OURS: partial(fairness, tries)},
            [
                Row("told", f"ask beside {FAR:,} just told to another, worst of {tries}", "ms", [Goal("<=", 20)]),
                Row("sorted", f"ask beside {FAR:,} released at once, worst of {tries}", "ms", [Goal("<=", 20)]),
                Row("median", "same, median", "ms"),
            ],
        ),
        Experiment(
            "backlog",
            {OURS: partial(backlog, FAR, 1), NEAR_NAME: partial(backlog, NEAR, 50)},
            [
                Row("handle", f"a message of {FAR:,} on a suspended actor: handle", "us", [Goal("<=", 1.5, NEAR_NAME)]),
                # No goal: so many tells fight the sorting thread for the interpreter lock, 1,000 do not.
                Row("all", "same: tell, queue and handle", "us"),
            ],
        ),
    ]


class Gated:
    """Counts no-op messages; a future as message suspends it until that is set, "last" tells count and time.

    The handler is a plain function that may return a coroutine, so that a no-op costs what a no-op costs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def on_receive(self, message: Any) -> Any:
        if message is None:
            self.seen += 1
            return None
        if message == "last":
            seen, self.seen = self.seen, 0
            return seen, perf_counter()
        return self.wait(message)

    async def wait(self, gate: Any) -> None:
        await gate


def fairness(tries: int) -> Figures:
    """Time an ask to an idle actor while another has 100,000 no-op messages, `tries` times; give the worst.

    Told: this thread has just told them, so most still wait to be sorted. Released: they lie in the mailbox of a
    suspended actor, which goes on at the moment of the ask.
    """
    told, released = [], []
    with our_actors() as spawn:
        echo, busy = spawn(Echo), spawn(Gated)
        for i in range(tries):
            for _ in range(FAR):
                busy.tell(None)
            told.append(_timed_ask(echo, i))
            _check_last(busy.ask("last", block=False), FAR)
        for i in range(tries):
            gate = _suspend(busy)
            for _ in range(FAR):
                busy.tell(None)
            echo.ask(i, timeout=WAIT)
            gate.set(None)
            released.append(_timed_ask(echo, i))
            _check_last(busy.ask("last", block=False), FAR)
    return {"told": max(told), "sorted": max(released), "median": sorted(told + released)[tries]}


def backlog(n: int, times: int) -> Figures:
    """Time n messages queued to a suspended actor: from the first tell, and from its release, to the last one handled.

    An ask to another actor before the release makes sure that all have been sorted into its mailbox.
    """
    handle = whole = 0.0
    with our_actors() as spawn:
        echo, gated = spawn(Echo), spawn(Gated)
        for i in range(times):
            gate = _suspend(gated)
            begin = perf_counter()
            for _ in range(n):
                gated.tell(None)
            last = gated.ask("last", block=False)
            check(echo.ask(i, timeout=WAIT) == i, "wrong answer")
            queued = perf_counter() - begin
            begin = perf_counter()
            gate.set(None)
            end = _check_last(last, n)
            handle += end - begin
            whole += queued + end - begin
    return {"handle": handle / (n * times) * 1e6, "all": whole / (n * times) * 1e6}


def _suspend(gated: Any) -> Any:
    import actorflow as af

    gate: Any = af.Future()
    gated.tell(gate)
    return gate


def _timed_ask(ref: Any, message: int) -> float:
    begin = perf_counter()
    answer = ref.ask(message, timeout=WAIT)
    seconds = perf_counter() - begin
    check(answer == message, "wrong answer")
    return seconds * 1e3


def _check_last(future: Any, n: int) -> float:
    seen, end = future.get(timeout=WAIT)
    check(seen == n, f"handled {seen} of {n} messages")
    return float(end)
