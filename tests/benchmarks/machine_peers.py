"""The same two machines in four libraries' words: flat, and three levels deep. Each counts its calls in a Tally.

A lap of the flat one is 4 transitions. A lap of the deep one is 6 of them, inner, cross and outer, with 20 hooks.
Each transition has one guard on the event's amount, one action, one entry in a history of 32, and one listener.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

FLAT = (("new", "pay", "paid"), ("paid", "ship", "shipped"), ("shipped", "deliver", "done"), ("done", "reset", "new"))
DEEP = (
    ("a", "step", "b"),
    ("b", "cross", "c"),
    ("c", "step", "d"),
    ("d", "cross", "a"),
    ("A", "leave", "B"),  # of the outermost state, taken in its innermost
    ("B", "back", "A"),
)
TREE = {"A": {"A1": {"a": {}, "b": {}}, "A2": {"c": {}, "d": {}}}, "B": {}}
HOOKS = 20
KEPT = 32


class Tally:
    """The model of all: what is called on it, it counts."""

    __slots__ = ("acted", "allowed", "heard", "hooked")

    def __init__(self) -> None:
        self.allowed = self.acted = self.hooked = self.heard = 0

    def allow(self, amount: int) -> bool:
        self.allowed += 1
        return amount > 0

    def act(self, amount: int) -> None:
        self.acted += 1

    def hook(self) -> None:
        self.hooked += 1

    def hear(self, record: object) -> None:
        self.heard += 1

    def counts(self) -> tuple[int, int, int, int]:
        return self.allowed, self.acted, self.heard, self.hooked


class Machine(NamedTuple):
    """One machine, ready: a function that runs a lap, and one that says how many entries its history has."""

    lap: Callable[[], object]
    kept: Callable[[], int]


def paths(tree: dict[str, Any] = TREE, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Go through all states, each as its way down."""
    for name, inner in tree.items():
        yield (*above, name)
        yield from paths(inner, (*above, name))


# --- by hand ----------------------------------------------------------------------------------------------------------


class DictMachine:
    """What one writes by hand: a dict of (state, event), flattened before, with the hooks to call in a row."""

    __slots__ = ("history", "listeners", "model", "state", "table")

    def __init__(self, table: dict[Any, Any], state: str, model: Tally, kept: int = KEPT) -> None:
        self.table = table
        self.state = state
        self.model = model
        self.history = deque(maxlen=kept) if kept else None
        self.listeners: tuple[Callable[[object], None], ...] = ()

    def send(self, event: str, amount: int) -> None:
        source = self.state
        found = self.table.get((source, event))
        if found is None:
            raise LookupError(event, source)
        target, guard, action, hooks = found
        model = self.model
        if not guard(model, amount):
            raise LookupError(event, source)
        action(model, amount)
        self.state = target
        record = (source, target, event, amount)
        if self.history is not None:
            self.history.append(record)
        for listener in self.listeners:
            listener(record)
        for hook in hooks:
            hook(model)


FLAT_TABLE = {(source, event): (target, Tally.allow, Tally.act, ()) for source, event, target in FLAT}


def deep_table() -> dict[Any, Any]:
    """Flatten the deep machine: between two leaves, one hook for each state that they do not share."""
    way = {path[-1]: path for path in paths()}
    leaves = {"A": "a"}
    table = {}
    for source, event, target in DEEP:
        inside = leaves.get(target, target)
        for leaf in [name for name in "abcdB" if source in way[name]]:
            hooks = len(set(way[leaf]) ^ set(way[inside]))
            table[leaf, event] = (inside, Tally.allow, Tally.act, (Tally.hook,) * hooks)
    return table


DEEP_TABLE = deep_table()


def by_hand(tally: Tally, *, deep: bool) -> Machine:
    machine = DictMachine(DEEP_TABLE, "a", tally) if deep else DictMachine(FLAT_TABLE, "new", tally)
    machine.listeners = (tally.hear,)
    return Machine(lap_of(machine.send, deep=deep), lambda: len(machine.history or ()))


def lap_of(send: Callable[[str, int], object], *, deep: bool) -> Callable[[], object]:
    def lap() -> None:
        send("pay", 5)
        send("ship", 5)
        send("deliver", 5)
        send("reset", 5)

    def deep_lap() -> None:
        send("step", 5)
        send("cross", 5)
        send("step", 5)
        send("cross", 5)
        send("leave", 5)
        send("back", 5)

    return deep_lap if deep else lap


# --- ours -------------------------------------------------------------------------------------------------------------


def our_chart(*, deep: bool) -> Any:
    from actorflow.machine import ChartBuilder

    builder = ChartBuilder("bench")
    if deep:
        for path in paths():
            parent = path[-2] if len(path) > 1 else None
            first = path[-1] in {"A", "A1", "a", "c"}
            builder.add_state(path[-1], parent=parent, initial=first, enter="hook", exit="hook")
    else:
        for source, _, _ in FLAT:
            builder.add_state(source, initial=source == "new")
    for source, event, target in DEEP if deep else FLAT:
        builder.add_transition(source, event, target, when="allow", action="act")
    return builder.build()


