"""Payload: messages, answers and errors as JSON. Never pickle, and no name in it is imported."""

from __future__ import annotations

import dataclasses
import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actorflow.core.actors.actor import ProxyCall, ProxyGetAttr, ProxySetAttr
from actorflow.core.messages.messages import Call, Sent
from actorflow.durable.rows.answers import CAUSED, RUN, AnswerAddress, PipedAnswer, StepEnded
from actorflow.errors import ActorflowError, PayloadError
from actorflow.store.classes import find_imported
from actorflow.store.codec import READERS, check_size, decode, decode_json, encode_json, from_plain, to_plain
from actorflow.store.error_json import read_error
from actorflow.tasks.cause import Cause, CausedMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.durable.node.runtime import DurableRuntime

END: Final = b'["end"'  # how the end of a step begins
NULL: Final = b"null"
READING: ContextVar[DurableRuntime] = ContextVar("actorflow.durable.reading")  # whose rows are being read

PACKERS: Final[dict[type, Callable[[Any], list[Any]]]] = {
    Call: lambda call: ["call", call.name, plain_args(call.args), plain_kwargs(call.kwargs)],
    Sent: lambda sent: ["send", sent.name, plain_args(sent.args), plain_kwargs(sent.kwargs)],
    ProxyCall: lambda call: ["proxy", list(call.attr_path), plain_args(call.args), plain_kwargs(call.kwargs)],
    ProxyGetAttr: lambda get: ["get", list(get.attr_path)],
    ProxySetAttr: lambda put: ["set", list(put.attr_path), to_plain(put.value, "the value", 1)],
    PipedAnswer: lambda answer: ["answer", answer.rest, to_plain(answer.value, "the answer", 1), raw(answer.error)],
}


def raw(data: bytes | None) -> msgspec.Raw | None:
    """Return JSON for a place in more of it."""
    return None if data is None else msgspec.Raw(data)


def pack_answer(address: AnswerAddress, value: bytes | None, error: bytes | None, asked: bytes) -> bytes:
    """Return the body of a row with an answer, whose value or error is JSON already; `asked` is that of the ask."""
    if address.receiver.startswith(RUN):
        return pack_end(StepEnded(address.rest, value, error))
    body = encode_json(["answer", address.rest, raw(value), raw(error)])
    return with_cause(body, Cause(*msgspec.json.decode(asked)[1:3]) if asked.startswith(CAUSED) else None)


def pack_end(end: StepEnded) -> bytes:
    """Return the body of a row that tells a run of the end of a step."""
    return encode_json(["end", end.step, raw(end.value), raw(end.error), end.status, end.attempt, end.began])


def unpack_end(body: bytes) -> StepEnded | None:
    """Return the end of a step that a row tells a run of; None if the row tells of something else.

    Raises:
        PayloadError: it is damaged.
    """
    if not body.startswith(END):
        return None
    try:
        _, step, value, error, *job = msgspec.json.decode(body, type=list[msgspec.Raw])
        failed = bytes(error) != NULL
        ended = StepEnded(
            msgspec.json.decode(step, type=list[Any]),
            None if failed else bytes(value),
            bytes(error) if failed else None,
            *(msgspec.json.decode(part) for part in job),
        )
        _turn, _branch, _name, _occurrence = ended.step
    except (msgspec.MsgspecError, ValueError, TypeError) as damage:
        msg = f"the end of a step cannot be read: {damage!r}"
        raise PayloadError(msg) from damage
    return ended


def pack(message: Any, limit: int) -> bytes:
    """Return a message as JSON, of at most `limit` bytes.

    Raises:
        PayloadError: a part of it cannot be stored, or it is over the limit; the text names it.
    """
    packer = PACKERS.get(type(message))
    try:
        body = encode_json(packer(message) if packer is not None else ["tell", to_plain(message, "message", 1)])
    except (UnicodeEncodeError, msgspec.MsgspecError) as error:
        text = f"message cannot be stored: {error}"
        raise PayloadError(text) from error
    if len(body) > limit:
        name = getattr(message, "name", None) if packer is not None else None
        check_size(body, "a message" if name is None else f"a message for {name}()", limit)
    return body


