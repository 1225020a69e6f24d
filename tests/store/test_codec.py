"""Promises: a value that is stored comes back as it was, or is refused with its place; reading it runs no code."""

import asyncio
import contextlib
import datetime as dt
import decimal
import math
import pathlib
import sys
import uuid
import zoneinfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import actorflow as af
from actorflow.errors import PayloadError
from actorflow.machine import MachineStats, Record, StateNode
from actorflow.queues.events import JobEvent
from actorflow.store.classes import find_imported
from actorflow.store.codec import decode, decode_json, encode
from tests.store import payloads
from tests.store.payloads import (
    Address,
    Basket,
    Cached,
    Colour,
    Doubled,
    Extra,
    Flags,
    Frozen,
    FrozenBasket,
    Gift,
    Level,
    MyList,
    MyStr,
    Order,
    Outer,
    Pair,
    Plain,
    Point,
    Refused,
    Scaled,
    Sent,
    StructBasket,
    Touchy,
    TouchyData,
    Unprintable,
    Unset,
)

# --- round trips -----------------------------------------------------------------------------------------------------

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
EXACT = [
    None,
    True,
    0,
    -(2**63),
    2**63,
    10**50,
    1.5,
    -0.0,
    math.inf,
    -math.inf,
    1e-320,
    "",
    "ä\x00\u2028😀",
    b"",
    b"\x00\xff",
    (),
    (1, (2, [3])),
    [],
    {},
    {"$type": "os.system"},
    {"$": 1, "a": 2},
    {1: "a", 2.5: "b", None: "c", (1, 2): "d", False: "e"},
    {"1": "a"},
    set(),
    {1, "a"},
    frozenset({b"x"}),
    dt.datetime(2026, 11, 25, 1, 2, 3, 4),  # noqa: DTZ001 - the promise is that it stays without
    dt.datetime(2026, 11, 25, tzinfo=dt.UTC),
    dt.datetime(2026, 11, 25, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
    dt.date(2026, 1, 1),
    dt.time(1, 2, 3),
    dt.timedelta(days=-1, microseconds=1),
    dt.timedelta.max,
    dt.timedelta.min,
    decimal.Decimal("1.10"),
    uuid.UUID(int=7),
    pathlib.Path("/tmp/x"),
    pathlib.PurePosixPath("a/b"),
    pathlib.PureWindowsPath("c:\\x"),
    1 + 2j,
    Colour.RED,
    Colour.BLUE,
    Level.HIGH,
    Flags.A,
    Flags.A | Flags.B,
    Flags(0),
    dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),
    dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    dt.time(1, 30, tzinfo=BERLIN),
    {Colour.RED: [Level.LOW]},
    Address("x", 1),
    Order("1", Address("x"), [Sent(Point(1.0, 2.0)), (1,)]),
    Gift("1", Address("x"), card="yours"),
    Sent(Gift("1", Address("y")), dt.date(2026, 1, 1)),
    Frozen(name="a"),
    {Frozen(name="a"), Address("s", 2)},
    Outer.Inner(3),
    Pair(1, 2),
]


@pytest.mark.parametrize("value", EXACT, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_equal_and_of_the_same_type(value):
    back = decode(encode(value))
    assert same(back, value)


def same(a, b):
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a == b and all(same(x, y) for x, y in zip(a, b, strict=True)) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, dt.datetime):
        return a == b and a.utcoffset() == b.utcoffset() and a.tzinfo == b.tzinfo
    return a == b


def test_nan_comes_back_as_nan_not_as_null():
    assert math.isnan(decode(encode(math.nan)))
    assert math.isnan(decode(encode([{"x": math.nan}]))[0]["x"])


def test_a_field_that_the_constructor_does_not_take_comes_back():
    order = Order("1", Address("x"))
    order.total = 9.5
    assert decode(encode(order)).total == 9.5


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from([Colour.RED, Level.LOW, pathlib.Path("a/b")])
)
HASHABLE = st.recursive(ATOMS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=3)
        | st.builds(Sent, inner, inner)
        | st.builds(Order, st.text(max_size=3), st.builds(Address, st.text(max_size=3)), st.lists(inner, max_size=3))
    ),
    max_leaves=20,
)


@given(VALUES)
def test_any_nested_value_makes_the_round_trip(value):
    back = decode(encode(value))
    assert same(back, value)
    assert encode(back) == encode(value)


def test_equal_sets_of_sets_have_one_text():
    one, other = frozenset([0, 8]), frozenset([8, 0])  # they meet in a table of eight places
    assert repr(one) != repr(other)
    assert encode({one, frozenset([3])}) == encode({other, frozenset([3])})


