"""Tokens of an ECMAScript expression."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from actorflow.machine.scxml.limits import MAX_BITS, MAX_SOURCE, EvaluationError, ExpressionRefused

PUNCTUATORS: Final = """=== !== >>> ** == != <= >= && || ?? ?. << >> => ++ -- += -= *= /= %=
    ( ) [ ] { } . , : ; ? < > + - * / % ! ~ & | ^ =""".split()  # noqa: SIM905 - they are easier to read so
PUNCTUATOR: Final = "|".join(re.escape(each) for each in sorted(PUNCTUATORS, key=len, reverse=True))
PATTERN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d][\w$]*|\$[\w$]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<punctuator>"""
    + PUNCTUATOR
    + ")",
    re.VERBOSE | re.DOTALL,
)
ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
ESCAPE: Final = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)


class Token(NamedTuple):
    """A piece of the source: kind "number", "name", "string", "punctuator" or "end"."""

    kind: str
    value: Any
    at: int


def tokenize(source: str) -> list[Token]:
    """Cut an expression into tokens.

    Raises:
        EvaluationError: something in it is no token.

    >>> [token.value for token in tokenize("a.b >= 0x10 // hex")]
    ['a', '.', 'b', '>=', 16, None]
    """
    if len(source) > MAX_SOURCE:
        raise ExpressionRefused(f"an expression of more than {MAX_SOURCE:,} characters")
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        match = PATTERN.match(source, at)
        if match is None:
            if source[at] == "`":
                raise ExpressionRefused("template strings are not supported; use +")
            raise EvaluationError(f"{source[at : at + 20]!r} is not an ECMAScript expression")
        kind = str(match.lastgroup)
        if kind == "space" and match.group().startswith("/*") and not match.group().endswith("*/"):
            raise EvaluationError(f"{source[at : at + 20]!r}: this comment has no end")
        if kind != "space":
            tokens.append(Token(kind, READERS[kind](match.group()), at))
        at = match.end()
    tokens.append(Token("end", None, at))
    return tokens


def _number(text: str) -> int | float:
    if text[:2].lower() in {"0x", "0b", "0o"}:
        if len(text) > MAX_BITS // 4:
            raise ExpressionRefused("a whole number of too many digits")
        return as_number(float(int(text, 0)))
    if text[0] == "0" and text[1:2].isdigit():
        raise EvaluationError(f"{text}: a number does not begin with 0; write 0o for octal")
    return as_number(float(text))


def as_number(value: float) -> int | float:
    """Keep a whole number as an int, as it is written that way; beyond 2**53 it is a double, as in ECMAScript."""
    if isinstance(value, int):
        return value if abs(value) <= 1 << 53 else float(value)
    if value.is_integer() and abs(value) <= 1 << 53 and str(value) != "-0.0":
        return int(value)
    return value


def _string(text: str) -> str:
    inside = text[1:-1]
    if "\\" not in inside:
        return inside
    # Two \u escapes may make one character; half of one is none.
    return ESCAPE.sub(_unescape, inside).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return ESCAPES.get(match[4], match[4])
    if int(code, 16) > 0x10FFFF:
        raise EvaluationError(f"there is no character {match[0]}")
    return chr(int(code, 16))


READERS: Final[dict[str, Callable[[str], Any]]] = {"number": _number, "string": _string, "name": str, "punctuator": str}
