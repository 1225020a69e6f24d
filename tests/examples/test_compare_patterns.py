"""The comparison of patterns: each of them does the same with the same orders, and has a row in the table."""

from __future__ import annotations

from collections import Counter

import pytest

from actorflow.testing import LeakCheck, VirtualSystem
from examples import compare_patterns
from examples.compare_patterns import PATTERNS, main

ORDERS = range(40)  # two of them cannot be shipped


@pytest.fixture
def acts(monkeypatch):
    """Count what is done with each order."""
    counts: Counter[tuple[str, int]] = Counter()

    def counting(name):
        act = getattr(compare_patterns, name)

        def counted(order):
            act(order)
            counts[name, order] += 1

        return counted

    for name in ("pick", "pay", "ship", "refund", "put_back"):
        monkeypatch.setattr(compare_patterns, name, counting(name))
    return counts


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_each_order_is_shipped_or_undone(pattern, acts):
    with LeakCheck(), VirtualSystem("compare", seed=1) as system:
        pattern.open(system)
        for order in ORDERS:
            pattern.perform(system, order)
    undone = {order for order in ORDERS if order % 20 == 19}
    wanted = {(name, order) for name in ("pick", "pay") for order in ORDERS}
    wanted |= {("ship", order) for order in set(ORDERS) - undone}
    wanted |= {(name, order) for name in ("refund", "put_back") for order in undone}
    assert acts == dict.fromkeys(wanted, 1)


@pytest.mark.slow
def test_the_table_has_a_row_for_a_pattern(capsys):
    assert main(["--orders", "20", "--only", "queue"]) == 0
    assert "queue" in capsys.readouterr().out
