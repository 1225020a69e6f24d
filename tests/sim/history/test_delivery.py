"""Promises: losses, repeats, inventions and wrong orders are named, and nothing else is."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorflow.errors import DefinitionError
from actorflow.sim import SimulationFailure
from actorflow.sim.history import check_conservation, check_delivery, check_order

IDS = st.lists(st.integers(0, 4), max_size=6)


def holds(check, *args, **options):
    try:
        check(*args, **options)
    except SimulationFailure:
        return False
    return True


@given(IDS, IDS)
def test_a_delivery_keeps_a_guarantee_if_the_counts_of_all_ids_do(sent, received):
    ids = set(sent) | set(received)
    most, least = Counter(sent), Counter(received)
    invented = not set(received) <= set(sent)
    assert holds(check_delivery, sent, received) == (sorted(sent) == sorted(received))
    assert holds(check_delivery, sent, received, "at most once") == all(least[id] <= most[id] for id in ids)
    assert holds(check_delivery, sent, received, "at least once") == (
        not invented and all(least[id] >= most[id] for id in ids)
    )


def test_all_that_is_wrong_with_a_delivery_is_named():
    with pytest.raises(SimulationFailure) as caught:
        check_delivery([1, 2, 3], [2, 2, 4, 3], name="each order ships")
    assert caught.value.property == "each order ships"
    assert caught.value.why == "lost: 1; more than once: 2; never sent: 4"


def test_a_long_list_of_ids_is_cut():
    with pytest.raises(SimulationFailure, match="lost: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 90 more"):
        check_delivery(range(100), [])


def test_a_guarantee_that_there_is_not_is_refused():
    with pytest.raises(DefinitionError, match="give one of exactly once, at least once, at most once"):
        check_delivery([], [], "twice")


@given(st.lists(st.sampled_from(["a1", "a2", "a3", "b1", "b2"]), max_size=8))
def test_an_order_holds_if_no_key_goes_back(received):
    by_key = [[int(item[1]) for item in received if item[0] == key] for key in "ab"]
    sent = ["a1", "b1", "a2", "b2", "a3"]
    assert holds(check_order, sent, received, key=lambda item: item[0]) == all(one == sorted(one) for one in by_key)


def test_without_a_key_all_are_in_one_order():
    check_order([1, 2, 3], [1, 3, 3])
    assert not holds(check_order, [1, 2, 3], [2, 1])


def test_an_order_of_something_that_was_never_sent_fails_and_of_something_sent_twice_is_refused():
    with pytest.raises(SimulationFailure, match="4 came, and was never sent"):
        check_order([1, 2], [1, 4])
    with pytest.raises(DefinitionError, match="1 was sent twice"):
        check_order([1, 1], [])


def test_amounts_are_summed_in_their_own_numbers():
    check_conservation({"a": Decimal("0.1"), "b": Decimal("0.2")}, Decimal("0.3"))
    assert not holds(check_conservation, {"a": 0.1, "b": 0.2}, 0.3)
    check_conservation({"a": 0.1, "b": 0.2}, 0.3, within=1e-9)
    assert not holds(check_conservation, {"a": float("nan")}, 0.0, within=1.0)


def test_the_parts_of_a_sum_that_is_wrong_are_named():
    with pytest.raises(SimulationFailure) as caught:
        check_conservation({"a": 1, "b": 3}, 5, name="money")
    assert (caught.value.property, caught.value.why) == ("money", "4 in all, in place of 5: 'a'=1, 'b'=3")
