"""The page has all 43 patterns, and each has its test."""

from __future__ import annotations

import re
from pathlib import Path

from tests.workflows.patterns.page import headings


def test_each_pattern_of_the_page_has_its_test_and_each_test_its_pattern():
    named = {
        int(number): name
        for file in Path(__file__).parent.glob("test_*.py")
        for number, name in re.findall(r"^def test_(\d\d)_(\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    expected = {number: re.sub(r"\W+", "_", name.lower()) for number, name in headings().items()}
    assert sorted(expected) == list(range(1, 44))
    assert named == expected
