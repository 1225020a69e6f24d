"""Topics: the dotted names of events, and the patterns that choose among them."""

from __future__ import annotations

import functools
import re
from typing import Final

from actorflow.errors import DefinitionError
from actorflow.text import text_of

LONGEST: Final = 200  # characters of a name
NAME: Final = re.compile(r"[^.\s*]+(?:\.[^.\s*]+)*")
PART: Final = r"[^.]+"


def check_topic(name: object, what: str) -> str:
    """Return the name of an event, such as "orders.placed".

    Raises:
        DefinitionError: it is no text, too long, or has empty parts, spaces or stars.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name) or not name.isprintable():
        msg = f"{what}={text_of(name)}: give words with dots between them, such as 'orders.placed'"
        raise DefinitionError(msg)
    if len(name) > LONGEST:
        msg = f"{what}={text_of(name)}: a name has at most {LONGEST} characters"
        raise DefinitionError(msg)
    return name


@functools.lru_cache(1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the expression for a pattern: `*` is one part of a name, or some of its letters, `**` one or more parts.

    Raises:
        DefinitionError: a part of the pattern is empty, or has `**` among other characters.

    >>> [bool(compiled("orders.*").fullmatch(name)) for name in ("orders.placed", "orders", "orders.item.added")]
    [True, False, False]
    >>> bool(compiled("orders.**").fullmatch("orders.item.added"))
    True
    """
    parts: list[str] = []
    for part in pattern.split("."):
        if part == "*":
            parts.append(PART)
        elif part == "**":
            parts.append(rf"{PART}(?:\.{PART})*")
        elif not part or "**" in part or re.search(r"\s", part):
            msg = f"pattern {text_of(pattern)}: write 'orders.*' for one part of a name, 'orders.**' for one or more"
            raise DefinitionError(msg)
        else:
            parts.append("[^.]*".join(map(re.escape, part.split("*"))))
    return re.compile(r"\.".join(parts))


def matches(pattern: str, name: str) -> bool:
    """Say whether the name of an event fits a pattern."""
    return compiled(pattern).fullmatch(name) is not None
