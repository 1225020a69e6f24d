"""The log of `examples.orders`: what the reader takes and refuses, and what the generator makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.orders.generate import generate
from examples.orders.life import ACTIVITIES
from examples.orders.log import LogError, expected, read, steps, write
from tests.examples.logs import FINAL, lives

HEADER = "ocel:eid,ocel:activity,ocel:timestamp,ocel:type:items,ocel:type:orders,ocel:type:packages"
PLACE = "1.0,place order,2026-01-05 08:00:00.000Z,\"['1','2']\",\"['1']\", "
CONFIRM = "2.0,confirm order,2026-01-05 09:00:00.000Z, ,\"['1']\", "


def test_generated_objects_live_legally_and_all_end():
    for seed in range(20):
        ends = {}
        for step, _, after in lives(generate(orders=30, seed=seed)):
            assert after is not None, (seed, step)
            ends[step.name] = after
        for name, state in ends.items():
            assert state == FINAL[name.partition("-")[0]], (seed, name)


def test_generated_log_is_sorted_by_time_and_its_lines_come_behind_the_header():
    events = generate(orders=50, seed=3)
    assert [event.line for event in events] == list(range(2, len(events) + 2))
    assert [event.time for event in events] == sorted(event.time for event in events)


def test_same_seed_gives_same_log_and_another_seed_another():
    assert generate(40, seed=7) == generate(40, seed=7)
    assert generate(40, seed=7) != generate(40, seed=8)


def test_generated_log_has_the_proportions_of_the_real_one():
    counts = expected(generate(2000, seed=1))
    real = {
        "place order": 2000,
        "confirm order": 2000,
        "item out of stock": 1664,
        "reorder item": 1664,
        "pick item": 8159,
        "create package": 1325,
        "send package": 1325,
        "failed delivery": 391,
        "package delivered": 1325,
        "payment reminder": 514,
        "pay order": 2000,
    }
    assert set(counts) == set(real) == set(ACTIVITIES)
    for activity, count in real.items():
        assert counts[activity] == pytest.approx(count, rel=0.15), activity


def test_packages_join_items_of_several_orders():
    events = generate(200, seed=1)
    order_of = {
        item: event.of("order")[0] for event in events if event.activity == "place order" for item in event.of("item")
    }
    joined = [len({order_of[item] for item in e.of("item")}) for e in events if e.activity == "create package"]
    assert max(joined) > 1


def test_written_log_reads_back_the_same(tmp_path):
    events = generate(60, seed=2)
    write(tmp_path / "log.csv", events)
    assert read(tmp_path / "log.csv") == events


def test_steps_are_the_events_of_each_object_in_the_order_of_the_file():
    events = generate(30, seed=4)
    shares = steps(events)
    assert sum(map(len, shares.values())) == sum(len(event.objects) for event in events)
    for kind, share in shares.items():
        assert [(step.line, step.activity, step.name) for step in share] == [
            (event.line, event.activity, name) for event in events for name in event.objects if name in event.of(kind)
        ]


def test_events_have_the_numbers_of_their_lines(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(f'{HEADER},note\n{PLACE},"a note\nof two lines"\n{CONFIRM},short\n')
    assert [event.line for event in read(path)] == [3, 4]  # an event is where its last line is


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        ([], "line 1", "header lacks ocel:eid"),
        ([HEADER], "line 1", "no events"),
        ([HEADER.replace("activity", "action"), PLACE], "line 1", "header lacks ocel:activity"),
        ([HEADER, PLACE, CONFIRM + ",1"], "line 3", "7 columns, the header has 6"),
        ([HEADER, PLACE, "", CONFIRM], "line 3", "0 columns"),
        ([HEADER, PLACE, CONFIRM.replace("confirm", "conform")], "line 3", "unknown activity 'conform order'"),
        ([HEADER, PLACE.replace("08:00", "8 o'clock")], "line 2", "no ISO timestamp"),
        ([HEADER, PLACE, PLACE], "line 3", "event id '1.0' was there before"),
        ([HEADER, PLACE.replace("\"['1','2']\"", " ")], "line 2", "'place order' needs its item"),
        ([HEADER, CONFIRM.replace(", ,", ",\"['1']\",")], "line 2", "'confirm order' touches no item"),
        ([HEADER, PLACE.replace("['1','2']", "['1',2]")], "line 2", "not a list like ['1','2']"),
        ([HEADER, PLACE.replace("['1','2']", "['1','1']")], "line 2", "listed twice"),
        ([HEADER, PLACE, CONFIRM.replace("\"['1']\"", "\"['1']")], "line 3", "unexpected end of data"),
    ],
)
def test_malformed_log_names_its_first_bad_line(tmp_path, lines, where, what):
    path = tmp_path / "log.csv"
    path.write_text("".join(line + "\n" for line in lines))
    with pytest.raises(LogError) as caught:
        read(path)
    assert f"{path}, {where}: " in str(caught.value)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_line_number_counts_physical_lines(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(f'{HEADER},note\n{PLACE},"a note\nof two lines"\n{CONFIRM}\n')
    with pytest.raises(LogError, match="line 4: 6 columns"):
        read(path)


def test_binary_file_is_a_malformed_log_with_a_line(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(f"{HEADER}\n{PLACE}\n".encode() + b"\xff\xfe\x00\x80,,,,,\n")
    with pytest.raises(LogError, match="line 3: "):
        read(path)


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_unreadable_log_says_why(tmp_path, name):
    with pytest.raises(LogError, match=r"cannot read it: (No such file|Is a directory)"):
        read(Path(tmp_path, name))
