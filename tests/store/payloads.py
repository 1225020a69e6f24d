"""Types of payloads."""

import dataclasses
import enum
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Flags(enum.Flag):
    A = 1
    B = 2


@dataclass(frozen=True)
class Address:
    street: str
    number: int = 0


@dataclass
class Order:
    id: str
    to: Address
    lines: list[object] = field(default_factory=list)
    total: float = dataclasses.field(init=False, default=0.0)


@dataclass
class Gift(Order):
    """A subclass: must not be cut to its base."""

    card: str = ""


@dataclass(slots=True)
class Point:
    x: float
    y: float


class Sent(msgspec.Struct):
    order: object
    at: object = None


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """A struct that is hashable and keyword-only."""

    name: str


class Outer:
    @dataclass
    class Inner:
        value: int


class Plain:
    """Cannot be stored."""


class MyList(list):
    """Cannot be stored: it would come back as a list."""


class MyStr(str):
    __slots__ = ()


class Pair(NamedTuple):
    left: int
    right: int


@dataclass
class Strict:
    """Says no when it is made with nonsense."""

    n: int

    def __post_init__(self):
        if self.n < 0:
            raise ValueError("n < 0")
