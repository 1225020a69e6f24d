"""Payload: messages, answers and errors as JSON. Layer 3. Never pickle, and no name in it is imported."""

from __future__ import annotations

import builtins
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actorflow.core.actor import ProxyCall, ProxyGetAttr, ProxySetAttr
from actorflow.core.messages import Call, Sent
from actorflow.errors import ActorflowError, PayloadError
from actorflow.store.codec import READERS, decode, encode, encode_json, find_imported, from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.durable.registry import Registry

READING: ContextVar[Registry] = ContextVar("actorflow.durable.reading")  # whose rows are being read

PACKERS: Final[dict[type, Callable[[Any], list[Any]]]] = {
    Call: lambda call: ["call", call.name, plain_args(call.args), plain_kwargs(call.kwargs)],
    Sent: lambda sent: ["send", sent.name, plain_args(sent.args), plain_kwargs(sent.kwargs)],
    ProxyCall: lambda call: ["proxy", list(call.attr_path), plain_args(call.args), plain_kwargs(call.kwargs)],
    ProxyGetAttr: lambda get: ["get", list(get.attr_path)],
    ProxySetAttr: lambda put: ["set", list(put.attr_path), to_plain(put.value, "the value", 1)],
}


def pack(message: Any) -> bytes:
    """Return a message as JSON.

    Raises:
        PayloadError: a part of it cannot be stored; the text names it.
    """
    packer = PACKERS.get(type(message))
    try:
        return encode_json(packer(message) if packer is not None else ["tell", to_plain(message, "message", 1)])
    except (UnicodeEncodeError, msgspec.MsgspecError) as error:
        text = f"message cannot be stored: {error}"
        raise PayloadError(text) from error


def plain_args(args: tuple[Any, ...]) -> list[Any]:
    """Return positional arguments as what JSON has."""
    return [to_plain(value, f"argument {place}", 1) for place, value in enumerate(args)]


def plain_kwargs(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments as what JSON has."""
    return {name: to_plain(value, f"argument {name!r}", 1) for name, value in kwargs.items()}


def unpack(registry: Registry, body: bytes) -> Any:
    """Return the message that was packed: a copy of the one that was sent.

    Raises:
        PayloadError: the row is damaged, or of a class that is not known here.
    """
    token = READING.set(registry)
    try:
        kind, *parts = msgspec.json.decode(body)
        return UNPACKERS[kind](*parts)
    except PayloadError:
        raise
    except Exception as error:
        msg = f"a stored message cannot be read: {error!r}"
        raise PayloadError(msg) from error
    finally:
        READING.reset(token)


def read_args(args: list[Any]) -> tuple[Any, ...]:
    """Return positional arguments."""
    return tuple(from_plain(value, find_imported) for value in args)


def read_kwargs(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments."""
    return {name: from_plain(value, find_imported) for name, value in kwargs.items()}


UNPACKERS: Final[dict[str, Callable[..., Any]]] = {
    "tell": lambda message: from_plain(message, find_imported),
    "call": lambda name, args, kwargs: Call(name, read_args(args), read_kwargs(kwargs)),
    "send": lambda name, args, kwargs: Sent(name, read_args(args), read_kwargs(kwargs)),
    "proxy": lambda path, args, kwargs: ProxyCall(tuple(path), read_args(args), read_kwargs(kwargs)),
    "get": lambda path: ProxyGetAttr(tuple(path)),
    "set": lambda path, value: ProxySetAttr(tuple(path), from_plain(value, find_imported)),
}


def read(registry: Registry, data: bytes) -> Any:
    """Return a value that was stored: an answer, or a state."""
    token = READING.set(registry)
    try:
        return decode(data)
    finally:
        READING.reset(token)


READERS["$actor"] = lambda address: READING.get().ref_to(address)
READERS["$reply"] = lambda number: READING.get().reply_to(number)


# --- errors ----------------------------------------------------------------------------------------------------------


def write_error(error: BaseException) -> bytes:
    """Return an error as JSON: its name, its text, and its arguments if they can be stored."""
    kind = type(error)
    stored: dict[str, Any] = {"name": f"{kind.__module__}.{kind.__qualname__}", "text": str(error)}
    try:
        return encode({**stored, "args": list(error.args)})
    except PayloadError:
        return encode_json({**stored, "args": None})


def read_error(data: bytes) -> Exception:
    """Return the error, if its class is builtin or actorflow's; else an ActorflowError with its name and text."""
    stored = decode(data)
    name, text, args = stored["name"], stored["text"], stored.get("args")
    module, _, short = name.rpartition(".")
    kind = getattr(builtins, short, None) if module == "builtins" else None
    if kind is None and module == "actorflow.errors":
        kind = next((one for one in all_errors(ActorflowError) if one.__name__ == short), None)
    if isinstance(kind, type) and issubclass(kind, Exception) and args is not None:
        try:
            return kind(*args)
        except Exception:  # noqa: BLE001 - its constructor takes other arguments; the text is enough
            return ActorflowError(f"{short}: {text}")
    return ActorflowError(f"{short}: {text}")


def all_errors(kind: type[ActorflowError]) -> list[type[ActorflowError]]:
    """Return a class of errors and all under it."""
    return [kind, *(inner for below in kind.__subclasses__() for inner in all_errors(below))]
