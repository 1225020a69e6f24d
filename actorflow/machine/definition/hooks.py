"""Hooks: a name for each function of the user's, and whether it can be called as it will be."""

from __future__ import annotations

import inspect
import io
import linecache
import tokenize
from collections.abc import Callable, Iterator
from typing import Any, Final

from actorflow.errors import DefinitionError
from actorflow.machine.definition.chart import Hook
from actorflow.machine.definition.direct import action_of

LAMBDA: Final = "<lambda>"
OPENING, CLOSING = "([{", ")]}"
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def hook_of(function: Any, what: str) -> Hook:
    """Return a hook that calls a function, under a name to read: for a lambda that is its source text.

    Raises:
        DefinitionError: it is no function, or one that a machine cannot run.
    """
    if not callable(function):
        raise DefinitionError(f"{what}={function!r}: give a function")
    function = action_of(function)
    if wrong := not_plain(function):
        raise DefinitionError(f"{what}={name_of(function)}: {wrong}")
    return Hook(name_of(function), function)


def name_of(function: Any) -> str:
    """Return a name to read."""
    name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
    if name == LAMBDA and inspect.isfunction(function):
        return lambda_text(function)
    return name or type(function).__name__


def not_plain(function: Any) -> str:
    """Say why a machine cannot run a function within a step; "" if it can."""
    called = function if inspect.isroutine(function) else vars(type(function)).get("__call__", function)
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):
        return (
            "it is async, and a step of a machine runs to its end at once; write it with def: "
            "invoke a child for the long work, or ctx.pipe() a future into an event"
        )
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        return "it has a yield, so a call would run none of it; write it without"
    return ""


# --- text of a lambda -------------------------------------------------------------------------------------------------


def lambda_text(function: Any) -> str:
    """Return the source of a lambda that stands alone in one line, else "<lambda>"."""
    code = function.__code__
    if any(end not in (None, code.co_firstlineno) for _, end, _, _ in code.co_positions()):
        return LAMBDA
    line = linecache.getline(code.co_filename, code.co_firstlineno, function.__globals__).strip()
    tokens = list(_tokens(line))
    starts = [number for number, token in enumerate(tokens) if token.string == "lambda"]
    if len(starts) != 1:
        return LAMBDA  # none: there is no source; several: which one is it?
    tokens = tokens[starts[0] :]
    return line[tokens[0].start[1] : tokens[_length(tokens) - 1].end[1]]


def _tokens(line: str) -> Iterator[tokenize.TokenInfo]:
    """Go through the tokens of one line, which may open brackets that it does not close."""
    try:
        yield from tokenize.generate_tokens(io.StringIO(line).readline)
    except (tokenize.TokenError, SyntaxError):
        return


def _length(tokens: list[tokenize.TokenInfo]) -> int:
    """Return how many tokens belong to the lambda that these begin with."""
    depth, in_body = 0, False
    for number, token in enumerate(tokens):
        if token.type in (tokenize.COMMENT, tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER):
            return number
        if token.type != tokenize.OP:
            continue
        if token.string in OPENING:
            depth += 1
        elif token.string in CLOSING:
            if depth == 0:
                return number
            depth -= 1
        elif depth == 0 and token.string == ":" and not in_body:
            in_body = True
        elif depth == 0 and token.string in ",;" and in_body:
            return number
    return len(tokens)


# --- signatures -------------------------------------------------------------------------------------------------------


def signature_of(function: Any) -> inspect.Signature | None:
    """Return a signature; None for an object that has none, such as some builtins."""
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        return None


def takes_model(function: Any) -> bool:
    """Say whether there is a parameter for the model, or `self`, at all."""
    signature = signature_of(function)
    return signature is None or bool(signature.parameters)


def cannot_take(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> str:
    """Say why a function cannot be called so; "" if it can."""
    signature = signature_of(function)
    if signature is None:
        return ""
    try:
        signature.bind(*args, **(kwargs or {}))
    except TypeError as mismatch:
        return str(mismatch)
    return ""


def wants_event(function: Any) -> bool:
    """Say whether a hook of a state takes the event: it has one more parameter that is required, or named so."""
    signature = signature_of(function)
    parameters = list(signature.parameters.values())[1:] if signature is not None else []
    named = any(parameter.name == "event" and parameter.kind in _POSITIONAL for parameter in parameters)
    return named or any(
        parameter.default is inspect.Parameter.empty and parameter.kind in _POSITIONAL for parameter in parameters
    )


def cannot_follow(function: Any, method: Callable[..., Any]) -> str:
    """Say why a function cannot be called with all that a method takes; "" if it can."""
    signature = signature_of(method)
    if signature is None:
        return ""
    return next((wrong for args, kwargs in _calls(signature) if (wrong := cannot_take(function, args, kwargs))), "")


def _calls(signature: inspect.Signature) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Make up the shortest and the longest call that fits a signature."""
    parameters = list(signature.parameters.values())
    required = [parameter for parameter in parameters if parameter.default is inspect.Parameter.empty]
    for chosen, extra in ((required, False), (parameters, True)):
        args = [parameter for parameter in chosen if parameter.kind in _POSITIONAL]
        kwargs = {parameter.name: None for parameter in chosen if parameter.kind is inspect.Parameter.KEYWORD_ONLY}
        kinds = {parameter.kind for parameter in parameters} if extra else set()
        if inspect.Parameter.VAR_KEYWORD in kinds:
            kwargs["any_other"] = None
        yield (None,) * (len(args) + (inspect.Parameter.VAR_POSITIONAL in kinds)), kwargs


def shown(function: Any) -> str:
    """Show the parameters of a method, less the model: "(amount)"."""
    signature = signature_of(function)
    if signature is None:
        return "(...)"
    if not signature.parameters:
        return "nothing, not even self"
    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=parameters[1:], return_annotation=inspect.Signature.empty))