@dataclasses.dataclass(frozen=True, slots=True)
class Caused(CausedMessage):
    """A message that was sent in the handler of an event, or because of such a message.

    Attributes:
        message: the message itself.
        correlation: id of the event that the conversation began with.
        id: of the event in whose handler it was sent.
    """

    message: Any
    correlation: str
    id: str


def with_cause(body: bytes, cause: CausedMessage | Cause | None) -> bytes:
    """Return the body of a message with its cause, if it has one."""
    return body if cause is None else encode_json(["caused", cause.correlation, cause.id, msgspec.Raw(body)])


def plain_args(args: tuple[Any, ...]) -> list[Any]:
    """Return positional arguments as plain JSON values."""
    return [to_plain(value, f"argument {place}", 1) for place, value in enumerate(args)]


def plain_kwargs(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments as plain JSON values."""
    return {name: to_plain(value, f"argument {name!r}", 1) for name, value in kwargs.items()}


def unpack(runtime: DurableRuntime, body: bytes) -> Any:
    """Return the message that was packed: a copy of the one that was sent.

    Raises:
        PayloadError: the row is damaged, or of a class that is not known here.
    """
    token = READING.set(runtime)
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


def read_answer(rest: list[Any], value: Any, error: Any) -> PipedAnswer:
    """Return an answer that comes as a message."""
    name, failed, token = rest
    stored = None if error is None else encode_json(error)
    return PipedAnswer(name, failed, token, from_plain(value, find_imported), stored)


UNPACKERS: Final[dict[str, Callable[..., Any]]] = {
    "tell": lambda message: from_plain(message, find_imported),
    "call": lambda name, args, kwargs: Call(name, read_args(args), read_kwargs(kwargs)),
    "send": lambda name, args, kwargs: Sent(name, read_args(args), read_kwargs(kwargs)),
    "proxy": lambda path, args, kwargs: ProxyCall(tuple(path), read_args(args), read_kwargs(kwargs)),
    "get": lambda path: ProxyGetAttr(tuple(path)),
    "set": lambda path, value: ProxySetAttr(tuple(path), from_plain(value, find_imported)),
    "answer": read_answer,
    "caused": lambda correlation, cause, inner: Caused(UNPACKERS[inner[0]](*inner[1:]), correlation, cause),
}


def read(runtime: DurableRuntime, data: bytes) -> Any:
    """Return a value that was stored: an answer, or a state."""
    token = READING.set(runtime)
    try:
        return decode(data)
    finally:
        READING.reset(token)


def read_sender(runtime: DurableRuntime, data: bytes) -> Any:
    """Return the ref of a stored sender."""
    address = address_in(data)
    return read(runtime, data) if address is None else runtime.ref_to(address)


@functools.lru_cache(1024)
def address_in(data: bytes) -> tuple[str, str] | None:
    """Return the name and the class of a durable actor by its stored ref; None if it is another's, or damaged.

    Most messages have few senders: 0.1 us in place of 2.
    """
    try:
        ((tag, (name, kind)),) = decode_json(data).items()
    except Exception:  # noqa: BLE001 - whoever reads it in full says what is wrong with it
        return None
    return (name, kind) if tag == "$actor" and type(name) is type(kind) is str else None


READERS["$actor"] = lambda address: READING.get().ref_to(address)
READERS["$reply"] = lambda number: READING.get().reply_to(number)


def read_failure(data: bytes | None) -> Exception:
    """Return a stored error, if its class is builtin or actorflow's; else an ActorflowError with its name and text."""
    text, error = read_error(data)
    return error if isinstance(error, Exception) else ActorflowError(text)
