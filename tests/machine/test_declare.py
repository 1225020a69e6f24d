"""The class form: what stands in a class becomes its chart, and each mistake is said where the class is made."""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import subprocess
import sys
import textwrap

import cloudpickle
import pytest

import actorflow as af
from actorflow.machine.declare import History, State, chart_of, check_class
from actorflow.machine.definition.chart import Hook, Invoke, Transition


class Order(af.Actor):
    new, paid, shipped, dead = State(initial=True), State(), State(final=True), State(final=True)

    @new.to(paid, when=lambda self, amount: self.received + amount >= self.total)  # a comment
    @new.stay
    def pay(self, amount: int) -> int: ...

    @paid.to(shipped)
    def ship(self, parcel: str) -> None: ...

    @(new | paid).to(dead)
    def cancel(self, why: str) -> None: ...

    @new.after(1800, dead)
    def expire(self) -> None: ...

    @paid.enter
    def receipt(self) -> None: ...


class Courier(af.Actor): ...


class Door(af.StateMachine):
    shut, open = State(initial=True), State()

    @shut.to(open)
    def push(self) -> None: ...

    @open.to(shut)
    def pull(self) -> None: ...


def transitions(cls, state):
    return chart_of(cls).states[state].transitions


def mistakes(cls, *texts):
    """Both that each text is said and that nothing else is."""
    with pytest.raises(af.DefinitionError) as raised:
        check_class(cls)
    lines = str(raised.value).splitlines()
    lines = lines[1:] if len(lines) > 1 else lines
    assert len(lines) == len(texts), str(raised.value)
    for line, text in zip(lines, texts, strict=True):
        assert text in line, str(raised.value)


# --- what a class becomes ---------------------------------------------------------------------------------------------


def test_the_contracts_order_becomes_its_chart():
    chart = chart_of(Order)
    assert (chart.name, chart.order, chart.version) == ("Order", "action first", 1)
    assert [(node.name, node.kind) for node in chart.states.values()] == [
        ("", "compound"),
        ("new", "atomic"),
        ("paid", "atomic"),
        ("shipped", "final"),
        ("dead", "final"),
    ]
    assert chart.states[""].initial == Transition("", targets=("new",))
    assert chart.states["paid"].enter == (Hook("receipt"),)
    first, second, cancel, expire = chart.states["new"].transitions
    assert (first.events, first.targets, first.actions) == (("pay",), ("paid",), (Hook("pay"),))
    assert (second.events, second.targets, second.guard) == (("pay",), (), None)
    assert (cancel.events, cancel.targets) == (("cancel",), ("dead",))
    assert expire == Transition("new", (), ("dead",), actions=(Hook("expire"),), after=1800)


def test_decorators_keep_the_function_its_name_and_its_signature():
    def pay(self, amount: int = 3) -> int: ...

    a, b = State(), State()
    for decorate in (a.after(3, b), a.enter, a.exit, a.always(b), a.donedata):
        assert decorate(pay) is pay
    for decorate in (a.to(b), a.stay, a.stay(when=lambda self: True), a.defer, a.invoke(Courier)):
        method = decorate(pay)
        assert inspect.unwrap(method) is pay
        assert method.__qualname__ == pay.__qualname__
        assert inspect.signature(method) == inspect.signature(pay)
        assert decorate(method) is method


def test_rules_of_one_event_are_read_top_to_bottom():
    class Machine:
        a = State(initial=True)
        b, c, d = State(final=True), State(final=True), State(final=True)

        @a.to(b, when=lambda self: 1)
        @a.to(c, when=lambda self: 2)
        @a.to(d)
        def go(self): ...

    assert [transition.targets for transition in transitions(Machine, "a")] == [("b",), ("c",), ("d",)]


def test_methods_are_read_in_the_order_of_the_class_body():
    class Machine:
        a, b = State(initial=True), State(final=True)

        @a.to(b, event="error.*")
        def one(self, error): ...

        @a.stay(event="*")
        def two(self, *args, **kwargs): ...

    assert [transition.events for transition in transitions(Machine, "a")] == [("error.*",), ("*",)]