@given(st.floats())
def test_any_float_comes_back_bit_for_bit(value):
    back = decode(encode(value))
    assert (math.isnan(back) and math.isnan(value)) or same(back, value)


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Plain(), "value is "),
        ([1, Plain()], r"value\[1\]"),
        ({"a": {"b": Plain()}}, r"value\['a'\]\['b'\]"),
        (Order("1", Address(Plain())), r"value\.to\.street"),
        (Sent((0, Plain())), r"value\.order\[1\]"),
        ({Plain(): 1}, "a key of value"),
        (lambda: 0, "value is builtins.function"),
        (MyList([1]), "MyList"),
        (MyStr("a"), "MyStr"),
        (open, "value is "),
        (object, "value is "),
        (Address, "value is "),
        (range(3), "range"),
        (bytearray(b"x"), "bytearray"),
        (ValueError("x"), "ValueError"),
        ("\ud800", "value"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_not_come_back_is_refused_with_its_place(value, path):
    with pytest.raises(PayloadError, match=path):
        encode(value)


def test_a_time_of_a_zone_that_has_no_name_is_refused():
    class Zone(dt.tzinfo):
        pass

    with pytest.raises(PayloadError, match=r"value\[0\] has the time zone"):
        encode([dt.datetime(2026, 1, 1, tzinfo=Zone())])


def test_a_class_in_a_function_is_refused_with_the_cure():
    import dataclasses

    local = dataclasses.make_dataclass("Local", ["x"])
    local.__qualname__ = "f.<locals>.Local"
    with pytest.raises(PayloadError, match="define it in a module"):
        encode(local(1))


def test_a_value_that_contains_itself_is_refused_and_does_not_hang():
    value = []
    value.append(value)
    with pytest.raises(PayloadError, match="contains itself"):
        encode(value)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_reading_imports_no_module():
    assert "antigravity" not in sys.modules
    data = b'{"$type":"antigravity.geohash","fields":{}}'
    with pytest.raises(PayloadError, match="'antigravity.geohash', which is not known here"):
        decode(data)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "builtins.object",
        "tests.store.payloads.Plain",
        "tests.store.payloads.Order.__init__",
        "tests.store.payloads.dataclasses.Field",
        "",
        ".",
        "x",
    ],
)
def test_a_name_that_is_no_class_of_data_is_refused(name):
    for data in (f'{{"$type":"{name}","fields":{{}}}}', f'{{"$enum":["{name}","x"]}}'):
        with pytest.raises(PayloadError, match="not known here"):
            decode(data.encode())


@pytest.mark.parametrize(
    ("old", "kind"),
    [
        ("actorflow.core.messages.Terminated", af.Terminated),
        ("actorflow.core.messages.messages.Terminated", af.Terminated),
        ("actorflow.queue.listeners.JobEvent", JobEvent),
        ("actorflow.queue.limits.Limit", af.Limit),
        ("actorflow.machine.event.Record", Record),
        ("actorflow.machine.chart.StateNode", StateNode),
        ("actorflow.machine.stats.MachineStats", MachineStats),
        ("actorflow.queues.limits.Limit", af.Limit),
    ],
)
def test_a_class_of_ours_is_found_by_the_name_that_an_older_row_has(old, kind):
    assert find_imported(old) is kind


def test_a_class_is_looked_up_by_the_function_that_is_given():
    data = encode(Address("x"))
    assert decode(data, {"tests.store.payloads.Address": Address}.get) == Address("x")
    with pytest.raises(PayloadError, match=r"app\.add"):
        decode(data, lambda _: None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff",
        b'{"$nonsense":1}',
        b'{"$int":"x"}',
        b'{"$bytes":1}',
        b'{"$bytes":"%%%"}',
        b'{"$tuple":1}',
        b'{"$dict":[1]}',
        b'{"$dict":[[[],1]]}',
        b'{"$enum":["tests.store.payloads.Colour","GREEN"]}',
        b'{"$enum":7}',
        b'{"$enum":[]}',
        b'{"$type":"tests.store.payloads.Address"}',
        b'{"$type":"tests.store.payloads.Address","fields":[]}',
        b'{"$type":"tests.store.payloads.Address","fields":{}}',
        b'{"$type":7,"fields":{}}',
        b'{"$datetime":"yesterday"}',
        b'{"$decimal":"x"}',
        b'{"$int":"' + b"9" * 5000 + b'"}',
        b"[" * 100_000,
        b'{"$datetime":["2026-01-01T00:00:00","No/Where",0]}',
        b'{"$datetime":["2026-01-01T00:00:00","../../etc/passwd",0]}',
        b'{"$flag":["tests.store.payloads.Flags",64]}',
    ],
    ids=lambda data: repr(data[:40]),
)
def test_damaged_data_is_a_payload_error(data):
    with pytest.raises(PayloadError):
        decode(data)


@given(VALUES.map(encode), st.integers(0, 200), st.binary(max_size=3))
def test_any_bytes_are_read_or_are_a_payload_error(data, place, damage):
    with contextlib.suppress(PayloadError):
        decode(data[:place] + damage + data[place + len(damage) :])


