"""The example of a batch: the totals are right wherever the file is cut, and wherever it is killed."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from examples.batch import count_part, lines_of, main
from tests.examples.programs import killed, output, program, until


def sales(path, count=500):
    chance = random.Random(1)
    lines = [
        f"2026-11-{day % 30 + 1},{chance.choice(('tea', 'milk'))},{chance.randrange(1000)}" for day in range(count)
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    cents: Counter[str] = Counter()
    for line in lines:
        _, product, amount = line.split(",")
        cents[product] += int(amount)
    return cents


def totals(path):
    return {name: int(cents) for name, cents in (line.split(",") for line in path.read_text().splitlines())}


def test_each_line_is_in_one_part_wherever_the_file_is_cut(tmp_path):
    path = tmp_path / "sales.csv"
    sales(path, count=12)
    text = path.read_text()
    for cut in range(len(text) + 1):
        found = [line for bounds in ((0, cut), (cut, len(text))) for _, line in lines_of(str(path), *bounds)]
        assert found == text.splitlines(), cut


def test_the_totals_are_those_of_the_file(tmp_path, capfd):
    path = tmp_path / "sales.csv"
    cents = sales(path)
    assert main([str(path), "--parts", "3"]) == 0
    assert totals(tmp_path / "sales.csv.totals") == cents
    assert main([str(path), "--parts", "3"]) == 0  # nothing is counted again
    out = capfd.readouterr().out
    assert out.count("are counted") == 3
    assert out.count(f"{cents.total():,} cents in all") == 2


def test_a_line_that_is_wrong_is_named_and_its_part_is_counted_once_it_is_mended(tmp_path, capfd):
    path = tmp_path / "sales.csv"
    cents = sales(path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b",", b";", 1))
    assert main([str(path), "--parts", "3"]) == 1
    assert "byte 0: '2026-11-1;" in capfd.readouterr().err
    path.write_bytes(whole)
    assert main([str(path), "--parts", "3", "--retry"]) == 0
    assert totals(tmp_path / "sales.csv.totals") == cents
    assert "are counted" in capfd.readouterr().out


def test_an_empty_part_has_no_cents(tmp_path, capsys):
    path = tmp_path / "sales.csv"
    path.write_text("2026-11-1,tea,5\n")
    assert count_part(str(path), 3, 9) == (str(path), {})
    capsys.readouterr()


@pytest.mark.slow
def test_it_is_killed_and_what_is_counted_stays(tmp_path):
    cents = sales(tmp_path / "sales.csv", count=200_000)
    with killed(program(tmp_path, "examples.batch", "sales.csv", "--parts", "40")) as lines:
        until(lines, "are counted")
    output(program(tmp_path, "examples.batch", "sales.csv", "--parts", "40"))
    assert totals(tmp_path / "sales.csv.totals") == cents