def ours(tally: Tally, *, deep: bool) -> Machine:
    import actorflow as af

    machine = af.Interpreter(our_chart(deep=deep), tally, history=KEPT)
    machine.listen(tally.hear)
    return Machine(lap_of(machine.send, deep=deep), lambda: len(machine.history))


# --- transitions ------------------------------------------------------------------------------------------------------


class TransitionsModel:
    """A model of `transitions`: it is called by EventData, as only that has source and target."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.kept: deque[tuple[Any, ...]] = deque(maxlen=KEPT)

    def allow(self, event: Any) -> bool:
        return self.tally.allow(event.args[0])

    def act(self, event: Any) -> None:
        self.tally.act(event.args[0])

    def hook(self, event: Any) -> None:
        self.tally.hook()

    def note(self, event: Any) -> None:
        transition = event.transition
        record = (transition.source, transition.dest, event.event.name, event.args)
        self.kept.append(record)
        self.tally.hear(record)


def with_transitions(tally: Tally, *, deep: bool) -> Machine:
    from transitions import Machine as Flat
    from transitions.extensions import HierarchicalMachine

    model: Any = TransitionsModel(tally)
    kind, states = (HierarchicalMachine, nested(TREE)) if deep else (Flat, [source for source, _, _ in FLAT])
    way = {path[-1]: "_".join(path) for path in paths()} if deep else {}
    machine = kind(
        model, states, initial="A_A1_a" if deep else "new", auto_transitions=False, send_event=True,
        after_state_change="note",
    )  # fmt: skip
    for source, event, target in DEEP if deep else FLAT:
        source, target = way.get(source, source), way.get(target, target)
        machine.add_transition(event, source, target, conditions="allow", before="act")
    if not deep:
        pay, ship, deliver, reset = model.pay, model.ship, model.deliver, model.reset

        def lap() -> None:
            pay(5)
            ship(5)
            deliver(5)
            reset(5)

        return Machine(lap, lambda: len(model.kept))
    step, cross, leave, back = model.step, model.cross, model.leave, model.back

    def deep_lap() -> None:
        step(5)
        cross(5)
        step(5)
        cross(5)
        leave(5)
        back(5)

    return Machine(deep_lap, lambda: len(model.kept))


def nested(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the states in the words of HierarchicalMachine."""
    return [
        {"name": name, "on_enter": "hook", "on_exit": "hook"}
        | ({"children": nested(inner), "initial": next(iter(inner))} if inner else {})
        for name, inner in tree.items()
    ]


# --- xstate-statemachine ----------------------------------------------------------------------------------------------


def with_xstate(tally: Tally, *, deep: bool) -> Machine:
    from xstate_statemachine import MachineLogic, SyncInterpreter, create_machine

    kept: deque[tuple[Any, ...]] = deque(maxlen=KEPT)
    before: Any = None

    def note(interpreter: Any) -> None:  # on_transition of a plugin knows the event, and costs 40 % of all the time
        nonlocal before
        record = (before, before := interpreter.current_state_ids)
        kept.append(record)
        tally.hear(record)

    logic = MachineLogic(
        actions={
            "act": lambda interpreter, context, event, action: tally.act(event.payload["amount"]),
            "hook": lambda interpreter, context, event, action: tally.hook(),
        },
        guards={"allow": lambda context, event: tally.allow(event.payload["amount"])},
    )
    config = (
        {"id": "bench", "initial": "A", "states": xstates(TREE)}
        if deep
        else {"id": "bench", "initial": "new", "states": {name: {"on": rules(name)} for name, _, _ in FLAT}}
    )
    machine = SyncInterpreter(create_machine(config, logic=logic)).start()
    machine.subscribe(note)
    send = machine.send
    return Machine(lap_of(lambda event, amount: send(event, amount=amount), deep=deep), lambda: len(kept))


def rules(name: str, *, deep: bool = False) -> dict[str, Any]:
    way = {path[-1]: f"#bench.{'.'.join(path)}" for path in paths()} if deep else {}
    return {
        event: {"target": way.get(target, target), "guard": "allow", "actions": ["act"]}
        for source, event, target in (DEEP if deep else FLAT)
        if source == name
    }


def xstates(tree: dict[str, Any]) -> dict[str, Any]:
    """Give the states in the words of XState."""
    return {
        name: {"entry": ["hook"], "exit": ["hook"], "on": rules(name, deep=True)}
        | ({"states": xstates(inner), "initial": next(iter(inner))} if inner else {})
        for name, inner in tree.items()
    }
