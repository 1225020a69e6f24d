"""Reading: a scenario from a TOML file; all that can be known without the app is checked here."""

from __future__ import annotations

import math
import tomllib
from typing import TYPE_CHECKING, Any, Final

from actorflow.errors import DefinitionError
from actorflow.sim.scenario.clients import ClientEntry
from actorflow.sim.scenario.entries import ChaosEntry, CheckEntry, CostEntry, FaultEntry, LinkEntry, StubEntry
from actorflow.sim.scenario.lines import TablePlace
from actorflow.sim.scenario.options import check_keys, refused
from actorflow.sim.scenario.scenario import RUNS, UNTIL, Scenario
from actorflow.sim.world.link import is_number
from actorflow.text import reason_of, stable_text

if TYPE_CHECKING:
    from pathlib import Path

    from actorflow.sim.scenario.entry import ScenarioTable

SINGLE: Final[dict[str, type[ScenarioTable]]] = {"network": LinkEntry, "chaos": ChaosEntry}
SEVERAL: Final[dict[str, type[ScenarioTable]]] = {
    "links": LinkEntry,
    "faults": FaultEntry,
    "stubs": StubEntry,
    "checks": CheckEntry,
    "clients": ClientEntry,
    "costs": CostEntry,
}
PLAIN: Final = ("until", "runs", "nodes", "hosts", "cores")
MOST_NODES: Final = 100


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from a file.

    Raises:
        DefinitionError: it cannot be read, is no TOML, or says what makes no sense; the error names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"scenario {path} cannot be read: {reason_of(error)}") from error
    return parse_scenario(text, path.name)


def parse_scenario(text: str, file: str = "the scenario") -> Scenario:
    r"""Read a scenario.

    >>> parse_scenario("until = 10\n[chaos]\nrate = 0.5").until
    10.0
    >>> parse_scenario("until = 10\n[chaos]\nrte = 0.5")
    Traceback (most recent call last):
    actorflow.errors.DefinitionError: the scenario, line 3, [chaos]: unknown key 'rte'; did you mean 'rate'?

    Args:
        text: TOML.
        file: its name, for errors.

    Raises:
        DefinitionError: it is no TOML, or says what makes no sense.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{file} is no TOML: {error}") from error
    except RecursionError as error:
        raise DefinitionError(f"{file} cannot be read: it is nested too deep") from error
    lines = tuple(text.splitlines())
    top = TablePlace(file, lines)
    check_keys(top, content, (*PLAIN, *SINGLE, *SEVERAL))
    entries: list[ScenarioTable] = []
    for table, kind in SINGLE.items():
        if table in content:
            entries.append(kind(TablePlace(file, lines, table), table_of(top, table, content[table])))
    for table, kind in SEVERAL.items():
        entries += [kind(place, given) for place, given in tables(top, table, content.get(table, []))]
    for entry in entries:
        entry.check()
    return Scenario(
        seconds(top, "until", content.get("until", UNTIL)),
        whole(top, "runs", content.get("runs", RUNS), math.inf),
        whole(top, "nodes", content.get("nodes", 1), MOST_NODES),
        hosts(top, content.get("hosts", "each")),
        whole(top, "cores", content["cores"], math.inf) if "cores" in content else None,
        tuple(entries),
        is_given=True,
    )


def table_of(top: TablePlace, name: str, given: Any) -> dict[str, Any]:
    """Return a table.

    Raises:
        DefinitionError: it is something else.
    """
    if not isinstance(given, dict):
        raise refused(top, name, f"{name!r} is a table: write [{name}] above its keys")
    return given


def tables(top: TablePlace, name: str, given: Any) -> list[tuple[TablePlace, dict[str, Any]]]:
    """Return the tables of a name, each with its place.

    Raises:
        DefinitionError: they are something else.
    """
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise refused(top, name, f"{name!r} is a list of tables: write [[{name}]] above the keys of each")
    return [(TablePlace(top.file, top.lines, name, number), one) for number, one in enumerate(given, 1)]


def seconds(top: TablePlace, key: str, value: Any) -> float:
    """Return virtual seconds that are yet to come.

    Raises:
        DefinitionError: they are none.
    """
    if not is_number(value) or not 0 < value < math.inf:
        raise refused(top, key, f"{key} = {stable_text(value)}: give virtual seconds, more than 0, at which a run ends")
    return float(value)


def whole(top: TablePlace, key: str, value: Any, most: float) -> int:
    """Return a whole number.

    Raises:
        DefinitionError: it is none, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        words = "1 or more" if most == math.inf else f"from 1 to {most:g}"
        raise refused(top, key, f"{key} = {stable_text(value)}: give a whole number, {words}")
    return value


def hosts(top: TablePlace, value: Any) -> Any:
    """Return whether each actor directly under the system has a host of its own.

    Raises:
        DefinitionError: it is no such word.
    """
    if value not in {"each", "one"}:
        raise refused(top, "hosts", f"hosts = {stable_text(value)}: give 'each' or 'one'")
    return value
