"""Event classes: their names, versions and keys, and the stored form that upcasters bring up to date."""

from __future__ import annotations

import datetime as dt
import pickle
import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import pytest

import actorflow as af
from actorflow.events.event import EventType, decode_event, encode_event


@dataclass(frozen=True)
class Line:
    article: str
    count: int


@af.event(name="test.orders.placed", version=3, key="order")
@dataclass(frozen=True)
class Placed:
    order: str
    cents: int
    at: dt.datetime | None = None
    lines: tuple[Line, ...] = ()


@af.upcast(Placed, version=1)
def from_euros(fields: dict[str, Any]) -> dict[str, Any]:
    return {"order": fields["order"], "cents": fields["euros"] * 100}


@af.upcast(Placed, version=2)
def with_prefix(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "order": f"o-{fields['order']}"}


@af.event(name="test.orders.paid", version=4, key="order")
class Paid(msgspec.Struct):
    order: int
    cents: int = 0


@dataclass
class Plain:
    n: int


@dataclass(frozen=True)
class Late(Placed):
    days: int = 0


@af.event(name="test.checked")
@dataclass
class Checked:
    n: int
    made: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.made += 1


class Pair(NamedTuple):
    a: int
    b: int


class Hostile:
    """An object whose every method raises."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __repr__(self) -> str:
        raise RuntimeError("no text")


def test_an_event_class_is_known_by_its_name_and_version() -> None:
    assert EventType.of(Placed) == EventType("test.orders.placed", 3, "order", Placed)
    assert EventType.by_name("test.orders.placed") is EventType.of(Placed)
    assert EventType.of(Placed).key_of(Placed("o1", 5)) == "o1"


def test_a_plain_dataclass_is_an_event_of_the_name_of_its_class() -> None:
    name = f"{Plain.__module__}.Plain"
    assert EventType.of(Plain) == EventType(name, 1, None, Plain)
    assert EventType.of(Plain).key_of(Plain(1)) is None


def test_a_subclass_of_an_event_has_a_name_of_its_own_and_the_key_of_its_base() -> None:
    assert EventType.of(Late) == EventType(f"{Late.__module__}.Late", 1, "order", Late)


@pytest.mark.parametrize(
    "event",
    [
        Placed("o1", 5, dt.datetime(2026, 1, 2, tzinfo=dt.UTC), (Line("a", 1), Line("b", 2))),
        Paid(7, 3),
        Paid(7),
    ],
)
def test_an_event_comes_back_from_its_stored_form(event: object) -> None:
    name, version, body = encode_event(event)
    assert (name, version) == (EventType.of(type(event)).name, EventType.of(type(event)).version)
    back = decode_event(name, version, body)
    assert type(back) is type(event)
    assert back == event


def test_a_stored_event_is_the_plain_object_of_its_fields() -> None:
    assert encode_event(Plain(3))[2] == b'{"n":3}'
    assert encode_event(Paid(3))[2] == b'{"order":3,"cents":0}'


def test_reading_an_event_does_not_run_its_post_init() -> None:
    event = Checked(1)
    assert decode_event(*encode_event(event)).made == 1


def test_an_older_event_goes_through_the_upcasters_one_after_the_other() -> None:
    assert decode_event("test.orders.placed", 1, b'{"order":"7","euros":3}') == Placed("o-7", 300)
    assert decode_event("test.orders.placed", 2, b'{"order":"7","cents":3}') == Placed("o-7", 3)
    assert decode_event("test.orders.placed", 3, b'{"order":"7","cents":3}') == Placed("7", 3)


def test_an_event_of_an_unknown_name_or_a_newer_version_is_refused() -> None:
    with pytest.raises(af.UnknownEvent, match=r"'test\.nothing' of version 1") as unknown:
        decode_event("test.nothing", 1, b"{}")
    assert (unknown.value.name, unknown.value.version, unknown.value.known) == ("test.nothing", 1, 0)
    with pytest.raises(af.UnknownEvent, match="version 3 here: start the newer program"):
        decode_event("test.orders.placed", 4, b"{}")


def test_a_name_of_something_that_is_no_event_is_unknown() -> None:
    with pytest.raises(af.UnknownEvent):
        decode_event(f"{__name__}.Hostile", 1, b"{}")
    with pytest.raises(af.UnknownEvent):
        decode_event("os.path", 1, b"{}")


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_missing_upcaster_is_named_with_the_cure(version: int) -> None:
    with pytest.raises(af.UpcastFailed, match=rf"@af\.upcast\(Paid, version={version}\)") as failed:
        decode_event("test.orders.paid", version, b'{"order":1}')
    assert failed.value.version == version


def test_an_upcaster_that_fails_is_named_with_its_reason() -> None:
    with pytest.raises(af.UpcastFailed, match="KeyError: 'euros'") as failed:
        decode_event("test.orders.placed", 1, b'{"order":"7"}')
    assert isinstance(failed.value.__cause__, KeyError)


def test_an_upcaster_that_returns_no_fields_is_refused() -> None:
    @af.event(name="test.odd", version=2)
    @dataclass
    class Odd:
        n: int

    results: list[Any] = [[("n", 1)], {1: 2}, None, {"m": 1}, Hostile()]

    @af.upcast(Odd, version=1)
    def read(fields: dict[str, Any]) -> dict[str, Any]:
        return results[fields["which"]]

    for which in range(len(results)):
        with pytest.raises(af.UpcastFailed):
            decode_event("test.odd", 1, b'{"which":%d}' % which)


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"3", b"null", b'{"order":', b'{"cents":1}', b'{"$type":"x","fields":{}}']
)
def test_a_damaged_event_is_a_payload_error(body: bytes) -> None:
    with pytest.raises(af.PayloadError):
        decode_event("test.orders.placed", 3, body)


def test_an_event_that_cannot_be_stored_names_its_field() -> None:
    with pytest.raises(af.PayloadError, match=r"Plain\.n"):
        encode_event(Plain(Hostile()))  # type: ignore[arg-type]
    with pytest.raises(af.PayloadError, match="is no event"):
        encode_event(Hostile())


def test_what_is_no_dataclass_or_struct_is_no_event() -> None:
    with pytest.raises(af.DefinitionError, match="above @dataclass"):
        af.event(name="test.none")(Hostile)
    for other in (3, Pair, msgspec.Struct, lambda: None):
        with pytest.raises(af.DefinitionError):
            af.event(other)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["", ".", "a..b", "a.", "a b", "a.*", "x" * 201, 3, "a\n"])
def test_a_name_that_is_no_topic_is_refused(name: Any) -> None:
    with pytest.raises(af.DefinitionError, match="name="):
        af.event(name=name)(Plain)


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, True, None])
def test_a_version_that_is_no_number_from_1_is_refused(version: Any) -> None:
    with pytest.raises(af.DefinitionError, match="version="):
        af.event(name="test.v", version=version)(Plain)


def test_a_key_that_is_no_field_is_refused() -> None:
    with pytest.raises(af.DefinitionError, match="its fields are n"):
        af.event(name="test.k", key="order")(Plain)


def test_two_classes_cannot_have_one_name() -> None:
    @dataclass
    class Other:
        n: int

    with pytest.raises(af.DefinitionError, match=r"Placed is named 'test\.orders\.placed' already"):
        af.event(name="test.orders.placed")(Other)
    assert EventType.by_name("test.orders.placed").cls is Placed  # type: ignore[union-attr]


def test_a_module_that_is_loaded_again_declares_its_events_again() -> None:
    def load() -> type[Any]:
        @af.event(name="test.again")
        @dataclass
        class Again:
            n: int

        return Again

    first, second = load(), load()
    assert EventType.by_name("test.again").cls is second  # type: ignore[union-attr]
    assert EventType.of(first).name == "test.again"


@pytest.mark.parametrize("version", [0, 3, 4, "1", True])
def test_an_upcaster_reads_a_version_below_that_of_the_class(version: Any) -> None:
    with pytest.raises(af.DefinitionError, match="reads a version below"):
        af.upcast(Placed, version=version)


def test_a_version_has_one_upcaster() -> None:
    with pytest.raises(af.DefinitionError, match="from_euros reads this version already"):
        af.upcast(Placed, version=1)(lambda fields: fields)


def test_an_async_upcaster_is_refused() -> None:
    async def read(fields: dict[str, Any]) -> dict[str, Any]:
        return fields

    with pytest.raises(af.DefinitionError, match="plain function"):
        af.upcast(Paid, version=1)(read)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("key", "text"), [("a", "a"), (3, "3"), (None, None), (uuid.UUID(int=1), str(uuid.UUID(int=1)))]
)
def test_a_key_is_text(key: Any, text: str | None) -> None:
    assert EventType.of(Paid).key_of(Paid(key)) == text


@pytest.mark.parametrize("key", [True, 1.5, b"a", Hostile()])
def test_a_key_of_another_type_is_refused(key: Any) -> None:
    with pytest.raises(af.DefinitionError, match=r"test\.orders\.paid\.order is"):
        EventType.of(Paid).key_of(Paid(key))


def test_the_errors_survive_pickling() -> None:
    for error in (af.UnknownEvent("a", 2, 1), af.UpcastFailed("a", 1, "why")):
        back = pickle.loads(pickle.dumps(error))
        assert str(back) == str(error)
        assert vars(back) == vars(error)


# --- the place of an event among the others --------------------------------------------------------------------------


@af.event(name="test.stock.released")
@dataclass(frozen=True)
class Released:
    order: str


@af.event(name="test.stock.reserved", undo=Released, external=True)
@dataclass(frozen=True)
class Reserved:
    order: str


@dataclass(frozen=True)
class ReservedLate(Reserved):
    days: int = 0


@af.event(name="test.stock.reserved.twice", external=False)
@dataclass(frozen=True)
class ReservedTwice(Reserved):
    count: int = 0


@af.event(undo=False, failure=True)
@dataclass(frozen=True)
class Refused:
    order: str


def test_an_event_has_its_undo_event_and_says_that_it_is_a_failure_or_external():
    assert (EventType.of(Reserved).undo, EventType.of(Reserved).failure, EventType.of(Reserved).external) == (
        Released,
        False,
        True,
    )
    assert (EventType.of(Refused).undo, EventType.of(Refused).failure) == (False, True)
    assert (EventType.of(Released).undo, EventType.of(Released).external) == (None, False)


def test_a_class_below_takes_these_from_the_one_above_unless_it_says_otherwise():
    assert (EventType.of(ReservedLate).undo, EventType.of(ReservedLate).external) == (Released, True)
    assert (EventType.of(ReservedTwice).undo, EventType.of(ReservedTwice).external) == (Released, False)


class Grim:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"undo": "stock.released"}, "undo='stock.released': give the class of the event of its undo, or False"),
        ({"undo": True}, "undo=True: give the class"),
        ({"undo": int}, "undo="),
        ({"undo": Grim()}, "undo="),
        ({"failure": 1}, "failure=1: give True or False"),
        ({"external": "yes"}, "external='yes': give True or False"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(options, text):
    with pytest.raises(af.DefinitionError) as caught:
        af.event(**options)
    assert text in str(caught.value)
