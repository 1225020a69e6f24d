"""Statements: SQL by name, from the files beside a dialect's code.

A file `jobs.sql` holds statements, each under a line `-- name: claim`; they are known as `jobs.claim`. Parameters are
written `:name` in every dialect.
"""

from __future__ import annotations

import difflib
import re
from importlib.resources import files
from typing import Final

from actorflow.errors import DefinitionError, StoreError, StoreOutdated

NAME: Final = re.compile(r"^-- name: (\w+)[ \t]*$", re.MULTILINE)
PARAMETER: Final = re.compile(r"(?<![:\w]):(\w+)")


class Statements(dict[str, str]):
    """SQL by name; a name that is not there is a DefinitionError."""

    def __missing__(self, name: str) -> str:
        """Name the nearest."""
        near = difflib.get_close_matches(name, self, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "they are in the *.sql files of the dialects"
        msg = f"no statement is named {name!r}; {hint}"
        raise DefinitionError(msg)


def statements(package: str) -> Statements:
    """Read all statements of a dialect, by file and name."""
    found = Statements()
    for file in sorted(files(package).iterdir(), key=lambda one: one.name):
        if not file.name.endswith(".sql"):
            continue
        stem = file.name.removesuffix(".sql")
        _, *parts = NAME.split(file.read_text(encoding="utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            found[f"{stem}.{name}"] = text.strip().removesuffix(";")
    return found


def migrations(package: str) -> list[tuple[int, str]]:
    """Read the numbered files that make the tables: (version, SQL), in order.

    Raises:
        DefinitionError: numbers are missing.
    """
    found = sorted(
        (int(file.name.partition("_")[0]), file.read_text(encoding="utf-8"))
        for file in files(package).joinpath("migrations").iterdir()
        if file.name.endswith(".sql")
    )
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        msg = f"the migrations of {package} are not numbered 1 to {len(found)}"
        raise DefinitionError(msg)
    return found


def check_current(place: str, found: int, known: int) -> None:
    """Refuse tables that are not of this code's version, where they are not to be made or updated.

    Raises:
        DefinitionError: there are none.
        StoreError: they are older.
    """
    if found == 0:
        msg = f"{place}: the database has no tables of actorflow: is it the right one?"
        raise DefinitionError(msg)
    if found < known:
        msg = (
            f"{place}: its tables are of version {found}, this actorflow works on {known}: use the actorflow of the "
            f"processes that work there; or end them, then `actorflow store migrate {place}`"
        )
        raise StoreError(msg)


def outdated(place: str, found: int, known: int) -> StoreOutdated:
    """Return the error for tables that newer code has changed."""
    return StoreOutdated(f"{place}: its tables are of version {found}, this actorflow knows {known}: update actorflow")


def with_percent(sql: str) -> str:
    """Return a statement with its parameters as psycopg has them."""
    return PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))
