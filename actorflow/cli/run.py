"""`actorflow run module:attribute [flags]`: run an app until it ends or a signal ends it."""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from actorflow.cli import USAGE_ERROR, fail, import_from_here, tell
from actorflow.errors import ActorflowError, DefinitionError, StoreError
from actorflow.text import LONGEST_ERROR, reason_of, text_of

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
            near = f" (did you mean {error.possibilities[0]}?)" if error.possibilities else ""
            text = f"run has no option {error.option_name}{near}; flags of the app stand behind its name"
            raise click.UsageError(text, ctx) from error


@click.command(
    cls=RunCommand,
    # Words behind the app's name are left to the app's own flags.
    context_settings={"allow_interspersed_args": False, "auto_envvar_prefix": "ACTORFLOW"},
    short_help="Run an app.",
    options_metavar="[OPTIONS]",
)
@click.option(
    "--grace", type=click.FloatRange(min=0), metavar="SECONDS", help="Seconds that running work may take at the end."
)
@click.option(
    "--store", metavar="URL", help="Keep queues and durable actors there: sqlite:///file.db, postgresql://..."
)
@click.option("--durability", type=click.Choice(["power", "process"]), help="The worst event that a commit survives.")
@click.option("--ask-timeout", type=float, metavar="SECONDS", help="How long await and get() wait for an answer.")
@click.option("--threads", type=int, metavar="N", help="How many threads may sit in blocking handlers.")
@click.option("--payload-limit", metavar="BYTES", help="The most that one stored value may take, such as 16M.")
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    help="The least level that is logged (default WARNING, or the app's own).",
)
@click.argument("app", metavar="MODULE:ATTRIBUTE")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED, metavar="[FLAGS]")
def run(
    app: str, flags: tuple[str, ...], store: str | None, durability: Any, log_level: str | None, **system: Any
) -> int:
    """Run an app: an `af.App` in a module that can be imported from here.

    FLAGS are the fields of the app's settings; `actorflow run MODULE:ATTRIBUTE --help` lists them. OPTIONS stand before
    the app's name, and take precedence over the app's own settings of its system. Each may come from the environment
    too: --grace from ACTORFLOW_GRACE, --store from ACTORFLOW_STORE, and so on.

    The first SIGINT (Ctrl-C) or SIGTERM drains the app within its grace time, the second ends it at once. SIGHUP ends
    nothing.

    \b
    Exit codes:
      0          the app's main returned 0 or nothing, or a signal came; and the app drained
      1          the app failed: a part could not start, its main raised, or a supervisor gave up
      2          the command line, or the app that it names, is wrong: a DefinitionError, of main too
      3          abandoned: a handler or job did not end within the grace time, and was left alone
      4          cancelled: all ended, but some were cut short by the end of the grace time
      130, 143   killed: by a second SIGINT or SIGTERM, or by a first one while the module was imported
      others     what the app's main returned
    """  # noqa: D301 - its backspace is click's mark for lines to be left as they are
    from actorflow.app.first_process import become_init, wait_for_children

    wait_for_children()
    become_init()
    from actorflow.app.loading import load

    import_from_here()
    try:
        found = load(app)
        _log_to_stderr(log_level)  # now that the app has had its say
        settings = _settings(found, app, list(flags))
        _change(found, store, durability, {name: value for name, value in system.items() if value is not None})
    except ActorflowError as error:
        fail(text_of(error, LONGEST_ERROR, str))
    return _run(found, settings)


def _run(app: App, settings: Any) -> int:
    """Run the app, and say why it has failed: a fault of its parts is one line, one of main has its traceback."""
    from actorflow.app.overtime import LEAST_SECONDS, watch_exit

    try:
        code = app.run(settings)
    except Exception as error:  # noqa: BLE001 - main may raise anything, also what click takes for its own
        code = _failed(error)
    if app.left is not None:
        watch_exit(code, max(app.left, LEAST_SECONDS))
    return code


def _failed(error: Exception) -> int:
    """Say why the app has failed, and return the exit code."""
    from actorflow.app.app import place_of

    place = place_of(error)
    if isinstance(error, DefinitionError) and place != "end of main":  # main refuses values of its flags by one, too
        logging.getLogger("actorflow").debug("The app refuses its settings or parts", exc_info=error)
        tell(text_of(error, LONGEST_ERROR, str) if place == "main" else _text(error))
        return USAGE_ERROR
    if isinstance(error, StoreError) or (isinstance(error, ActorflowError) and place != "main"):
        tell(_text(error))
        return FAILED
    sys.excepthook(type(error), error, error.__traceback__)
    return FAILED


def _change(app: App, store: str | None, durability: Any, system: dict[str, Any]) -> None:
    """Put the command line's settings of the app's system in place of the app's own."""
    from actorflow.store.store import check_url

    if store is not None:
        check_url(store)
        app.store = store
    app.durability = durability or app.durability
    app.system_settings = dataclasses.replace(app.system_settings, **system)


def _settings(app: App, target: str, flags: list[str]) -> Any:
    """Turn the flags into the app's settings."""
    from actorflow.app.flags import flags_of

    known = flags_of(app.settings) if app.settings else []
    command = click.Command(f"run {target}", params=[_option(flag) for flag in known], help=app.description)
    try:
        with command.make_context(f"actorflow run {target}", flags) as ctx:
            values = ctx.params
    except click.NoSuchOption as error:
        if any(error.option_name in option.opts for option in run.params):
            text = f"{error.option_name} is an option of run: it stands before {target}"
            raise click.UsageError(text, error.ctx) from error
        raise
    if app.settings is None:
        return None
    try:
        return app.settings(**values)
    except ActorflowError:
        raise
    except (ValueError, TypeError) as error:
        raise DefinitionError(text_of(error, LONGEST_ERROR, str)) from error


def _option(flag: Flag) -> click.Option:
    from actorflow.app.flags import NEEDED

    kind: Any = click.Path(path_type=Path) if flag.kind is Path else flag.kind
    absence: dict[str, Any] = {"required": True}
    if flag.default is not NEEDED:
        absence = {"default": flag.default, "show_default": flag.default is not None}
    return click.Option(["/".join(flag.names), flag.field], type=kind, help=flag.help, **absence)


def _text(error: BaseException) -> str:
    """Put an error and its cause into one line."""
    text = text_of(error, LONGEST_ERROR, str) or type(error).__name__
    if (cause := error.__cause__) is not None and text_of(cause, LONGEST_ERROR, str) not in text:
        text += f" ({reason_of(cause, LONGEST_ERROR)})"
    return text


class _Stderr(logging.StreamHandler[Any]):
    """Writes to the present `sys.stderr`: a progress bar replaces it, to keep its place below the lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out records of a logger that the app has set up below the root: a handler of its own gets them."""
        return not _is_taken(logging.getLogger(record.name)) and bool(super().filter(record))

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, _stream: Any) -> None: ...


def _is_taken(logger: logging.Logger | None) -> bool:
    while logger is not None and logger.parent is not None:
        if not all(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent
    return False


def _log_to_stderr(level: str | None) -> None:
    """Have log records written to stderr, unless the app has set up logging itself; a level that is given holds."""
    root = logging.getLogger()
    if not root.handlers:
        handler = _Stderr()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
        root.setLevel(level or logging.WARNING)
    elif level is not None:
        root.setLevel(level)
