"""Text: bounded, harmless text of objects that belong to the user.

The `repr` or `str` of a message, a result or an error is code of its user: it may raise anything, return megabytes, or
hold characters that a file or a database refuses. Code that logs such an object, stores its text or puts it into an
error takes the text from here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, Final

LIMIT: Final = 200  # characters, as much as a log line carries
LONGEST_ERROR: Final = 4_000  # characters of an error that ends a command: its one line

ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_KIND_NAME: Final = type.__dict__["__qualname__"].__get__  # no metaclass can answer in its place
_LONG: Final = (str, bytes, bytearray)  # cut before their repr is made: that takes four times their size


def text_of(value: object, limit: int = LIMIT, render: Callable[[Any], str] = repr) -> str:
    r"""Return text of any object: never an error, at most about `limit` characters, fit for every log and database.

    Text that is cut ends with a mark that says how long it was. An object whose own `repr` (or `render`, say `str`)
    raises is named by its class. Only a Ctrl-C in the main thread goes through, since it concerns the whole program.

    >>> text_of(["an", "order"])
    "['an', 'order']"
    >>> text_of("x" * 10_000_000, 20)
    "'xxxxxxxxxxxxxxxxxxx... [10000000 characters in all]"
    >>> text_of(ValueError("a NUL \0"), render=str)
    'a NUL \\x00'
    """
    try:
        whole = len(value) if type(value) in _LONG else 0  # type: ignore[arg-type]
        text = "".join((render(value[:limit] if whole > limit else value),))  # type: ignore[index]  # a plain str
        whole = max(whole, len(text))
        shown = text[:limit]
        if not shown.isascii() or "\0" in shown:
            shown = shown.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    except BaseException as error:
        if issubclass(type(error), KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        return f"<{_KIND_NAME(type(value))}, whose text cannot be made: {_KIND_NAME(type(error))}>"
    return shown if whole <= limit else f"{shown}... [{whole} characters in all]"


def stable_text(value: object, limit: int = LIMIT, render: Callable[[Any], str] = repr) -> str:
    """Return text of any object as `text_of` does, without addresses: it is the same in each process.

    >>> stable_text(lambda: 1)
    '<function <lambda>>'
    """
    return ADDRESS.sub("", text_of(value, limit, render))


def plural(number: float, noun: str, form: str = "") -> str:
    """Return a number with its noun, which is in the plural unless it is one.

    >>> plural(1, "second"), plural(0.5, "second"), plural(3, "try"), plural(1200, "row", ",")
    ('1 second', '0.5 seconds', '3 tries', '1,200 rows')
    """
    if number != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:{form or ('g' if isinstance(number, float) else 'd')}} {noun}"


class Shown:
    """An object as the argument of a log line: its text is made by `text_of`, and filters find itself in `value`.

    >>> "failed: %s" % Shown(ValueError("no such order"))
    'failed: no such order'
    """

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __str__(self) -> str:
        return text_of(self.value, render=str)

    def __repr__(self) -> str:
        return text_of(self.value)


def reason_of(error: BaseException | None, limit: int = LIMIT) -> str:
    """Return the class of an error and its message, as the last line of a traceback has them.

    >>> reason_of(KeyError("order-7"))
    "KeyError: 'order-7'"
    """
    if error is None:
        return "None"
    said = text_of(error, limit, str)
    return f"{_KIND_NAME(type(error))}: {said}" if said else _KIND_NAME(type(error))
