"""Promises: writing an error never raises, and is bounded, whatever the error is."""

import asyncio
import json

import pytest

from actorflow.errors import HostDied, MemoryLimit, StoreError
from actorflow.process.pool.death import of_worker
from actorflow.store.error_json import LARGEST_ARGS, LONGEST_TEXT, read_error, read_traceback, write_error
from tests.store.payloads import Plain, TouchyData

RAISED = [RuntimeError("no text"), SystemExit(3), GeneratorExit(), asyncio.CancelledError(), BaseException("bare")]


class Raising(Exception):
    """Its text, its repr and its arguments raise."""

    raised: BaseException = ValueError()

    def __str__(self):
        raise self.raised

    __repr__ = __str__

    @property
    def args(self):
        raise self.raised


class Mute(Exception):
    def __str__(self):
        return None  # noqa: PLE0307 - a mistake on purpose


class Sly(str):
    __slots__ = ()

    def __len__(self):
        raise RuntimeError

    def __getitem__(self, key):
        raise RuntimeError


class Subtle(Exception):
    def __str__(self):
        return Sly("a text of a class of its own")


class Meta(type):
    @property
    def __module__(cls):
        raise SystemExit


class Nameless(Exception, metaclass=Meta):
    pass


@pytest.mark.parametrize("raised", RAISED, ids=repr)
def test_an_error_whose_text_and_arguments_raise_is_written(raised):
    error = Raising()
    error.raised = raised
    text, back = read_error(write_error(error), (Raising,))
    assert text == f"Raising: <Raising, whose text cannot be made: {type(raised).__name__}>"
    assert not isinstance(back, Raising) or back.args == ()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Mute(), "Mute: <Mute, whose text cannot be made: TypeError>"),
        (Subtle(), "Subtle: a text of a class of its own"),
        (Nameless("x"), "Error: x"),
        (ValueError("\ud800\x00"), r"ValueError: \ud800\x00"),
        (ValueError(Plain), "ValueError: <class 'tests.store.payloads.Plain'>"),
        (ValueError(TouchyData(1)), None),
        (SystemExit(3), "SystemExit: 3"),
        (ExceptionGroup("several", [ValueError(1)]), "ExceptionGroup: several (1 sub-exception)"),
        (type("Long" * 100_000, (Exception,), {})("x"), None),
    ],
    ids=lambda value: type(value).__name__[:20],
)
def test_strange_errors_are_written(error, text):
    read, _ = read_error(write_error(error))
    assert text is None or read == text


def test_a_signal_that_raises_meanwhile_is_not_swallowed():
    error = Raising()
    error.raised = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        write_error(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x" * 40_000_000),
        ValueError("x" * 40_000_000, 1),
        ValueError(b"x" * 40_000_000),
        ValueError(["x" * 1000] * 10_000),
        ValueError("\U0001f600" * 1_000_000),
        OSError(2, "y" * 1_000_000),
    ],
    ids=range(6),
)
def test_a_long_text_is_cut_with_a_mark(error):
    data = write_error(error)
    assert len(data) < 12 * 2 * LONGEST_TEXT + 2 * LARGEST_ARGS + 1000
    text, back = read_error(data)
    assert "characters in all]" in text
    assert back is None or str(back) in text


def test_an_error_comes_back_as_it_was():
    for error in (ValueError("a", 1), KeyError("k"), StoreError("disk")):
        text, back = read_error(write_error(error))
        assert text == f"{type(error).__name__}: {error}"
        assert type(back) is type(error)
        assert str(back) == str(error)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"7", b"null", b'{"name":7,"text":"x"}', b'{"text":"x"}'])
def test_a_stored_error_that_is_damaged_is_read_all_the_same(data):
    assert read_error(data) == ("its stored error is damaged and cannot be read", None)


class Exits(Exception):
    def __init__(self, *_):
        super().__init__(*_)
        if Exits.now:
            raise SystemExit

    now = False


def test_a_class_that_exits_when_its_error_is_made_again_leaves_the_text():
    data = write_error(Exits("x"))
    Exits.now = True
    try:
        assert read_error(data, (Exits,)) == ("Exits: x", None)
    finally:
        Exits.now = False
    assert json.loads(data)["text"] == "x"


@pytest.mark.parametrize(
    "died", [HostDied("w", signal=9), MemoryLimit("w", rss=5)], ids=lambda error: type(error).__name__
)
def test_an_error_that_a_pool_has_made_of_a_public_one_comes_back_as_the_public_one(died):
    text, back = read_error(write_error(of_worker(died)))
    assert type(back) is type(died)
    assert text.startswith(f"{type(died).__name__}: ")


def test_a_traceback_is_stored_with_its_causes_and_is_bounded():
    def deep(n: int) -> None:
        if n:
            deep(n - 1)
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("x" * 1_000_000) from error

    with pytest.raises(ValueError) as caught:
        deep(100)
    data = write_error(caught.value, has_traceback=True)
    assert len(data) < 100_000
    text = read_traceback(data)
    assert text is not None
    assert text.index("KeyError: 'inner'") < text.index("direct cause") < text.index("ValueError: xxx")
    assert read_traceback(write_error(caught.value)) is None
    assert read_traceback(b"\xff") is None


def test_an_error_that_is_its_own_cause_has_a_traceback():
    error = ValueError("round")
    error.__cause__ = error
    assert "round" in str(read_traceback(write_error(error, has_traceback=True)))
