"""Flags: the fields of an app's settings dataclass as flags of the command line. Knows nothing of click."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actorflow.errors import DefinitionError

KINDS: tuple[type, ...] = (int, float, str, bool, Path)
NEEDED: Any = dataclasses.MISSING


@dataclass(frozen=True, slots=True)
class Flag:
    """One field of the settings as a flag.

    Attributes:
        field: the field's name; the flag is called ``--field-name``.
        kind: the type that its text is turned into.
        default: its value when the flag is not given; `NEEDED` if it must be.
        help: the text of the field's ``metadata={"help": ...}``.
    """

    field: str
    kind: type
    default: Any
    help: str

    @property
    def name(self) -> str:
        """The flag as it is typed: ``--field-name``."""
        return "--" + self.field.strip("_").replace("_", "-")

    @property
    def names(self) -> list[str]:
        """All names of the flag: one that is a bool has one for either value."""
        return [self.name, f"--no-{self.name[2:]}"] if self.kind is bool else [self.name]


def flags_of(settings: type[Any]) -> list[Flag]:
    """List the flags of a settings dataclass.

    Raises:
        DefinitionError: a field's type cannot be read from a command line, or its name is taken.
    """
    try:
        hints = typing.get_type_hints(settings)
    except NameError as error:
        raise DefinitionError(f"{settings.__name__}: {error}; a flag's type must be importable") from error
    flags = [_flag(settings, field, hints[field.name]) for field in dataclasses.fields(settings) if field.init]
    taken: dict[str, str] = {}
    for flag in flags:
        for name in flag.names:
            if name in taken:
                msg = (
                    f"{settings.__name__}: {name} is the flag of {taken[name]} and of {flag.field}: rename one of them"
                )
                raise DefinitionError(msg)
            taken[name] = flag.field
    return flags


def _flag(settings: type[Any], field: dataclasses.Field[Any], hint: Any) -> Flag:
    where = f"{settings.__name__}.{field.name}"
    if field.name == "help":
        raise DefinitionError(f"{where}: --help is taken; give the field another name")
    kind = _required_part(hint)
    if kind not in KINDS:
        known = ", ".join(known.__name__ for known in KINDS)
        raise DefinitionError(f"{where}: a flag is one of {known}, or Optional of one, not {hint!r}")
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return Flag(field.name, kind, default, str(field.metadata.get("help", "")))


def _required_part(hint: Any) -> Any:
    """Return X of Optional[X], and anything else as it is."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not types.NoneType]
        if len(parts) == 1:
            return parts[0]
    return hint
