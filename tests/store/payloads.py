"""Types of payloads."""

import dataclasses
import enum
import functools
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


@dataclass
class Refused(Exception):
    """An exception has `args` beside its fields."""

    code: int
    why: str = ""


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


@dataclass
class Basket:
    """Adds a fee when it is made."""

    cents: int
    fee: int = field(init=False, default=0)

    def __post_init__(self):
        self.cents += 50
        self.fee = 50


@dataclass(frozen=True, slots=True)
class FrozenBasket:
    cents: int
    shown: str = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "shown", f"{self.cents} cents")
        object.__setattr__(self, "cents", self.cents + 50)


@dataclass
class Scaled:
    """Takes more than it keeps."""

    size: int
    factor: dataclasses.InitVar[int] = 2

    def __post_init__(self, factor):
        self.size *= factor


class StructBasket(msgspec.Struct, frozen=True, kw_only=True):
    cents: int
    names: list = []

    def __post_init__(self):
        self.names.append("made")


class Doubled(NamedTuple("Doubled", [("n", int)])):
    __slots__ = ()

    def __new__(cls, n):
        return super().__new__(cls, n * 2)


@dataclass
class Cached:
    n: int

    @functools.cached_property
    def twice(self):
        return self.n * 2


@dataclass
class Extra:
    n: int

    def __post_init__(self):
        self.beside = self.n


@dataclass
class Unset:
    n: int = field(init=False)


class Touchy:
    """Raises whatever it is told to, as soon as one reads its attribute."""

    raised: BaseException = ValueError("no")

    @property
    def n(self):
        raise self.raised

    @n.setter
    def n(self, value):
        pass


TouchyData = dataclass(type("TouchyData", (Touchy,), {"__annotations__": {"n": int}, "__module__": __name__}))


@dataclass(frozen=True)
class Unprintable:
    n: int

    def __repr__(self):
        raise RuntimeError("no text")


@dataclass
class Crate(list):
    """Has items, of which its fields say nothing."""

    owner: str = "ann"


@dataclass(slots=True)
class Slotted:
    n: int = 0


class MoreSlots(Slotted):
    __slots__ = ("more",)


class Couple(NamedTuple):
    a: int
    b: int = 0


class NotedCouple(Couple):
    """Has a `__dict__`."""


@dataclass
class Shown:
    """Its field is another value to all who read it than the one in its `__dict__`."""

    n: int

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        return value + 1 if name == "n" else value


@dataclass
class Measured:
    """The same, by a property."""

    n: int

    def __post_init__(self):
        self.__dict__["n"] = 0


Measured.n = property(lambda _self: 3, lambda _self, _value: None)


@dataclass(frozen=True)
class Mass:
    grams: int


class Coin(Mass, enum.Enum):
    """A dataclass, and an enum."""

    CENT = 2