def test_fields_that_a_class_has_lost_or_got_since_are_left_out_or_get_defaults():
    old = b'{"$type":"tests.store.payloads.Address","fields":{"street":"x","gone":1}}'
    assert decode(old) == Address("x", 0)
    old = b'{"$type":"tests.store.payloads.Sent","fields":{"order":1,"gone":1}}'
    assert decode(old) == Sent(1)


@pytest.mark.parametrize(
    "value",
    [Basket(1000), FrozenBasket(7), Scaled(3, 4), StructBasket(cents=1), Doubled(4)],
    ids=lambda v: type(v).__name__,
)
def test_reading_runs_no_constructor_again(value):
    for _ in range(3):
        back = decode(encode(value))
        assert same(back, value)
        assert encode(back) == encode(value)


def test_a_struct_that_is_read_is_whole():
    back = decode(encode(StructBasket(cents=1)))
    assert type(back) is StructBasket
    assert repr(back) == "StructBasket(cents=1, names=['made'])"
    with pytest.raises(AttributeError):
        back.cents = 2


def test_what_was_valid_when_it_was_written_is_not_checked_again():
    assert decode(b'{"$type":"tests.store.payloads.Strict","fields":{"n":-1}}').n == -1


def test_a_new_field_without_a_default_is_named():
    with pytest.raises(PayloadError, match="a stored Address has no 'street': give the new field a default"):
        decode(b'{"$type":"tests.store.payloads.Address","fields":{}}')
    with pytest.raises(PayloadError, match="a stored Pair has 1 item, not 2"):
        decode(b'{"$named":["tests.store.payloads.Pair",[1]]}')


def test_a_cached_property_is_made_anew_and_an_attribute_that_is_no_field_is_refused():
    value = Cached(2)
    assert value.twice == 4
    assert decode(encode(value)).twice == 4
    with pytest.raises(PayloadError, match=r"value\.beside is no field"):
        encode(Extra(1))


# --- users' code that raises -----------------------------------------------------------------------------------------

RAISED = [
    ValueError("no"),
    SystemExit(3),
    GeneratorExit(),
    asyncio.CancelledError(),
    BaseException("bare"),
    MemoryError(),
]


@pytest.mark.parametrize("raised", RAISED, ids=repr)
def test_whatever_a_field_raises_when_it_is_read_is_a_payload_error_that_names_it(raised, monkeypatch):
    monkeypatch.setattr(Touchy, "raised", raised)
    value = TouchyData(1)
    with pytest.raises(PayloadError, match=r"value\['order'\]\.n cannot be read.*" + type(raised).__name__):
        encode({"order": value})


def test_a_signal_that_raises_while_a_value_is_encoded_is_not_swallowed(monkeypatch):
    monkeypatch.setattr(Touchy, "raised", KeyboardInterrupt())
    value = TouchyData(1)
    with pytest.raises(KeyboardInterrupt):
        encode(value)


def test_a_field_that_was_never_set_is_named():
    with pytest.raises(PayloadError, match=r"value\.n cannot be read \(a field that was never set\?\)"):
        encode(Unset())


def test_a_key_whose_repr_raises_is_stored():
    assert decode(encode({Unprintable(1): Sent(2)}))[Unprintable(1)] == Sent(2)


def test_plain_data_is_plain_json():
    value = {"a": [1, 2.5, None, True, "x"]}
    assert msgspec.json.decode(encode(value)) == value


def with_more(value, name="more"):
    setattr(value, name, 1)
    return value


@pytest.mark.parametrize(
    "value", [payloads.Crate(), with_more(payloads.MoreSlots()), with_more(payloads.NotedCouple(1))], ids=repr
)
def test_what_holds_more_than_its_fields_is_refused(value):
    with pytest.raises(PayloadError, match="more"):
        encode(value)


@pytest.mark.parametrize("value", [payloads.MoreSlots(3), payloads.NotedCouple(1), payloads.Slotted(2)], ids=repr)
def test_what_could_and_does_not_comes_back(value):
    assert decode(encode(value)) == value
    assert type(decode(encode(value))) is type(value)


@pytest.mark.parametrize("value", [payloads.Shown(2), payloads.Measured(0)], ids=["getattribute", "property"])
def test_a_field_is_stored_as_it_is_read_and_not_as_the_instance_keeps_it(value):
    assert decode_json(encode(value))["fields"] == {"n": 3}


def test_an_enum_of_dataclasses_comes_back_as_its_member():
    assert decode(encode(payloads.Coin.CENT)) is payloads.Coin.CENT


def test_an_exception_that_is_a_dataclass_has_its_text_when_it_is_read():
    read = decode(encode([Refused(3, "no"), Refused(code=4)]))
    assert [(one, one.args, str(one)) for one in read] == [
        (Refused(3, "no"), (3, "no"), "(3, 'no')"),
        (Refused(4), (), ""),
    ]
    assert decode(b'{"$type":"tests.store.payloads.Refused","fields":{"code":1,"why":""}}') == Refused(1)