def test_states_stand_in_order_of_creation_with_parents_before_children():
    class Machine:
        on = State(initial=True)
        off = State()
        warm = State(parent=on)
        cold = State(parent=on, initial=True)

        @on.to(off)
        @off.to(on)
        def switch(self): ...

        @cold.to(warm)
        def heat(self): ...

    chart = chart_of(Machine)
    assert list(chart.states) == ["", "on", "warm", "cold", "off"]
    assert chart.states["on"].kind == "compound"
    assert chart.states["on"].initial == Transition("on", targets=("cold",))


def test_the_rest_of_a_statechart():
    class Machine:
        on = State(initial=True)
        idle, busy = State(initial=True, parent=on), State(parent=on)
        par = State(parallel=True)
        left, right = State(parent=par), State(parent=par)
        l1, l2 = State(initial=True, parent=left), State(final=True, parent=left)
        r1, r2 = State(initial=True, parent=right), State(final=True, parent=right)
        back, deep = History(on), History(on, deep=True, default=busy)
        end = State(final=True)

        def note(self, event): ...

        @on.to(busy, internal=True)
        def work(self): ...

        @on.to(l2 | r1)
        def split(self): ...

        @(l1 | r1).to(end, event="error.*")
        @l1.to(l2)
        @r1.to(r2)
        def tick(self): ...

        @par.to(back, event="done.state.par")
        def joined(self): ...

        @busy.always(idle, when=lambda self: self.lazy)
        def rest(self): ...

        @idle.defer
        @busy.to(deep)
        def poke(self): ...

        @busy.exit
        def log(self): ...

        @busy.invoke(Courier, id="runner", autoforward=True, finalize=note)
        def brought(self, result): ...

        @end.donedata
        def report(self): ...

    chart = chart_of(Machine)
    states = chart.states
    assert states["on"].transitions[0] == Transition("on", ("work",), ("busy",), None, (Hook("work"),), internal=True)
    assert states["on"].transitions[1].targets == ("l2", "r1")
    assert [t.events for t in states["l1"].transitions] == [("error.*",), ("tick",)]
    assert states["par"].kind == "parallel"
    assert states["par"].initial is None
    assert states["par"].transitions[0].targets == ("back",)
    assert (states["back"].kind, states["back"].initial.targets) == ("shallow", ("idle",))
    assert (states["deep"].kind, states["deep"].initial.targets) == ("deep", ("busy",))
    always, poke, end = states["busy"].transitions
    assert (always.events, always.after, always.guard.name) == ((), None, "lambda self: self.lazy")
    assert poke.events == ("poke",)
    assert end == Transition("busy", ("done.invoke.runner",), actions=(Hook("brought"),))
    assert states["busy"].invoke == (Invoke("runner", Courier, True, Hook("note")),)
    assert states["busy"].exit == (Hook("log"),)
    assert states["idle"].defer == ("poke",)
    assert states["end"].donedata == Hook("report")


def test_a_history_of_regions_enters_them_all_while_there_is_no_past():
    class Machine:
        par = State(parallel=True)
        left, right = State(parent=par), State(parent=par)
        back = History(par, deep=True)
        off = State(initial=True)

        @par.to(off)
        @off.to(back)
        def switch(self): ...

    assert chart_of(Machine).states["back"].initial.targets == ("left", "right")


def test_an_invokes_method_is_the_event_of_the_childs_end():
    class Machine:
        on, off = State(initial=True), State(final=True)

        @on.invoke(Courier)
        @on.to(off, when=lambda self, parcel: parcel)
        def brought(self, parcel): ...

    node = chart_of(Machine).states["on"]
    assert node.invoke == (Invoke("brought", Courier),)
    assert [(t.events, t.targets) for t in node.transitions] == [(("done.invoke.brought",), ("off",))]


# --- names of hooks ---------------------------------------------------------------------------------------------------


def test_a_guard_that_is_a_method_is_meant_by_name_so_that_subclasses_override_it():
    class Guarded:
        new, paid = State(initial=True), State(final=True)

        def enough(self, amount): ...

        @new.to(paid, when=enough)
        @new.stay
        def pay(self, amount): ...

    class Generous(Guarded):
        def enough(self, amount): ...

    assert transitions(Generous, "new")[0].guard == Hook("enough")


def outside(self, amount):
    return amount > 0


