"""Tape: the choices of one simulated run, by name, and what was left out of it.

A choice is known by its source, the client event that it comes of, and how many of that name came before. So a client
event that is left out takes its own choices along, and no others move.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from actorflow.errors import DefinitionError
from actorflow.text import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMAT = 1


@dataclass(frozen=True)
class Tape:
    """The choices of one run.

    Attributes:
        seed: of the run that it was recorded from; random numbers that are no choices, as of `ctx.random`, come of it.
        choices: by name; past the end of a list, and without a list, a choice is 0: the oldest message, the shortest
            latency, no fault.
        left_out: numbers of client events and of faults that do not happen: "event 3", "fault 0".
    """

    seed: int
    choices: dict[str, list[int]] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """How many choices are not 0."""
        return sum(1 for values in self.choices.values() for value in values if value)

    def without(self, names: Iterable[str]) -> Tape:
        """Return the same, with more events and faults left out."""
        return replace(self, left_out=self.left_out | frozenset(names))

    def only(self, places: Iterable[tuple[str, int]]) -> Tape:
        """Return the same with all choices 0 but those at some places, each a name and a position."""
        kept = set(places)
        choices = {
            name: [value if (name, i) in kept else 0 for i, value in enumerate(values)]
            for name, values in self.choices.items()
        }
        return replace(self, choices=choices)

    def places(self) -> list[tuple[str, int]]:
        """Return the places of the choices that are not 0."""
        return [(name, i) for name, values in self.choices.items() for i, value in enumerate(values) if value]

    def dumps(self) -> str:
        """Return the tape as JSON."""
        content = {
            "format": FORMAT,
            "seed": self.seed,
            "left_out": sorted(self.left_out),
            "choices": {name: trimmed(values) for name, values in sorted(self.choices.items()) if any(values)},
        }
        return json.dumps(content, indent=1)

    @classmethod
    def loads(cls, text: str, name: str = "the tape") -> Tape:
        """Read one.

        Raises:
            DefinitionError: it is no tape.
        """
        try:
            content: Any = json.loads(text)
            if content["format"] != FORMAT:
                raise DefinitionError(f"{name} has format {content['format']!r}; this version reads {FORMAT}")
            choices = {str(key): [int(value) for value in values] for key, values in content["choices"].items()}
            return cls(int(content["seed"]), choices, frozenset(map(str, content["left_out"])))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, DefinitionError):
                raise
            raise DefinitionError(f"{name} is no tape of a simulation: {reason_of(error)}") from error

    @classmethod
    def read(cls, path: Path) -> Tape:
        """Read one from a file.

        Raises:
            DefinitionError: it cannot be read, or is no tape.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DefinitionError(f"tape {path} cannot be read: {reason_of(error)}") from error
        return cls.loads(text, str(path))


def trimmed(values: list[int]) -> list[int]:
    """Return a list without the zeros at its end."""
    end = len(values)
    while end and not values[end - 1]:
        end -= 1
    return values[:end]
