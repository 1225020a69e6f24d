"""Options of pytest for simulations, and a line about them at its end.

Nothing of `actorflow.sim` is imported unless an option is given, or a test has imported it.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from actorflow.errors import DefinitionError

if TYPE_CHECKING:
    from actorflow.sim.search.settings import SearchSettings

TALLY: Final = "actorflow.sim.search.tally"
OF_WORKERS: Final = pytest.StashKey[list[tuple[list[float], list[str]]]]()
KEY: Final = "actorflow_sim"  # in what a worker of pytest-xdist hands over
MOST_WORKERS: Final = 256
OPTIONS: Final = ("seed", "runs", "verify", "tape", "budget", "workers", "until_step")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("sim", "simulations (actorflow)")
    add = group.addoption
    add("--sim-seed", type=int, metavar="N", help="run this seed only")
    add("--sim-runs", type=int, metavar="N", help="run so many seeds, instead of as many as each test says")
    add("--sim-verify", action="store_true", help="run each seed twice, and compare the steps")
    add("--sim-tape", metavar="FILE", help="run this tape only")
    add("--sim-budget", metavar="TIME", help="end each search after this time: 60s, 2m, 1h")
    add("--sim-workers", type=int, metavar="N", help="share out the seeds of each search to N processes")
    add("--sim-until-step", type=int, metavar="N", help="open the debugger after step N of each run")


def pytest_configure(config: pytest.Config) -> None:
    """Have the options hold.

    Raises:
        pytest.UsageError: one of them makes no sense.
    """
    values = {name: config.getoption(f"sim_{name}", None) for name in OPTIONS}
    given = {name: value for name, value in values.items() if value is not None and value is not False}
    if not given:
        return
    from actorflow.sim.search.settings import use  # noqa: PLC0415 - pytest loads the plugin in every project

    try:
        settings = settings_of(given)
    except DefinitionError as error:
        raise pytest.UsageError(f"--sim-{error}".replace("_", "-", 1)) from None
    block = contextlib.ExitStack()
    block.enter_context(use(settings))
    config.add_cleanup(block.close)


def settings_of(given: dict[str, Any]) -> SearchSettings:
    """Return the settings of some options.

    Raises:
        DefinitionError: one of them makes no sense.
    """
    from actorflow.sim.search.settings import SearchSettings, seconds_of  # noqa: PLC0415 - see above

    options = dict(given)
    if "budget" in options:
        try:
            options["budget"] = seconds_of(options["budget"])
        except DefinitionError as error:
            raise DefinitionError(f"budget={error}") from None
    if "tape" in options:
        options["tape"] = Path(options["tape"])
    if options.get("workers", 1) > MOST_WORKERS:
        raise DefinitionError(f"workers={options['workers']}: give {MOST_WORKERS} or fewer")
    return SearchSettings(**options)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over the figures of this process, if it is a worker of pytest-xdist."""
    output = getattr(session.config, "workeroutput", None)
    tally: Any = sys.modules.get(TALLY)
    if output is not None and tally is not None:
        output[KEY] = [tally.TALLY.packed(), sorted(tally.TALLY.shared)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the figures of a worker of pytest-xdist."""
    packed = getattr(node, "workeroutput", {}).get(KEY)
    if packed:
        node.config.stash.setdefault(OF_WORKERS, []).append(packed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the figures of all simulated runs."""
    of_workers = terminalreporter.config.stash.get(OF_WORKERS, [])
    if TALLY not in sys.modules and not of_workers:
        return
    from actorflow.sim.search.tally import TALLY as OWN  # noqa: PLC0415 - see above
    from actorflow.sim.search.tally import Tally  # noqa: PLC0415

    total = Tally()
    parts: list[tuple[list[float], list[str]]] = [(OWN.packed(), list(OWN.shared)), *of_workers]
    for packed, shared in parts:
        total.merge(packed)
        total.shared.update(shared)
    if total.runs:
        terminalreporter.write_line(f"simulation: {total}")
        if total.shared:
            terminalreporter.write_line(f"simulation: {total.warning()}")