def test_a_guard_from_elsewhere_and_a_lambda_are_functions_with_a_name_to_read():
    class Guarded:
        a, b = State(initial=True), State(final=True)

        @a.to(b, when=outside)
        @a.to(b, when=lambda self, n: n in (1, 2), internal=False)
        @a.to(b, when=lambda self, n: {"x": [n]}["x"])
        @a.to(
            b,
            when=lambda self, n: self.x == n,
        )
        @a.to(b, when=lambda self, n: (self.y
                                       or n))  # fmt: skip
        @a.to(b, when=[lambda self, n: n, lambda self, n: n][1])  # fmt: skip
        def go(self, n): ...

    guards = [transition.guard for transition in transitions(Guarded, "a")]
    assert guards[0] == Hook("outside", outside)
    assert [guard.name for guard in guards[1:]] == [
        "lambda self, n: n in (1, 2)",
        'lambda self, n: {"x": [n]}["x"]',
        "lambda self, n: self.x == n",
        "<lambda>",
        "<lambda>",
    ]


def test_a_lambda_without_source_is_called_lambda():
    spaces = {"State": State}
    exec("a, b = State(), State()\nf = a.to(b, when=lambda self: 1)", spaces)
    assert spaces["f"].guard.name == "<lambda>"


# --- subclasses -------------------------------------------------------------------------------------------------------


def test_an_override_without_decorators_keeps_the_parents_rules():
    class Logged(Order):
        def pay(self, amount: int) -> int: ...

    assert [t.events for t in transitions(Logged, "new")] == [t.events for t in transitions(Order, "new")]


def test_an_override_with_decorators_has_its_own_rules_and_need_not_lead_where_the_parents_did():
    before = chart_of(Order)

    class Express(Order):
        flown = State(final=True)

        @Order.paid.to(flown)
        def ship(self, parcel: str) -> None: ...

    assert [t.targets for t in transitions(Express, "paid")] == [("flown",), ("dead",)]
    assert list(chart_of(Order).states) == ["", "new", "paid", "shipped", "dead"]
    assert chart_of(Order) == before


def test_a_subclass_adds_states_behind_those_of_its_parent():
    class Held(Order):
        held = State()
        counted, weighed = State(parent=held, initial=True), State(parent=held)

        @Order.paid.to(held)
        @held.to(Order.paid)
        def hold(self): ...

        @counted.to(weighed)
        def weigh(self): ...

    assert list(chart_of(Held).states) == ["", "new", "paid", "shipped", "dead", "held", "counted", "weighed"]
    assert [t.events[0] for t in transitions(Held, "paid")] == ["ship", "cancel", "hold"]


def test_a_subclass_may_say_anew_what_a_state_is():
    class Reopening(Order):
        dead = State()

        @dead.to(Order.new)
        def reopen(self): ...

    assert chart_of(Reopening).states["dead"].kind == "atomic"
    assert list(chart_of(Reopening).states) == list(chart_of(Order).states)


def test_none_takes_an_event_away():
    class Final(Order):
        cancel = None

    assert [t.events for t in transitions(Final, "paid")] == [("ship",)]


def test_of_two_bases_the_nearest_rules_hold():
    class Base:
        a, b = State(initial=True), State(final=True)

        @a.to(b)
        def go(self): ...

    class Left(Base):
        def go(self): ...

    class Right(Base):
        @Base.a.to(Base.b)
        @Base.a.stay
        def go(self): ...

    class Both(Left, Right): ...

    with pytest.raises(af.DefinitionError, match="Both.a: event 'go' is never taken"):
        check_class(Both)


def test_a_class_without_states_is_abstract():
    class Base(af.Actor):
        def pay(self): ...

    check_class(Base)
    with pytest.raises(af.DefinitionError, match=r"Base: it has no states: assign af.State\(initial=True\)"):
        chart_of(Base)


# --- pickling ---------------------------------------------------------------------------------------------------------

