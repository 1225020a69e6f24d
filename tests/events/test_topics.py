"""Patterns of topic names."""

from __future__ import annotations

import pytest

import actorflow as af
from actorflow.events.topics import compiled, matches


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("orders.placed", ["orders.placed"], ["orders.placed.x", "orders", "ordersxplaced"]),
        ("orders.*", ["orders.placed"], ["orders", "orders.a.b", "x.orders.a", "order.a"]),
        ("*.placed", ["orders.placed"], ["placed", "a.orders.placed"]),
        ("orders.**", ["orders.a", "orders.a.b"], ["orders", "xorders.a"]),
        ("**", ["a", "a.b", "a.b.c"], []),
        ("*", ["a"], ["a.b"]),
        ("orders.pl*", ["orders.pl", "orders.placed"], ["orders.xpl", "orders.pl.a"]),
        ("a.**.z", ["a.b.z", "a.b.c.z"], ["a.z", "a.b"]),
        ("a+(b).*", ["a+(b).c"], ["aab.c"]),
    ],
)
def test_a_pattern_chooses_names(pattern: str, fits: list[str], others: list[str]) -> None:
    assert [name for name in fits + others if matches(pattern, name)] == fits


@pytest.mark.parametrize("pattern", ["", ".", "a.", ".a", "a..b", "a.b**", "***", "a b"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(af.DefinitionError, match="pattern"):
        compiled(pattern)
