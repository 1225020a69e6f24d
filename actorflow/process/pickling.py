"""Pickling: messages, arguments, results and errors as bytes. Lean: children import it first.

C pickle does the work. Where it fails, or where it would name something in `__main__`, which another process has not
got, cloudpickle takes the value itself: closures, lambdas, classes of a script, a shell or a notebook.
"""

from __future__ import annotations

import marshal
import os
from _pickle import dumps as c_dumps
from _pickle import loads as c_loads

from actorflow.process.sources import show

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pickle import PickleBuffer
    from typing import Any

    from actorflow.errors import PayloadError

PROTOCOL = 5
ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None)})  # they always pickle, without buffers
MOST = (
    2**31 - 64 * 1024
)  # bytes of a pickle; `marshal`, which writes the frames, takes 2 GiB, and some are for wrapping
OUT_OF_BAND = 64 * 1024  # bytes; smaller buffers are copied into the pickle, which costs less than their own write
SEARCH_DEPTH = 20
CHAIN_DEPTH = 8  # causes of an error that travel with it
TEXT = 100_000  # characters of the text of an error, and of what stands for an argument that stays behind


def dumps(obj: Any, what: str = "the message") -> tuple[bytes, list[memoryview]]:
    """Return the object as bytes, and its big buffers, which are not copied: send or copy them before they change.

    Raises:
        PayloadError: it does not pickle; the text names the attribute, `what` being the whole. Or the object is too
            big.
    """
    if type(obj) in ATOMS:  # 0.15 us, and what follows 0.5
        data = c_dumps(obj, PROTOCOL)
        return data if len(data) <= MOST else fitting(data, what), []
    found: list[PickleBuffer] = []
    try:
        data = c_dumps(obj, PROTOCOL, buffer_callback=found.append)
        if not found and b"__main__" not in data and len(data) <= MOST:
            return data, found  # type: ignore[return-value]  # it is empty
    except Exception:  # noqa: BLE001 - whatever it is, cloudpickle may do better, or say what is wrong
        data = b"__main__"
    buffers: list[memoryview] = []

    def keep(buffer: PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND:
            return True
        buffers.append(raw)
        return False

    if b"__main__" in data:
        return by_value(obj, what, keep), buffers
    if not found:
        return fitting(data, what), []
    if min([buffer.raw().nbytes for buffer in found]) >= OUT_OF_BAND:
        return fitting(data, what), [buffer.raw() for buffer in found]
    return fitting(c_dumps(obj, PROTOCOL, buffer_callback=keep), what), buffers


def by_value(obj: Any, what: str, keep: Callable[[PickleBuffer], Any]) -> bytes:
    """Pickle by cloudpickle, which takes functions and classes that no import would find along by value."""
    from actorflow.process.by_value import dumps_by_value  # noqa: PLC0415 - 27 ms, and most messages do without

    try:
        data = dumps_by_value(obj, PROTOCOL, keep)
    except Exception as error:
        raise payload_error(obj, what, error) from error
    return fitting(data, what)


def fitting(data: bytes, what: str) -> bytes:
    """Return a pickle that can be sent.

    Raises:
        PayloadError: it is too big for that.
    """
    if len(data) <= MOST:
        return data
    from actorflow.errors import PayloadError  # noqa: PLC0415 - brings pykka, and is rarely needed

    msg = (
        f"too big to be sent: {what}, {len(data):,} bytes when pickled; the limit is {MOST:,}. Send arrays (numpy, or"
        " pickle.PickleBuffer), which have no limit, or smaller parts, or a file's path"
    )
    raise PayloadError(msg)


def loads(data: bytes | memoryview, buffers: Sequence[memoryview] = ()) -> Any:
    """Return the object; raise the errors of its classes."""
    return c_loads(data, buffers=buffers)


# --- parts that do not pickle ----------------------------------------------------------------------------------------


def payload_error(obj: Any, what: str, error: BaseException) -> PayloadError:
    """Make the error that names the part which does not pickle."""
    from actorflow.errors import PayloadError  # noqa: PLC0415 - brings pykka, and is rarely needed

    try:
        path, part, reason = culprit(obj, what, error)
        return PayloadError(
            f"{path}, a {type(part).__name__}, does not pickle: {str_of(reason) or type(reason).__name__}"
        )
    except Exception:  # noqa: BLE001 - user code: a `repr` or an attribute that raises must not hide the error
        return PayloadError(f"{what} does not pickle: {str_of(error) or type(error).__name__}")


def culprit(obj: Any, path: str, error: BaseException) -> tuple[str, Any, BaseException]:
    """Walk down to the smallest part that does not pickle by itself."""
    seen: set[int] = set()
    for _ in range(SEARCH_DEPTH):
        if hasattr(getattr(type(obj), "__reduce__", None), "__code__"):
            try:
                obj.__reduce__()
            except Exception as refusal:  # noqa: BLE001 - user classes may raise anything
                return path, obj, refusal  # it refuses by itself, and says why
        seen.add(id(obj))
        for step, part in parts(obj):
            if id(part) not in seen and (failure := failure_of(part)) is not None:
                path, obj, error = path + step, part, failure
                break
        else:
            break
    return path, obj, error


def failure_of(part: Any) -> BaseException | None:
    """Return the error with which a part does not pickle, or None."""
    import cloudpickle  # noqa: PLC0415 - see by_value

    try:
        cloudpickle.dumps(part, PROTOCOL)
    except Exception as error:  # noqa: BLE001 - user classes may raise anything
        return error
    return None


def parts(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of an object, each with the way to reach it: ".name", "[3]", "['key']"."""
    if isinstance(obj, dict):
        for key, value in obj.items():
            yield f" (key {key!r:.40})", key
            yield f"[{key!r:.40}]", value
    elif isinstance(obj, (list, tuple)):
        for index, value in enumerate(obj):
            yield f"[{index}]", value
    elif isinstance(obj, (set, frozenset)):
        for value in obj:
            yield f" (member {value!r:.40})", value
    elif hasattr(obj, "__code__"):
        for name, cell in zip(obj.__code__.co_freevars, obj.__closure__ or (), strict=True):
            yield f" (variable {name!r})", cell.cell_contents
        for name in obj.__code__.co_names:
            if name in obj.__globals__:
                yield f" (global {name!r})", obj.__globals__[name]
    names = [name for cls in type(obj).__mro__ for name in getattr(cls, "__slots__", ()) if isinstance(name, str)]
    for name in (*names, *getattr(obj, "__dict__", ())):
        value = getattr(obj, name, None)
        yield f".{name}", value


# --- errors ----------------------------------------------------------------------------------------------------------


def dump_error(error: BaseException, depth: int = 0) -> bytes:
    """Return an error as bytes, its traceback as text; never fails.

    The error travels twice: as pickle would have it, and in parts, from which `load_error` makes it if its class cannot
    be called with its `args`, which breaks most process pools. Of an error that is too big only its text is left.
    """
    cls = type(error)
    name = f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")
    try:
        return dump_whole(error, name, depth)
    except BaseException:  # noqa: BLE001 - user code: a `__dict__`, or `args`, that cannot be read
        return marshal.dumps((None, None, (), {}, name, str_of(error), trace_of(error, name, ""), None, False))


def dump_whole(error: BaseException, name: str, depth: int) -> bytes:
    """Return an error as bytes; raises the errors of its class."""
    cls = type(error)
    state = {str(key): attempt(value) for key, value in getattr(error, "__dict__", {}).items()}
    args: list[Any] = [attempt(arg) or (repr_of(arg),) for arg in getattr(error, "args", ())]
    chained = error.__cause__ if error.__cause__ is not None or error.__suppress_context__ else error.__context__
    chain = None if chained is None or depth >= CHAIN_DEPTH else dump_error(chained, depth + 1)
    is_cause = error.__cause__ is not None
    text = str_of(error)
    whole, kind, trace = attempt(error), attempt(cls), trace_of(error, name, text)
    pickles = (whole, kind, chain, *state.values(), *[arg for arg in args if isinstance(arg, bytes)])
    if sum([len(part or b"") for part in pickles]) > MOST:
        whole, chain, args, state = None, None, [(text,)], {}
    return marshal.dumps((whole, kind, args, state, name, text, trace, chain, is_cause))


def load_error(data: bytes | memoryview) -> BaseException:
    """Make the error again; never fails. Its traceback there is attached as a note.

    An error whose class cannot be called with its `args` is made without its `__init__`; one whose class is not to be
    had here becomes a RemoteError.
    """
    whole, cls, args, state, name, text, trace, chain, is_cause = marshal.loads(data)  # noqa: S302 - our own process wrote it
    error = rebuilt(whole)
    if error is None:
        error = assembled(cls, args, state)
    if error is None:
        from actorflow.errors import RemoteError  # noqa: PLC0415 - brings pykka, and is rarely needed

        error = RemoteError(name, text)
    if trace:
        BaseException.add_note(error, trace)
    if chain is not None:
        chained = load_error(chain)
        if is_cause:
            error.__cause__ = chained
        else:
            error.__context__ = chained
    return error


def rebuilt(whole: bytes | None) -> BaseException | None:
    """Unpickle an error as a whole, if that works."""
    if whole is None:
        return None
    try:
        return noted(loads(whole))
    except BaseException:  # noqa: BLE001 - its class may raise anything, SystemExit too
        return None


def assembled(cls: bytes | None, args: list[Any], state: dict[str, bytes | None]) -> BaseException | None:
    """Make an error from its parts, without its `__init__`; attributes that did not pickle are left out."""
    if cls is None:
        return None
    try:
        kind = loads(cls)
        given = [loads(arg) if isinstance(arg, bytes) else arg[0] for arg in args]
        error = kind.__new__(kind, *given)
        error.args = tuple(given)
        for key, value in state.items():
            if value is not None:
                error.__dict__[key] = loads(value)
        return noted(error)
    except BaseException:  # noqa: BLE001 - its class may raise anything
        return None


def noted(error: Any) -> BaseException | None:
    """Return an error that takes notes; None if it is none, or has no room for them."""
    if not issubclass(type(error), BaseException):
        return None
    notes = getattr(error, "__notes__", None)
    return error if notes is None or type(notes) is list else None


def attempt(part: Any) -> bytes | None:
    """Pickle a part of an error, if that works."""
    try:
        data = dumps(part)[0]
    except BaseException:  # noqa: BLE001 - then it stays behind
        return None
    return data


def trace_of(error: BaseException, name: str, text: str) -> str:
    """Return the traceback in this process as text."""
    if error.__traceback__ is None:
        return ""
    try:
        import traceback  # noqa: PLC0415 - 3 ms, and most results are no errors

        show()
        lines = "".join(traceback.format_tb(error.__traceback__))
    except BaseException:  # noqa: BLE001 - a traceback must not hide the error
        return ""
    return f"Traceback in process {os.getpid()}:\n{lines}{name}: {text}"


def str_of(error: BaseException) -> str:
    """Return the text of an error, also if its `__str__` fails."""
    try:
        return cut(str(error))
    except BaseException as failure:  # noqa: BLE001 - user code
        return f"(its text could not be had: {type(failure).__name__})"


def repr_of(value: Any) -> str:
    """Return the representation of an object, also if its `__repr__` fails."""
    try:
        return object.__repr__(value) if type(value) in ATOMS else cut(repr(value))  # atoms pickle if not too big
    except BaseException:  # noqa: BLE001 - user code
        return object.__repr__(value)


def cut(text: str) -> str:
    """Return the beginning of a text that is too long for anybody to read."""
    text = str.__str__(text)  # of a subclass, which `marshal` would not take
    return text if len(text) <= TEXT else f"{text[:TEXT]}... ({len(text):,} characters)"
