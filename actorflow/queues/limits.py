"""Limits: how many jobs at once, and how many in a time."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from actorflow.errors import DefinitionError

UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
RATE: Final = re.compile(r"(\d+(?:\.\d+)?)/([smhd])")


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: so many a second on average, so many at once."""

    per_second: float
    burst: float


def parse_rate(text: str | None) -> Rate | None:
    """Read "100/m": so many per second, minute, hour or day; the burst is a tenth of them, at least one.

    >>> parse_rate("100/m")
    Rate(per_second=1.6666666666666667, burst=10.0)

    Raises:
        DefinitionError: it is written otherwise.
    """
    if text is None:
        return None
    found = RATE.fullmatch(text) if isinstance(text, str) else None
    if found is None or float(found[1]) <= 0:
        msg = f"rate={text!r}: write a number above 0, '/', and one of s, m, h, d: '100/m'"
        raise DefinitionError(msg)
    count = float(found[1])
    return Rate(count / UNITS[found[2]], max(1.0, count / 10))


@dataclass(frozen=True, slots=True)
class Limit:
    """Limits the jobs of each key: `system.queue("mail", per_key=af.Limit(concurrency=1, rate="10/s"))`.

    Attributes:
        concurrency: jobs of one key at once, over all processes.
        rate: jobs of one key in a time, such as "10/s".

    >>> import actorflow as af
    >>> @af.task
    ... def send(to: str) -> str:
    ...     return f"sent to {to}"
    >>> with af.ActorSystem("demo") as system:
    ...     mail = system.queue("mail", workers=4, per_key=af.Limit(concurrency=1, rate="100/s"))
    ...     mail.enqueue(send.options(key="example.org"), "ann").result(timeout=10)
    'sent to ann'
    """

    concurrency: int | None = None
    rate: str | None = None
    bucket: Rate | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_count("concurrency", self.concurrency)
        object.__setattr__(self, "bucket", parse_rate(self.rate))
        if self.concurrency is None and self.rate is None:
            msg = "Limit(): give a concurrency, a rate, or both"
            raise DefinitionError(msg)


def check_count(name: str, value: int | None) -> None:
    """Refuse a number of things that makes no sense."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        msg = f"{name}={value!r}: a whole number, 1 or more, or None for no limit"
        raise DefinitionError(msg)