SCRIPT = """
    import sys
    from actorflow.machine.declare import State, chart_of, check_class
    from tests.machine.test_declare import Order

    class Skeletons:
        def __init_subclass__(cls):  # what cloudpickle builds first has no body
            check_class(cls)

    class Base(Skeletons):
        a, b = State(initial=True), State()
        c, d = State(parent=b, initial=True), State(parent=b)
        def enough(self, n): return True
        @a.to(b, when=enough)
        @a.to(d, when=lambda self, n: n > 3)
        def go(self, n): ...
        @b.to(a)
        def back(self): ...
        @c.to(d)
        def on(self): ...
        @c.stay(event="*")
        def all_others(self, *args, **kwargs): ...  # cloudpickle sorts methods by name, which would put this first
    class Sub(Base):
        e = State(final=True)
        @Base.d.to(e)
        def end(self): ...
    class OfOthers(Order):  # whose base is pickled by name
        held = State()
        @Order.paid.to(held)
        @held.to(Order.paid)
        def hold(self): ...
"""


def run_script(text: str, given: bytes = b"") -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        input=given,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "."},
        timeout=200,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_a_class_of_main_crosses_to_a_process_with_its_chart():
    """Where its states are copies, and so are those that its rules mean."""
    described = """
    import cloudpickle
    def described(cls):
        return [
            (node.name, node.kind, node.initial, t.events, t.targets, t.guard and t.guard.name)
            for node in chart_of(cls).states.values()
            for t in node.transitions
        ]
    """
    send = (
        "sys.stdout.buffer.write(cloudpickle.dumps("
        "(Base, Sub, OfOthers, [described(cls) for cls in (Base, Sub, OfOthers)])))"
    )
    receive = """
    import pickle, sys
    from tests.machine.test_declare import Order
    from actorflow.machine.declare import chart_of
    base, sub, others, expected = pickle.load(sys.stdin.buffer)
    assert [described(cls) for cls in (base, sub, others)] == expected, expected
    print(len(expected[1]))
    """
    pickled = run_script(textwrap.dedent(SCRIPT) + textwrap.dedent(described) + send)
    assert run_script(textwrap.dedent(described) + textwrap.dedent(receive), pickled).strip() == b"6"


def test_a_machine_of_main_has_its_own_chart_in_a_process_not_its_parents():
    """Its base is there by import, so that a chart of it can be made before its own body has come."""
    send = """
    import sys, cloudpickle
    from actorflow import State
    from tests.machine.test_declare import Door
    class Locked(Door):
        locked = State()
        @Door.shut.to(locked)
        @locked.to(Door.shut)
        def turn(self): ...
    sys.stdout.buffer.write(cloudpickle.dumps(Locked))
    """
    receive = """
    import sys, pickle
    print(list(pickle.load(sys.stdin.buffer).chart.states))
    """
    assert run_script(receive, run_script(send)).strip() == b"['', 'shut', 'open', 'locked']"


def test_a_machine_within_a_function_or_a_class_has_its_chart_in_a_process():
    send = """
    import sys, cloudpickle
    import actorflow as af
    class Shop:
        class Door(af.StateMachine):
            shut, wide = af.State(initial=True), af.State()
            @shut.to(wide)
            def open(self): ...
            @wide.to(shut)
            def close(self): ...
            @shut.defer
            @wide.stay
            def enter(self, who): ...
    def make():
        class Locked(Shop.Door):
            locked = af.State()
            @Shop.Door.shut.to(locked)
            @locked.to(Shop.Door.shut)
            def turn(self): ...
        return Locked
    sys.stdout.buffer.write(cloudpickle.dumps([Shop.Door, make()]))
    """
    receive = """
    import sys, pickle
    for cls in pickle.load(sys.stdin.buffer):
        print(*cls.chart.states, *cls.chart.states["shut"].defer)
    """
    assert run_script(receive, run_script(send)).split(b"\n")[:2] == [b" shut wide enter", b" shut wide locked enter"]


def test_a_chart_of_named_hooks_pickles():
    class Plain:
        a, b = State(initial=True), State(final=True)

        @a.to(b)
        def go(self): ...

    chart = chart_of(Plain)
    assert pickle.loads(pickle.dumps(chart)) == chart
    assert cloudpickle.loads(cloudpickle.dumps(chart_of(Order))).states.keys() == chart_of(Order).states.keys()


# --- mistakes in a decorator: where it stands -------------------------------------------------------------------------


def bad(call, *texts):
    with pytest.raises(af.DefinitionError) as raised:
        call()
    for text in texts:
        assert text in str(raised.value)


