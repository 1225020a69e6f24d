"""Sources: the text of functions that are in no file, for tracebacks in other processes. Lean.

A function of a notebook, a shell or a doctest is pickled by value, and only the process that it was typed in has its
text. So the text travels in front of the function, as a call that the unpickling makes first.
"""

from __future__ import annotations

import marshal

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 200_000  # characters of text that travel with one pickle
PENDING: dict[str, str] = {}  # received sources by made-up file names; `linecache` takes 3 ms to import


def read(names: Iterable[str]) -> dict[str, str]:
    """Return the texts that this process has of files that there are not, by their names: `<ipython-input-3>`."""
    import linecache  # noqa: PLC0415 - children import this module

    texts = {name: PENDING.get(name) or "".join(linecache.getlines(name)) for name in names if name.startswith("<")}
    found = {name: text for name, text in texts.items() if text}
    return found if sum(map(len, found.values())) <= MOST else {}


def in_front(data: bytes, texts: dict[str, str]) -> bytes:
    r"""Return a pickle that hands over the texts before it makes its object.

    The bytes are written by hand, for the call is known only when the object is pickled: a name, an argument, a call
    whose result is thrown away (c, B, \x85, R, 0); then the pickle as it is.
    """
    argument = marshal.dumps(texts, 2)
    call = b"cactorflow.process.sources\ntake\nB" + len(argument).to_bytes(4, "little") + argument + b"\x85R0"
    return data[:2] + call + data


def take(argument: bytes) -> None:
    """Keep texts of another process until a traceback needs them."""
    PENDING.update(marshal.loads(argument))  # noqa: S302 - our own process wrote it
    while len(PENDING) > 1000:
        del PENDING[next(iter(PENDING))]


def show() -> None:
    """Have tracebacks of this process show the lines of the sources that have come."""
    if PENDING:
        import linecache  # noqa: PLC0415 - 3 ms, and most tasks do not fail

        for name, text in PENDING.items():
            if name not in linecache.cache:
                linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
