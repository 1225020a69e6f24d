"""Faults: errors as they are stored: name, text and arguments, never pickle. Layer 2."""

from __future__ import annotations

import builtins
import json
from typing import Any

from actorflow.errors import ActorflowError, PayloadError
from actorflow.store.codec import decode, encode


def write_error(error: BaseException) -> bytes:
    """Return an error as JSON."""
    kind = type(error)
    stored: dict[str, Any] = {"name": f"{kind.__module__}.{kind.__qualname__}", "text": str(error)}
    try:
        stored["args"] = encode(list(error.args)).decode()
    except PayloadError:
        stored["args"] = None
    return json.dumps(stored).encode()


def read_error(data: bytes | None, declared: tuple[type[BaseException], ...] = ()) -> tuple[str, BaseException | None]:
    """Return an error's text, and the error itself if its class is builtin, actorflow's, or declared by the task."""
    if data is None:
        return "no cause is known", None
    stored = json.loads(data)
    name, text, args = stored["name"], stored["text"], stored.get("args")
    module, _, short = name.rpartition(".")
    kind = getattr(builtins, short, None) if module == "builtins" else None
    if kind is None and module == "actorflow.errors":
        kind = next((one for one in all_errors(ActorflowError) if one.__name__ == short), None)
    if kind is None:
        kind = next((one for one in declared if f"{one.__module__}.{one.__qualname__}" == name), None)
    error: BaseException | None = None
    if isinstance(kind, type) and issubclass(kind, BaseException) and args is not None:
        try:
            error = kind(*decode(args.encode()))
            if str(error) != text:  # its constructor adds to what it is given
                error.args = (text,)
        except Exception:  # noqa: BLE001 - its constructor takes other arguments; the text is enough
            error = None
    return f"{short}: {text}", error


def all_errors(kind: type[ActorflowError]) -> list[type[ActorflowError]]:
    """Return a class of errors and all under it."""
    return [kind, *(inner for below in kind.__subclasses__() for inner in all_errors(below))]