def test_a_mistake_in_a_decorator_is_an_error_in_its_line():
    a, b = State(), State()
    bad(lambda: a.to("b"), "target 'b'", "give a state")
    bad(lambda: a.to(b, when="enough"), "when='enough': give a function")
    bad(lambda: a.to(b, event=""), "event=''")
    bad(lambda: a.to(b, event=3), "event=3")
    bad(lambda: a.after("3", b), "after('3', ...)", "number of seconds")
    bad(lambda: a.after(True, b), "after(True, ...)")
    bad(lambda: a.after(-1, b), "0 or more")
    bad(lambda: a.after(float("nan"), b), "0 or more")
    bad(lambda: a.after(float("inf"), b), "0 or more")
    bad(lambda: a.invoke("Other"), "invoke('Other')", "actor class")
    bad(lambda: a.invoke(int), "actor class")
    bad(lambda: a.invoke(Courier, id="a b"), "without spaces")
    bad(lambda: a.invoke(Courier, finalize=3), "finalize=3")
    bad(lambda: a.to(b)(staticmethod(len)), "give it a method")
    bad(lambda: a.stay(3), "give it a method")
    bad(lambda: State(final=True, parallel=True), "leave one out")
    bad(lambda: State(parent="on"), "State(parent='on')")
    bad(lambda: State(parent=State(final=True)), "nothing is within a final state")
    bad(lambda: State(parent=History(a)), "State(parent=")
    bad(lambda: History("on"), "History('on')")
    bad(lambda: History(a, default="b"), "default='b'")
    for rule in ("to", "after", "always", "enter", "exit", "stay", "defer", "invoke", "donedata"):
        bad(lambda rule=rule: getattr(History(a), rule)(b), "is a history, which is only a target")
    with pytest.raises(TypeError):
        a | "b"


def test_what_a_machine_cannot_run_is_refused_as_a_guard():
    async def later(self): ...

    def many(self):
        yield True

    class Asynchronous:
        async def __call__(self, model): ...

    a, b = State(), State()
    bad(lambda: a.to(b, when=later), "when=later", "async", "invoke a child", "ctx.pipe()")
    bad(lambda: a.to(b, when=Asynchronous()), "when=Asynchronous", "async")
    bad(lambda: a.to(b, when=many), "when=many", "yield")


# --- mistakes in a class ----------------------------------------------------------------------------------------------


def test_async_methods_with_rules_are_refused_with_the_cure_and_others_are_not():
    class Machine(af.Actor):
        a, b = State(initial=True), State(final=True)

        async def helper(self): ...

        @a.to(b)
        async def go(self): ...

        @a.enter
        async def begin(self): ...

    mistakes(Machine, "Machine.go: it is async", "Machine.begin: it is async")


def test_an_async_override_of_a_guard_is_refused():
    class Guarded:
        a, b = State(initial=True), State(final=True)

        def enough(self, amount): ...

        @a.to(b, when=enough)
        def pay(self, amount): ...

    class Later(Guarded):
        async def enough(self, amount): ...

    mistakes(Later, "Later.pay: 'enough': it is async")


def test_a_guard_takes_what_its_event_takes():
    class Machine:
        a, b = State(initial=True), State(final=True)

        def enough(self, amount, currency): ...

        @a.to(b, when=enough)
        @a.to(b, when=lambda self: True)
        @a.to(b, when=lambda self, n: n)
        @a.to(b, when=lambda self, *_, **__: True)
        @a.to(b, when=lambda self, amount, unused=0: True)
        def pay(self, amount): ...

        @a.to(b, when=lambda self, n: n)
        def default(self, n=1): ...

        @a.to(b, when=lambda self, n: n)
        def keyword(self, n, *, key): ...

        @a.to(b, when=lambda self, n: n)
        def several(self, *n): ...

        @a.to(b, when=lambda self, *n: n)
        def anything(self, *n, **more): ...

        @a.stay(when=lambda self, n, /, m, *rest, key, **more: n)
        def all_kinds(self, n, /, m, *rest, key, other=1, **more): ...

    mistakes(
        Machine,
        "Machine.pay: its guard 'enough' takes (amount, currency), but gets those of 'pay', (amount): missing",
        "Machine.pay: its guard 'lambda self: True' takes (), but gets those of 'pay', (amount): too many",
        "Machine.default: its guard 'lambda self, n: n' takes (n), but gets those of 'default', (n=1): missing",
        "Machine.keyword: its guard 'lambda self, n: n' takes (n), but gets those of 'keyword', (n, *, key)",
        "Machine.several: its guard 'lambda self, n: n' takes (n), but gets those of 'several', (*n)",
        "Machine.anything: its guard 'lambda self, *n: n' takes (*n), but gets those of 'anything', (*n, **more)",
    )


