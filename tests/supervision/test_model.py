"""Supervisors against a model of OTP's rules: random children, ends and times, on virtual time under random seeds."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import actorflow as af
from actorflow.testing import VirtualSystem
from tests.supervision.otp_model import Child, Model
from tests.supervision.parts import Worker, find, kid, tree

NAMES = "abcde"
strategies = st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])
kinds = st.sampled_from(["permanent", "permanent", "transient", "temporary"])
seeds = st.none() | st.integers(0, 2**32)
ends = st.sampled_from(["fail", "fail", "stop", "terminate"])


class Supervision(RuleBasedStateMachine):
    """One supervisor, driven at the same moments as its model."""

    @initialize(
        strategy=strategies,
        restarts=st.lists(kinds, min_size=1, max_size=5),
        intensity=st.integers(0, 3),
        period=st.sampled_from([1.0, 5.0, 20.0]),
        seed=seeds,
    )
    def begin(self, strategy, restarts, intensity, period, seed):
        children = [Child(name, restart) for name, restart in zip(NAMES, restarts, strict=False)]
        self.model = Model(strategy, intensity, period, children)
        self.log: list[str] = []
        self.system = VirtualSystem(seed=seed)
        recipes = [kid(self.log, child.name, restart=child.restart) for child in children]
        self.sup = self.system.spawn(tree(*recipes, strategy=strategy, intensity=intensity, period=period))
        self.refs = {child.name: find(self.system, f"sup/{child.name}") for child in children}
        self.added = len(children)
        self.model.start(children)

    def alive(self):
        return self.model.gave_up is None

    @precondition(alive)
    @rule(data=st.data(), how=ends)
    def a_child_ends(self, data, how):
        name = data.draw(st.sampled_from(sorted(self.refs)))
        ref = self.refs[name]
        with contextlib.suppress(af.ActorDeadError):
            if how == "fail":
                ref.cast(Worker.crash)
            elif how == "stop":
                ref.cast(Worker.end)
            else:
                ref.stop(block=False)
        self.system.sleep(0)
        self.model.ends(name, self.system.now, how)

    @rule(seconds=st.sampled_from([0.5, 1.0, 1.5, 5.0, 5.5, 20.5]))
    def time_passes(self, seconds):
        self.system.sleep(seconds)

    @precondition(lambda self: self.alive() and self.added < 12)
    @rule(restart=kinds)
    def a_child_is_started(self, restart):
        name = f"x{self.added}"
        self.added += 1
        recipe = kid(self.log, name, restart=restart)
        self.refs[name] = self.sup.call(af.Supervisor.start_child, recipe).get(timeout=100)
        child = Child(name, restart)
        self.model.children.append(child)
        self.model.start([child])

    @invariant()
    def log_is_the_models(self):
        assert self.log == self.model.log

    @invariant()
    def the_living_are_the_models(self):
        living = [child.name for child in self.model.children]
        assert [name for name, ref in self.refs.items() if ref.is_alive()] == living
        assert self.sup.is_alive() == self.alive()
        if self.alive():
            rows = self.sup.call(af.Supervisor.which_children).get(timeout=100)
            assert [(row.name, row.status) for row in rows] == [(name, "running") for name in living]

    @invariant()
    def nothing_takes_time_by_itself(self):
        assert self.system.scheduler.abandoned == 0
        assert self.alive() or self.system.ended.done()

    def teardown(self):
        if not hasattr(self, "system"):
            return
        expected = [f"stop {child.name}" for child in reversed(self.model.children)]
        gave_up = pytest.raises(af.RestartLimitReached) if self.model.gave_up is not None else contextlib.nullcontext()
        with gave_up, self.system:
            pass
        assert self.log == self.model.log + expected


Supervision.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestSupervision = pytest.mark.timeout(300)(Supervision.TestCase)


@settings(max_examples=40, deadline=None)
@given(
    rules=st.lists(st.tuples(strategies, st.lists(kinds, min_size=1, max_size=3)), min_size=2, max_size=3),
    crashes=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([0.0, 0.3, 2.0])), max_size=12),
    seed=seeds,
)
def test_a_subtree_that_gives_up_is_a_crash_to_its_parent(rules, crashes, seed):
    """Two levels of models: the outer one sees the inner ones' limits as crashes of permanent children."""
    log: list[str] = []
    inner_rules = [
        (f"s{n}", strategy, [(f"s{n}{m}", kind) for m, kind in enumerate(children)])
        for n, (strategy, children) in enumerate(rules)
    ]

    def fresh(strategy, children):
        return Model(strategy, 1, 1.0, [Child(name, kind) for name, kind in children])

    recipes = [
        tree(*(kid(log, name, restart=kind) for name, kind in children), name=sup, strategy=strategy, period=1.0)
        for sup, strategy, children in inner_rules
    ]
    with VirtualSystem(seed=seed) as system:
        system.spawn(tree(*recipes, name="top", intensity=100))
        inner = {}
        for sup, strategy, children in inner_rules:
            inner[sup] = fresh(strategy, children)
            inner[sup].start(inner[sup].children)
        expected = [line for model in inner.values() for line in model.log]
        for n, m, wait in crashes:
            sup, strategy, children = inner_rules[n % len(inner_rules)]
            name = children[m % len(children)][0]
            ref = system.find(f"/test/top/{sup}/{name}")
            model = inner[sup]
            assert (ref is not None) == (model.find(name) is not None)
            if ref is not None:
                ref.cast(Worker.crash)
                system.sleep(0)
            before = len(model.log)
            model.ends(name, system.now, "fail")
            expected += model.log[before:]
            if model.gave_up is not None:
                inner[sup] = fresh(strategy, children)
                inner[sup].start(inner[sup].children)
                expected += inner[sup].log
            assert log == expected
            system.sleep(wait)
