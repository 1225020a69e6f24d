"""`actorflow run module:attribute [flags]`: run an app until it ends or a signal ends it. Layer 6."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from actorflow.cli import fail, import_from_here
from actorflow.errors import ActorflowError, DefinitionError

if TYPE_CHECKING:
    from actorflow.app.app import App
    from actorflow.app.flags import Flag

FAILED = 1


class RunCommand(click.Command):
    """Says where an app's flags belong when they stand before its name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; like click's, with the cure in the error."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            text = f"run has no option {error.option_name}; flags of the app stand behind its name"
            raise click.UsageError(text, ctx) from error


@click.command(
    cls=RunCommand,
    # What stands behind the app's name is left to the app's own flags.
    context_settings={"allow_interspersed_args": False},
    short_help="Run an app.",
    options_metavar="[--help]",
)
@click.argument("app", metavar="MODULE:ATTRIBUTE")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[FLAGS]")
def run(app: str, flags: tuple[str, ...]) -> int:
    """Run an app: an `af.App` in a module that can be imported from here.

    FLAGS are the fields of the app's settings; `actorflow run MODULE:ATTRIBUTE --help` lists them.

    The first SIGINT (Ctrl-C) or SIGTERM drains the app and ends it within 5 seconds, the second ends it at once.

    \b
    Exit codes:
      0          the app's main returned 0 or nothing; without a main: a signal came, and the app drained
      1          the app failed: a part could not start, its main raised, or a supervisor gave up
      2          the command line, or what it names, is wrong
      130, 143   SIGINT or SIGTERM ended the app before its main was done
      others     what the app's main returned
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    from actorflow.app.loading import load

    import_from_here()
    _log_to_stderr()
    try:
        found = load(app)
        settings = _settings(found, app, list(flags))
        return found.run(settings)
    except DefinitionError as error:
        fail(str(error))
    except ActorflowError as error:
        fail(_text(error), FAILED)


def _settings(app: App, target: str, flags: list[str]) -> Any:
    """Turn the flags into the app's settings."""
    from actorflow.app.flags import flags_of

    known = flags_of(app.settings) if app.settings else []
    command = click.Command(f"run {target}", params=[_option(flag) for flag in known], help=app.description)
    with command.make_context(f"actorflow run {target}", flags) as ctx:
        values = ctx.params
    if app.settings is None:
        return None
    try:
        return app.settings(**values)
    except ActorflowError:
        raise
    except (ValueError, TypeError) as error:
        raise DefinitionError(str(error)) from error


def _option(flag: Flag) -> click.Option:
    from actorflow.app.flags import NEEDED

    kind: Any = click.Path(path_type=Path) if flag.kind is Path else flag.kind
    absence: dict[str, Any] = {"required": True}
    if flag.default is not NEEDED:
        absence = {"default": flag.default, "show_default": flag.default is not None}
    name = f"{flag.name}/--no-{flag.name[2:]}" if flag.kind is bool else flag.name
    return click.Option([name, flag.field], type=kind, help=flag.help, **absence)


def _text(error: BaseException) -> str:
    """Put an error and its cause into one line."""
    text = str(error) or type(error).__name__
    if (cause := error.__cause__) is not None and str(cause) not in text:
        text += f" ({type(cause).__name__}: {cause})"
    return text


class _Stderr(logging.StreamHandler[Any]):
    """Writes to whatever `sys.stderr` is now: a progress bar replaces it, to keep its place below the lines."""

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, _stream: Any) -> None: ...


def _log_to_stderr() -> None:
    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