def test_an_overridden_guard_is_compared_anew():
    class Guarded:
        a, b = State(initial=True), State(final=True)

        def enough(self, amount): ...

        @a.to(b, when=enough)
        def pay(self, amount): ...

    class Other(Guarded):
        def pay(self): ...

    mistakes(Other, "Other.pay: its guard 'enough' takes (amount), but gets those of 'pay', ()")


def test_hooks_and_timeouts_take_no_arguments_and_the_end_of_a_child_takes_one():
    class Machine:
        a, b = State(initial=True), State(final=True)

        @a.enter
        def begin(self, event, why): ...

        @a.exit
        def leave(self, why=None, *more): ...

        @a.after(3, b)
        def late(self, n): ...

        @a.always(b, when=lambda self, event: event)
        def on(self): ...

        @b.donedata
        def result(self, n): ...

        @a.invoke(Courier)
        def brought(self): ...

        @a.invoke(Courier, finalize=lambda self: 1)
        def fetched(self, result): ...

    mistakes(
        Machine,
        "Machine.begin: enter calls it with the event or nothing, but it takes (event, why)",
        "Machine.late: after calls it with no arguments, but it takes (n)",
        "Machine.on: its guard 'lambda self, event: event' is called without arguments",
        "Machine.result: donedata calls it with no arguments",
        "Machine.brought: it gets the child's result, one argument, but takes ()",
    )


def test_two_initial_states_are_refused():
    class Machine:
        a, b = State(initial=True), State(initial=True)
        c, d = State(initial=True, parent=b), State(initial=True, parent=b)

        @a.to(b)
        @b.to(a)
        def go(self): ...

        @c.to(d)
        def on(self): ...

    mistakes(
        Machine,
        "Machine.b: it has 2 initial states, c, d; leave initial=True at one of them",
        "Machine: it has 2 initial states, a, b; leave initial=True at one of them",
    )


def test_no_initial_state_is_refused_at_the_top_and_within():
    class Machine:
        a = State()
        b = State(parent=a)

        @b.stay
        def go(self): ...

    mistakes(Machine, "Machine: no initial state; mark one as initial: a", "Machine.a: no initial state")


def test_a_state_that_nothing_leads_to_is_refused_where_it_is_written():
    class Machine:
        a, b, lost = State(initial=True), State(final=True), State(final=True)

        @a.to(b)
        def go(self): ...

    mistakes(Machine, "Machine.lost: nothing leads to it; make it the target of a transition")

    class Sub(Order):
        astray = State(final=True)

    mistakes(Sub, "Sub.astray: nothing leads to it")


def test_a_state_of_another_machine_is_refused():
    class Machine:
        start, end = State(initial=True), State(final=True)

        @start.to(Order.paid)
        @Order.new.to(end)
        @start.to(end)
        def go(self): ...

    mistakes(
        Machine,
        "Machine.go: it means Order.paid, which is no state of Machine",
        "Machine.go: it means Order.new, which is no state of Machine",
    )


def test_a_state_that_is_no_attribute_is_refused():
    def made():
        class Machine:
            a, b = State(initial=True), State(final=True)

            @a.to(b)
            def go(self): ...

            @a.to(State())
            def astray(self): ...

            @b.to(a)
            def b(self): ...

        return Machine

    mistakes(
        made(),
        "Machine.go: it means a state that is no attribute of the class",
        "Machine.astray: it means a state that is no attribute of the class",
        "Machine.b: it means a state that is no attribute of the class",
    )


def test_a_state_with_two_names_is_refused():
    class Machine:
        a = b = State(initial=True)

        @a.stay
        def go(self): ...

    mistakes(Machine, "Machine.b: it is the state Machine.a under a second name")


