"""Errors as JSON, as they are stored: name, text and arguments, never pickle.

An error is a user's object: its text, its arguments and its class may raise, or be of any size. Errors are stored where
a job or a message ends, so writing one never raises, and is bounded.
"""

from __future__ import annotations

import builtins
import json
from typing import Any, Final

from actorflow.errors import ActorflowError, CompensationFailed, JobFailed, RunFailed, StepFailed
from actorflow.store.codec import decode, encode
from actorflow.text import reason_of, text_of

LONGEST_TEXT: Final = 16_000  # characters of an error's text that are stored
LONGEST_LINE: Final = 1_000  # characters of an error's text below its traceback
FRAMES: Final = 20  # of a traceback, the innermost
CHAINED: Final = 4  # errors that came of each other
OF_PARTS: Final = frozenset(
    {CompensationFailed, JobFailed, RunFailed, StepFailed}
)  # whose `args` are their text, and not what makes them
LARGEST_ARGS: Final = 64_000  # bytes of its arguments; with more, it comes back as its text


def write_error(error: BaseException, *, has_traceback: bool = False) -> bytes:
    """Return an error as JSON: a few hundred kB at most, whatever the error is; it does not raise.

    Only KeyboardInterrupt passes, as a signal may bring it at any time. With `has_traceback` the text shows where the
    error was raised, and its causes.
    """
    text = text_of(error, LONGEST_TEXT, str)
    stored = {"name": name_of_class(type(error)), "text": text, "args": _args(error)}
    if has_traceback:
        stored["traceback"] = traceback_of(error)
    return json.dumps(stored).encode()


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error, and of those that it came from, as Python prints it; its innermost frames."""
    from traceback import format_tb  # noqa: PLC0415 - it takes 5 ms, and most programs have no error

    parts: list[str] = []
    found: BaseException | None = error
    try:
        for _ in range(CHAINED):
            if found is None:
                break
            frames = "".join(format_tb(found.__traceback__, limit=-FRAMES))
            parts.insert(0, f"Traceback (most recent call last):\n{frames}{reason_of(found, LONGEST_LINE)}\n")
            is_cause = found.__cause__ is not None
            found = found.__cause__ if is_cause or found.__suppress_context__ else found.__context__
            if found is not None:
                between = "The above exception was the direct cause of this one" if is_cause else "Then came this one"
                parts.insert(0, f"\n{between}:\n\n")
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - the user's class may do anything
        parts.append(f"<its traceback cannot be made: {reason_of(problem)}>")
    return text_of("".join(parts), LONGEST_TEXT, str)


def _args(error: BaseException) -> str | None:
    """Return an error's arguments as they are stored; None if it cannot be made again from them."""
    try:
        args = list(error.__reduce__()[1] if type(error) in OF_PARTS else error.args)
        if len(args) == 1 and type(args[0]) is str:
            args = [text_of(args[0], LONGEST_TEXT, str)] if len(args[0]) > LONGEST_TEXT else args
        elif any(isinstance(one, (str, bytes)) and len(one) > LARGEST_ARGS for one in args):
            return None
        encoded = encode(args).decode()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - `args` may be a property, of anything
        return None
    return encoded if len(encoded) <= LARGEST_ARGS else None


def name_of_class(kind: type) -> str:
    """Return the full name of a class, even of one whose metaclass or module name is broken.

    Of a class that a package of ours has made of a public error, it is that one's, which can be read again.
    """
    try:
        if issubclass(kind, ActorflowError) and kind.__module__.startswith("actorflow."):
            kind = next(one for one in kind.__mro__ if one.__module__ == ActorflowError.__module__)
        return text_of(f"{kind.__module__}.{kind.__qualname__}", LONGEST_TEXT, str)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a metaclass may do anything
        return "unknown.Error"


def read_traceback(data: bytes | None) -> str | None:
    """Return the traceback that was stored with an error; None without one."""
    try:
        found = json.loads(data).get("traceback") if data is not None else None
    except (ValueError, TypeError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def read_error(data: bytes | None, declared: tuple[type[BaseException], ...] = ()) -> tuple[str, BaseException | None]:
    """Return an error's text, and the error itself if its class is builtin, actorflow's, or declared by the task."""
    if data is None:
        return "no cause is known", None
    try:
        stored = json.loads(data)
        name, text, args = stored["name"], stored["text"], stored.get("args")
        module, _, short = name.rpartition(".")
    except (ValueError, LookupError, TypeError, AttributeError):
        return "its stored error is damaged and cannot be read", None
    kind = getattr(builtins, short, None) if module == "builtins" else None
    if kind is None and module == "actorflow.errors":
        kind = next((one for one in all_errors(ActorflowError) if one.__name__ == short), None)
    if kind is None:
        kind = next((one for one in declared if name_of_class(one) == name), None)
    if args is None or not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return f"{short}: {text}", None
    return f"{short}: {text}", _made_again(kind, args, text)


def _made_again(kind: Any, args: str, text: str) -> BaseException | None:
    """Return an error of a class, by its stored arguments; None if it cannot be made of these: the text is enough."""
    try:
        error: BaseException = kind(*decode(args.encode()))
        if str(error) != text:  # its constructor adds to its arguments
            error.args = (text,)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - its constructor takes other arguments, or raises anything
        return None
    return error


def all_errors(kind: type[ActorflowError]) -> list[type[ActorflowError]]:
    """Return a class of errors and all under it."""
    return [kind, *(inner for below in kind.__subclasses__() for inner in all_errors(below))]
