"""The command line: `actorflow COMMAND`.

Data goes to stdout, words to stderr, colour only to a terminal. A mistake of the user is one line that names the cure,
and exit code 2. Commands are imported when they are called, so `actorflow --version` loads none of them: `run`,
`check`, `graph`, `scxml`, `sim`, `queue`, `runs`, `sagas`, `events`, `store` with `actors` (and their mail) and `dead`,
`wf`. All use `output` (tables for people, JSON for programs) and `progress` (a bar); `sim` uses `quiet` (errors that
are counted, not printed).
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.cli.progress import ProgressBar

COMMANDS = {
    "run": "actorflow.cli.run:run",
    "queue": "actorflow.cli.queue:queue",
    "runs": "actorflow.cli.runs:runs",
    "sagas": "actorflow.cli.sagas:sagas",
    "events": "actorflow.cli.events:events",
    "check": "actorflow.cli.check:check",
    "graph": "actorflow.cli.graph:graph",
    "scxml": "actorflow.cli.scxml:scxml",
    "sim": "actorflow.cli.sim:sim",
    "store": "actorflow.cli.store:store",
    "wf": "actorflow.cli.wf:wf",
}
USAGE_ERROR = 2


class CommandGroup(click.Group):
    """A group of commands; the error of an unknown one names the nearest, or all."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command."""
        known = self.list_commands(ctx)
        if args[0] not in known:
            near = difflib.get_close_matches(args[0], known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise click.UsageError(f"no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


class Commands(CommandGroup):
    """A group that imports its commands late, and reports errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the names, for the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; like click's, but an error is one line without the usage text above it."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        open_standard_files()
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except OSError as error:
            drop_output()
            fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)
        except click.ClickException as error:
            fail(text_of(error), error.exit_code)
        except click.Abort:
            fail("interrupted", 130)
        sys.exit(code if isinstance(code, int) else 0)


def text_of(error: click.ClickException) -> str:
    """Return click's text of a mistake; for a group without a command it has only the whole help text."""
    if error.message.startswith("Usage:") and isinstance(error, click.UsageError) and error.ctx is not None:
        group = error.ctx.command
        names = group.list_commands(error.ctx) if isinstance(group, click.Group) else []
        return f"name a command ({', '.join(names)}); --help describes them"
    text = error.format_message()
    if isinstance(error, click.MissingParameter) and isinstance(error.param, click.Argument) and error.param.envvar:
        return f"{text.removesuffix('.')} (env var: '{error.param.envvar}')."  # as click has it for an option
    if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option) and error.ctx is not None:
        name = error.param.name or ""
        if error.ctx.get_parameter_source(name) is click.core.ParameterSource.ENVIRONMENT:  # it stands in a unit file
            return f"{error.param.envvar or f'{error.ctx.auto_envvar_prefix}_{name.upper()}'}: {error.message}"
    return text


def fail(text: str, code: int = USAGE_ERROR) -> NoReturn:
    """End the program with one line on stderr."""
    tell(text)
    sys.exit(code)


def tell(text: str) -> None:
    """Say on stderr, in one line, why something failed."""
    click.secho(f"actorflow: {harmless(' '.join(text.split()))}", err=True, fg="red")


def harmless(text: str) -> str:
    """Return text without characters that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1] for letter in text)


def open_standard_files() -> None:
    """Have the numbers 0, 1 and 2 taken: the next file, a store or a socket, would get those that are closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the smallest number that is free


def drop_output() -> None:
    """Have the rest of the output to stdout go nowhere: it cannot be written, which has been said."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def import_from_here() -> None:
    """Have modules found in the current folder, as `python -m` does."""
    try:
        here = str(Path.cwd())
    except OSError as error:
        fail(f"the current folder cannot be read ({error.strerror}): start actorflow in another one")
    if "" not in sys.path:
        sys.path.insert(0, here)


def _show_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib import metadata

    try:
        version = metadata.version("actorflow")
    except metadata.PackageNotFoundError:
        version = "(a checkout that is not installed)"
    click.echo(f"actorflow {version}")
    ctx.exit()


@click.group(cls=Commands, invoke_without_command=True)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Supervised actors for Python."""
    if ctx.invoked_subcommand is None:
        raise click.UsageError(f"name a command ({', '.join(COMMANDS)}); --help describes them")


def progress_bar(label: str = "") -> ProgressBar:
    """Make a progress bar on stderr: a callback ``(done, total)``, silent when stderr is no terminal.

    >>> with progress_bar("photos") as progress:
    ...     progress(1, 3)
    """
    from actorflow.cli.progress import ProgressBar

    return ProgressBar(label)