def test_a_parents_state_under_another_name_is_refused():
    class Sub(Order):
        fresh = Order.new

    mistakes(Sub, "Sub.fresh: it is the state Order.new under a second name")


def test_a_state_that_hides_what_an_actor_has_is_refused():
    class Player(af.Actor):
        stop = State(initial=True)

        @stop.stay
        def go(self): ...

    mistakes(Player, "Player.stop: the state hides Actor.stop", "Player: it has no states")


def test_names_of_a_mixin_hide_nothing_either():
    class Common:
        a, stop = State(initial=True), State(final=True)

        @a.to(stop)
        def ask(self): ...

    class Machine(Common, af.Actor): ...

    with pytest.raises(af.DefinitionError, match=r"Machine.stop: the state hides Actor.stop"):
        check_class(Machine)

    class Events:
        a, b = State(initial=True), State(final=True)

        @a.to(b)
        def stop(self): ...

    class Other(Events, af.Actor): ...

    mistakes(Other, "Other.stop: Actor has a method of that name")


def test_a_method_that_hides_a_state_is_refused():
    class Sub(Order):
        def paid(self): ...

    with pytest.raises(af.DefinitionError, match="Sub.paid: it hides the state Order.paid; give it another name"):
        check_class(Sub)


def test_an_event_that_hides_what_an_actor_has_is_refused_with_the_cure():
    class Player(af.Actor):
        playing, idle = State(initial=True), State(final=True)

        @playing.to(idle)
        def stop(self): ...

        @playing.to(idle, event="stop")
        def stop_playing(self): ...

    mistakes(Player, "Player.stop: Actor has a method of that name: name it otherwise, with event='stop'")


def test_states_that_refer_to_each_other_from_outside_are_refused():
    class Machine:
        a = State(initial=True)
        b = State(parent=Order.paid)

        @a.stay
        def go(self): ...

    mistakes(Machine, "Machine.b: it means Order.paid, which is no state of Machine")


def test_a_method_that_takes_no_machine_is_refused():
    class Machine:
        a, b = State(initial=True), State(final=True)

        @a.to(b, when=lambda: True)
        def go(): ...

        @a.to(b, when=lambda: True)
        def pay(self): ...

        @a.enter
        def begin(): ...

    mistakes(
        Machine,
        "Machine.go: it takes nothing, not even the machine; write def go(self)",
        "Machine.pay: its guard 'lambda: True' takes nothing, not even self, but gets those of 'pay', ()",
        "Machine.begin: it takes nothing, not even the machine; write def begin(self)",
    )


def test_rules_within_a_descriptor_are_refused():
    class Machine:
        a, b = State(initial=True), State(final=True)

        @staticmethod
        @a.to(b)
        def one(): ...

        @classmethod
        @a.to(b)
        def two(cls): ...

        @property
        @a.to(b)
        def three(self): ...

    mistakes(
        Machine,
        "Machine.one: it has rules, but is a staticmethod; make it an ordinary method",
        "Machine.two: it has rules, but is a classmethod",
        "Machine.three: it has rules, but is a property",
    )


def test_a_decorator_that_wraps_an_event_keeps_its_rules():
    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs): ...

        return wrapper

    class Machine:
        a, b = State(initial=True), State(final=True)

        @a.to(b, when=lambda self, n: n)
        @logged
        @a.stay
        def go(self, n): ...

    assert [t.targets for t in transitions(Machine, "a")] == [("b",), ()]


def test_two_donedata_of_one_state_are_refused():
    class Machine:
        a, b = State(initial=True), State(final=True)

        @a.to(b)
        def go(self): ...

        @b.donedata
        def one(self): ...

        @b.donedata
        def two(self): ...

    mistakes(Machine, "Machine.two: 'b' has its donedata from 'one' already; keep one")


def test_rules_without_states_are_refused():
    class Machine:
        @Order.new.to(Order.paid)
        def go(self): ...

    mistakes(Machine, "Machine.go: it means Order.new, which is no state", "Machine: it has no states")


def test_one_error_names_all_mistakes():
    class Machine:
        a, b, c = State(), State(), State()

        @a.to(b)
        async def go(self): ...

    with pytest.raises(af.DefinitionError) as raised:
        check_class(Machine)
    assert str(raised.value).splitlines()[0] == "Machine has 2 mistakes:"
