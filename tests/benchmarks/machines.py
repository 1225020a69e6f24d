"""State machines without actors: transitions a second, and what an instance costs. See `machine_peers` for the work."""

import gc
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import psutil

from . import probe
from .harness import DICT, OURS, TRANSITIONS, XSTATE, Experiment, Figures, Goal, Row, check
from .machine_peers import (
    FLAT,
    FLAT_TABLE,
    HOOKS,
    KEPT,
    DictMachine,
    Machine,
    Tally,
    by_hand,
    our_chart,
    ours,
    with_transitions,
    with_xstate,
)

LAPS = 50_000
PEER_LAPS = {TRANSITIONS: 10, XSTATE: 20}  # so many times fewer, being slower
BUILT = 50_000


def experiments(*, quick: bool) -> list[Experiment]:
    """Give flat, nested, build (rate) and instance (memory)."""
    laps = LAPS // 5 if quick else LAPS
    build = {OURS: build_ours, DICT: build_by_hand}
    return [
        Experiment(
            "machine",
            _contestants(laps, deep=False),
            [
                Row("us", "flat machine: a transition", "us", [Goal("<=", 8, DICT)]),
                Row("rate", "same", "/s", [Goal(">=", 4, TRANSITIONS)]),
            ],
        ),
        Experiment(
            "statechart",
            _contestants(laps // 2, deep=True),
            [
                Row(
                    "rate",
                    "three levels, 20 hooks in 6 transitions",
                    "/s",
                    [Goal(">=", 4, XSTATE), Goal(">=", 12, TRANSITIONS)],
                ),
                Row("us", "same: a transition", "us"),
            ],
        ),
        Experiment(
            "build",
            {name: partial(_build, make, BUILT) for name, make in build.items()}
            | {TRANSITIONS: partial(_build, build_with_transitions, BUILT // 50)}
            | {XSTATE: partial(_build, build_with_xstate, BUILT // 50)},
            [Row("build", "machines built, history off", "/s", [Goal(">=", 0.19, DICT)])],
        ),
        Experiment(
            "instance",
            {
                OURS: partial(probe.sample, memory_of_ours, BUILT),
                DICT: partial(probe.sample, memory_by_hand, BUILT),
                TRANSITIONS: partial(probe.sample, memory_with_transitions, BUILT // 50),
                XSTATE: partial(probe.sample, memory_with_xstate, BUILT // 50),
            },
            [
                Row("bytes", "a machine, history off", "B", [Goal("<=", 400)]),
                Row("used", "same, after 4 transitions", "B", [Goal("<=", 400)]),
            ],
        ),
    ]


def _contestants(laps: int, *, deep: bool) -> dict[str, Callable[[], Figures]]:
    made = {OURS: ours, DICT: by_hand, TRANSITIONS: with_transitions, XSTATE: with_xstate}
    return {
        name: partial(_run, partial(make, deep=deep), laps // PEER_LAPS.get(name, 1), deep=deep)
        for name, make in made.items()
    }


def _run(make: Callable[[Tally], Machine], laps: int, *, deep: bool) -> Figures:
    """Run laps, and count what was called."""
    tally = Tally()
    machine = make(tally)
    machine.lap()
    tally.__init__()  # type: ignore[misc]  # what the start and the first lap have counted
    begin = perf_counter()
    for _ in range(laps):
        machine.lap()
    seconds = perf_counter() - begin
    transitions = laps * (6 if deep else 4)
    expected = (transitions, transitions, transitions, laps * HOOKS if deep else 0)
    check(tally.counts() == expected, f"called {tally.counts()}, not {expected}")
    check(machine.kept() == KEPT, f"{machine.kept()} entries in the history")
    return {"rate": transitions / seconds, "us": seconds / transitions * 1e6}


# --- building ---------------------------------------------------------------------------------------------------------
# All machines share one model: it is the machine that is measured. Each is made by what is as short as its API allows.


def build_ours() -> Callable[[], Any]:
    """Interpreters of one chart."""
    import actorflow as af

    chart, tally, interpreter = our_chart(deep=False), Tally(), af.Interpreter
    return lambda: interpreter(chart, tally, history=0)


def build_by_hand() -> Callable[[], Any]:
    """Dict machines on one table."""
    tally = Tally()
    return lambda: DictMachine(FLAT_TABLE, "new", tally, 0)


def build_with_transitions() -> Callable[[], Any]:
    """A Machine each: models of one Machine are told apart by a search through a list."""
    from transitions import Machine as Flat

    states = [source for source, _, _ in FLAT]
    rules = [[event, source, target, "allow", None, "act"] for source, event, target in FLAT]

    class Model:
        def allow(self, amount: int) -> bool:
            return amount > 0

        def act(self, amount: int) -> None: ...

    def build() -> Any:
        model = Model()
        Flat(model, states, transitions=rules, initial="new", auto_transitions=False)  # the model keeps it alive
        return model

    return build


def build_with_xstate() -> Callable[[], Any]:
    """Interpreters of one machine node."""
    from xstate_statemachine import MachineLogic, SyncInterpreter, create_machine

    from .machine_peers import rules

    logic = MachineLogic(
        actions={"act": lambda interpreter, context, event, action: None},
        guards={"allow": lambda context, event: event.payload["amount"] > 0},
    )
    states = {name: {"on": rules(name)} for name, _, _ in FLAT}
    node = create_machine({"id": "bench", "initial": "new", "states": states}, logic=logic)
    return lambda: SyncInterpreter(node).start()


def _build(make: Callable[[], Callable[[], Any]], n: int) -> Figures:
    build = make()
    build()
    machines: list[Any] = [None] * n
    begin = perf_counter()
    for i in range(n):
        machines[i] = build()
    return {"build": n / (perf_counter() - begin)}


def memory_of_ours(n: int) -> Figures:
    """Build n of our interpreters; take each through 4 events."""
    return _memory(build_ours(), n, lambda machine: machine.send)


def memory_by_hand(n: int) -> Figures:
    """Build n dict machines; take each through 4 events."""
    return _memory(build_by_hand(), n, lambda machine: machine.send)


def memory_with_transitions(n: int) -> Figures:
    """Build n machines of `transitions`; take each through 4 events."""
    return _memory(build_with_transitions(), n, lambda model: model.trigger)


def memory_with_xstate(n: int) -> Figures:
    """Build n machines of xstate-statemachine; take each through 4 events."""
    return _memory(build_with_xstate(), n, lambda machine: lambda event, amount: machine.send(event, amount=amount))


def _memory(build: Callable[[], Any], n: int, send_of: Callable[[Any], Callable[[str, int], object]]) -> Figures:
    machines: list[Any] = [None] * n
    _go_round(build(), send_of)
    before = _resident()
    for i in range(n):
        machines[i] = build()
    built = _resident() - before
    for machine in machines:
        _go_round(machine, send_of)
    return {"bytes": built / n, "used": (_resident() - before) / n}


def _go_round(machine: Any, send_of: Callable[[Any], Callable[[str, int], object]]) -> None:
    send = send_of(machine)
    for _, event, _ in FLAT:
        send(event, 5)


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)
