"""Promises: a history is linearizable if some order of its operations fits the model, as brute force says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorflow.errors import DefinitionError
from actorflow.sim import SimulationFailure
from actorflow.sim.history import (
    LockModel,
    Model,
    OperationHistory,
    QueueModel,
    RegisterModel,
    check_linearizable,
)
from tests.sim.history.brute import is_linearizable

VALUES = st.integers(0, 2)
CALLS = {
    RegisterModel: st.one_of(
        st.tuples(st.just("read"), st.just(()), VALUES),
        st.tuples(st.just("write"), st.tuples(VALUES), st.none()),
        st.tuples(st.just("compare_and_set"), st.tuples(VALUES, VALUES), st.booleans()),
    ),
    QueueModel: st.one_of(
        st.tuples(st.just("enqueue"), st.tuples(VALUES), st.none()),
        st.tuples(st.just("dequeue"), st.just(()), st.one_of(st.none(), VALUES)),
    ),
    LockModel: st.tuples(st.sampled_from(["acquire", "release"]), st.just(()), st.sampled_from([None, True, False])),
}
MODELS = {RegisterModel: RegisterModel(0), QueueModel: QueueModel(), LockModel: LockModel()}


@st.composite
def histories(draw, model):
    """Draw at most six operations whose begins and ends are in any order; some fail, and some never end."""
    history = OperationHistory()
    running = []
    for name, args, result in draw(st.lists(CALLS[model], max_size=6)):
        while running and draw(st.booleans()):
            operation, answer = running.pop(draw(st.integers(0, len(running) - 1)))
            operation.failed() if draw(st.integers(0, 5)) == 0 else operation.returned(answer)
        running.append((history.invoke(name, *args, process=draw(st.sampled_from("ab"))), result))
    while running and draw(st.integers(0, 3)):
        operation, answer = running.pop()
        operation.returned(answer)
    return history


def says(history, model, **options):
    try:
        check_linearizable(history, model, **options)
    except SimulationFailure:
        return False
    return True


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_search_says_of_each_history_as_brute_force_does(kind, data):
    history = data.draw(histories(kind))
    assert says(history, MODELS[kind]) == is_linearizable(history.operations, MODELS[kind])


class DiceModel(Model):
    """An object with chance: each `roll` leads to one of two states."""

    name, initial = "dice", 0

    def step(self, state, operation):
        if operation.name == "roll":
            return (state + 1, state + 2)
        return (state,) if operation.result == state else ()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 8)), max_size=6))
def test_a_model_may_lead_to_several_states(looks):
    history = OperationHistory()
    for seen in looks:
        if seen is None:
            history.invoke("roll").returned()
        else:
            history.invoke("look").returned(seen)
    assert says(history, DiceModel()) == is_linearizable(history.operations, DiceModel())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=60), st.randoms(use_true_random=False))
def test_a_history_that_a_real_queue_made_is_accepted_however_its_operations_overlap(values, draw):
    history, queue, running = OperationHistory(), [], []
    for value in values:
        name = draw.choice(["enqueue", "dequeue"])
        operation = history.invoke(name, *([value] if name == "enqueue" else []))
        if name == "enqueue":  # it takes effect here, between its begin and its end
            queue.append(value)
            running.append((operation, None))
        else:
            running.append((operation, queue.pop(0) if queue else None))
        while len(running) > 4 or (running and draw.random() < 0.5):
            ended, answer = running.pop(draw.randrange(len(running)))
            ended.returned(answer)
    check_linearizable(history, QueueModel())


def test_a_read_of_an_old_value_is_refused_in_words():
    history = OperationHistory()
    history.invoke("write", 1, process="a").returned()
    history.invoke("read", process="b").returned(0)
    with pytest.raises(SimulationFailure) as caught:
        check_linearizable(history, RegisterModel(0))
    assert caught.value.property == "linearizable register"
    assert caught.value.why == (
        "after write(1) -> None by a the register holds 1, and none of these can be next: read() -> 0 by b"
    )


def test_an_open_write_may_take_effect_late_or_never():
    history = OperationHistory()
    history.invoke("write", 1)
    for seen in (0, 0, 1, 1):
        history.invoke("read").returned(seen)
    check_linearizable(history, RegisterModel(0))
    history.invoke("read").returned(0)
    assert not says(history, RegisterModel(0))


def test_a_write_that_failed_is_never_seen():
    history = OperationHistory()
    history.invoke("write", 1).failed()
    history.invoke("read").returned(1)
    assert not says(history, RegisterModel(0))


def test_objects_with_keys_are_checked_each_by_itself_and_named():
    history = OperationHistory()
    for key in "abc":
        history.invoke("write", key, 1, key=key).returned()
        history.invoke("read", key, key=key).returned(1)
    check_linearizable(history, RegisterModel(0))
    history.invoke("read", "b", key="b").returned(0)
    with pytest.raises(SimulationFailure, match="of key 'b'"):
        check_linearizable(history, RegisterModel(0))


def test_five_hundred_operations_of_four_clients_are_checked_within_a_small_bound():
    history, value, running = OperationHistory(), 0, []
    for n in range(500):
        if n % 3:
            value = n
            running.append((history.invoke("write", n), None))
        else:
            running.append((history.invoke("read"), value))
        if len(running) == 4:
            for operation, answer in running:
                operation.returned(answer)
            running.clear()
    check_linearizable(history, RegisterModel(0), limit=20_000)


def test_reads_that_overlap_writes_of_a_long_pause_do_not_exhaust_the_bound():
    history = OperationHistory()
    writes = [history.invoke("write", n) for n in range(12)]
    for n in range(12):
        for _ in range(3):
            history.invoke("read").returned(n)
        history.invoke("compare_and_set", -1, n).returned(False)
    for write in writes:
        write.returned()
    check_linearizable(history, RegisterModel(0), limit=20_000)
    history.invoke("read").returned(3)
    with pytest.raises(SimulationFailure):
        check_linearizable(history, RegisterModel(0), limit=200_000)


def test_a_history_that_the_bound_does_not_decide_is_no_pass_and_no_failure():
    history = OperationHistory()
    for n in range(12):
        history.invoke("enqueue", n)
    history.invoke("dequeue").returned("never")
    with pytest.raises(DefinitionError, match="it is not known whether 13 operations are linearizable: give"):
        check_linearizable(history, QueueModel(), limit=500)


def test_values_that_cannot_be_hashed_are_refused_with_the_cure():
    history = OperationHistory()
    history.invoke("write", [1]).returned()
    with pytest.raises(DefinitionError, match=r"a register that holds \[1\] cannot be checked: give"):
        check_linearizable(history, RegisterModel(0))


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_an_operation_that_the_model_does_not_know_is_named_with_those_it_knows(model):
    history = OperationHistory()
    history.invoke("reed").returned(0)
    with pytest.raises(DefinitionError, match=r"does not know reed\(\) -> 0: it knows "):
        check_linearizable(history, model)


def test_a_model_is_asked_for_if_something_else_is_given():
    with pytest.raises(DefinitionError, match="is no model"):
        check_linearizable(OperationHistory(), RegisterModel)
