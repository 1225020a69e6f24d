"""Lines: the place of a table or a key in a TOML file, for errors; the library's reader does not keep it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HEADER: Final = re.compile(r"\s*\[(\[?)\s*([\w.\-]+)\s*\]")


@dataclass(frozen=True)
class TablePlace:
    """A table of a file.

    Attributes:
        file: its name.
        lines: its text.
        table: name of the table; "": the keys above all tables.
        number: of the tables of that name, from 1; 0: there is one.
    """

    file: str
    lines: tuple[str, ...]
    table: str = ""
    number: int = 0

    def of(self, key: str = "") -> str:
        """Return the place of a key, or of the table, in words."""
        line = self._line(key)
        where = self.file if line is None else f"{self.file}, line {line}"
        if self.table:
            where += f", [[{self.table}]] {self.number}" if self.number else f", [{self.table}]"
        return where

    def _line(self, key: str) -> int | None:
        """Return the line of a key, or else that of the table; None: it is written in a form that is not looked for."""
        wanted = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=") if key else None
        found, table, count = None, "", 0
        for number, line in enumerate(self.lines, 1):
            header = HEADER.match(line)
            if header is not None:
                table = header[2]
                count += table == self.table
            is_here = table == self.table and (not self.number or count == self.number)
            if is_here and header is not None:
                found = number
            if is_here and wanted is not None and wanted.match(line):
                return number
        return found
