"""Driver: psycopg, imported when the first PostgreSQL store is opened."""

from __future__ import annotations

import re
from typing import Any, Final

from actorflow.errors import DefinitionError, StoreError

SILENT: Final = "the server does not answer: is it stopped, or cut off?"
PASSWORD: Final = re.compile(r"(password=)[^&]*", re.IGNORECASE)  # as a parameter of a URL
LONGER: Final = "set local idle_in_transaction_session_timeout = '60s'"


def psycopg_module() -> Any:
    """Return psycopg.

    Raises:
        DefinitionError: it is not installed.
    """
    try:
        import psycopg  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = f"a postgresql:// store needs psycopg ({error}): pip install 'actorflow[postgres]'"
        raise DefinitionError(msg) from error
    return psycopg


def shown(url: str) -> str:
    """Return a URL without its password, for texts."""
    head, at, tail = url.rpartition("@")
    scheme, slashes, user = head.partition("//")
    return PASSWORD.sub(r"\1...", f"{scheme}{slashes}{user.partition(':')[0]}{at}{tail}")


def store_error(url: str, error: Exception) -> StoreError:
    """Return the error with the server's own words, and the cure."""
    state = getattr(error, "sqlstate", None) or ""
    text = " ".join(str(error).split())
    cure = next((cure for start, cure in CURES.items() if state.startswith(start)), "")
    if not state:  # an error of the connection has none
        cure = next((cure for part, cure in REFUSALS.items() if part in text), "")
    return StoreError(f"{shown(url)}: {text}{f' ({state})' if state else ''}{f'; {cure}' if cure else ''}")


def ends_session(error: Exception) -> bool:
    """Say whether the server has ended the session with an error, though the end of the connection may be yet to come.

    It has with each error that it calls fatal, and says so by its state if it shuts down (class 57P).
    """
    diag = getattr(error, "diag", None)
    is_fatal = diag is not None and diag.severity_nonlocalized in {"FATAL", "PANIC"}
    return is_fatal or (getattr(error, "sqlstate", None) or "").startswith("57P0")


CURES: Final = {
    "42501": "this user must be allowed to make the schema `actorflow`, or to use it",
    "53100": "nothing of it was written; make room on the server's disk, and it goes on",
    "55P03": "another process has held rows that this work needs for over 30 s in one transaction",
    "25P03": "this process had a transaction open for over 10 s (a task 60 s); was it stopped?",
}
REFUSALS: Final = {
    "does not exist": "make it first: createdb, createuser",
    "authentication failed": "check the user and the password in the URL",
    "too many clients": "a process has 3 connections: raise max_connections, or run fewer processes",
    "remaining connection slots": "a process has 3 connections: raise max_connections, or run fewer processes",
    "Connection refused": "is the server running there?",
    "No such file": "is the server running there?",
    "resolve": "is the host's name right?",
}
ABSENT: Final = (  # of a server that starts with us, as in a compose file; a proxy before it closes what it took
    "Connection refused",
    "No such file",
    "is starting up",
    "is shutting down",
    "is not yet accepting connections",
    "timeout expired",
    "server closed the connection unexpectedly",
    "Connection reset",
    "No route to host",
    "Temporary failure in name resolution",
)
PASSING: Final = frozenset({"40001", "40P01", "23505"})  # serialization, deadlock, and two that insert the same at once


def is_yet_to_come(error: StoreError) -> bool:
    """Say whether a server may be there soon, since it is starting; one that refuses us is there."""
    text = str(error)
    return any(part in text for part in ABSENT)


def is_passing(error: BaseException) -> bool:
    """Say whether the server refused because of a clash with other transactions, so that another try may succeed."""
    return getattr(error.__cause__, "sqlstate", None) in PASSING
