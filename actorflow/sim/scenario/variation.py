"""Variation: an app, or its scenario, with one setting changed, to ask what would be if."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorflow.app.declarations import Declarations
from actorflow.errors import DefinitionError
from actorflow.queues.declared import DeclaredQueue
from actorflow.sim.scenario.clients import ClientEntry
from actorflow.sim.scenario.entries import LinkEntry
from actorflow.sim.scenario.lines import TablePlace
from actorflow.sim.scenario.options import near
from actorflow.text import stable_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.app.app import App
    from actorflow.sim.scenario.scenario import Scenario

RATE: Final = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|m|h))?")
SECONDS: Final = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
OF_SCENARIO: Final = ("arrivals", "cores", "nodes")


class SettingChange(NamedTuple):
    """One setting with one value.

    Attributes:
        name: "arrivals", "nodes", "cores", "network.latency", or an option of a part or a queue: "payments.instances".
        value: as it was written.
    """

    name: str
    value: str


def changes_of(text: str) -> list[SettingChange]:
    """Return the changes that a text asks for.

    >>> changes_of("payments.instances=1,2")
    [SettingChange(name='payments.instances', value='1'), SettingChange(name='payments.instances', value='2')]

    Raises:
        DefinitionError: it names no setting, or no values.
    """
    name, _, values = text.partition("=")
    found = [SettingChange(name.strip(), value.strip()) for value in values.split(",")]
    if not name.strip() or not all(change.value for change in found):
        raise DefinitionError(
            f"sweep {stable_text(text)}: give a setting and its values, such as payments.instances=1,2,4"
        )
    return found


def plain_value(text: str) -> Any:
    """Return the number that a text is, or the text.

    >>> plain_value("4"), plain_value("0.5"), plain_value("process"), plain_value("true")
    (4, 0.5, 'process', True)
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def per_second(change: SettingChange) -> float:
    """Return a rate.

    Raises:
        DefinitionError: it is none.
    """
    found = RATE.fullmatch(change.value)
    rate = float(found[1]) / SECONDS[found[2]] if found else 0.0
    if not rate > 0:
        raise DefinitionError(f"{change.name}={change.value}: give requests a second, such as 50/s")
    return rate


def whole_number(change: SettingChange, most: int) -> int:
    """Return a number of nodes, or of cores.

    Raises:
        DefinitionError: it is none.
    """
    if not change.value.isdecimal() or not 1 <= int(change.value) <= most:
        raise DefinitionError(f"{change.name}={change.value}: give a whole number from 1 to {most}")
    return int(change.value)


def with_change(scenario: Scenario, change: SettingChange) -> Scenario:
    """Return a scenario with a setting changed; one of the app is kept for its start.

    Raises:
        DefinitionError: the value makes no sense, or the scenario has nothing to change.
    """
    if change.name == "nodes":
        return replace(scenario, nodes=whole_number(change, 100))
    if change.name == "cores":
        return replace(scenario, cores=whole_number(change, 10_000))
    if change.name == "arrivals":
        return with_rate(scenario, per_second(change))
    if change.name.startswith("network."):
        return with_link(scenario, change.name.partition(".")[2], plain_value(change.value))
    if "." not in change.name:
        hint = near(change.name, [*OF_SCENARIO, "network.latency"])
        raise DefinitionError(f"sweep {change.name}: no such setting; {hint}; that of a part is NAME.OPTION")
    return replace(scenario, changes=(*scenario.changes, change))


def with_rate(scenario: Scenario, rate: float) -> Scenario:
    """Return a scenario whose clients come at another rate.

    Raises:
        DefinitionError: no clients of it have a rate.
    """
    entries = tuple(
        ClientEntry(entry.place, {**entry.given, "rate": rate})
        if isinstance(entry, ClientEntry) and "rate" in entry.given
        else entry
        for entry in scenario.entries
    )
    if entries == scenario.entries and not any("rate" in entry.given for entry in entries):
        raise DefinitionError("sweep arrivals: the scenario has no [[clients]] with a rate")
    return replace(scenario, entries=entries)


def with_link(scenario: Scenario, key: str, value: Any) -> Scenario:
    """Return a scenario with one key of the link of all pairs changed.

    Raises:
        DefinitionError: a link has no such key, or no such value.
    """
    kept = [entry for entry in scenario.entries if entry.place.table != "network"]
    given = next((entry.given for entry in scenario.entries if entry.place.table == "network"), {})
    link = LinkEntry(TablePlace(f"sweep network.{key}={value}", (), ""), {**given, key: value})
    link.check()
    return replace(scenario, entries=(LinkEntry(TablePlace("sweep", (), "network"), link.given), *kept))


def varied(app: App, changes: Sequence[SettingChange]) -> App:
    """Return an app whose parts and queues have other options; the app itself stays.

    Raises:
        DefinitionError: the app has no such part or queue, or that has no such option or value.
    """
    if not changes:
        return app
    declared = Declarations(app.name)
    declared.__dict__.update({name: copy.copy(value) for name, value in vars(app._declared).items()})
    for change in changes:
        owner, _, option = change.name.rpartition(".")
        if not change_part(declared, owner, option, change) and not change_queue(declared, owner, option, change):
            known = [
                *dict.fromkeys(name for names in map(names_of, declared.parts) for name in names),
                *declared.queues,
            ]
            raise DefinitionError(f"sweep {change.name}: app {app.name!r} has no part {owner!r}; {near(owner, known)}")
    other = copy.copy(app)
    other._declared = declared
    return other


def names_of(part: Any) -> list[str]:
    """Return the names by which a part is known."""
    name = part.traits.options.name
    return [part.actor_class.__name__, *([] if name is None else [name])]


def change_part(declared: Declarations, owner: str, option: str, change: SettingChange) -> bool:
    """SettingChange an option of a part, if there is one of that name; say whether there is."""
    for place, part in enumerate(declared.parts):
        if owner in names_of(part):
            options: Any = {option: plain_value(change.value)}
            try:
                declared.parts[place] = part.options(**options)
            except DefinitionError as error:
                raise DefinitionError(f"sweep {change.name}={change.value}: {error}") from error
            return True
    return False


def change_queue(declared: Declarations, owner: str, option: str, change: SettingChange) -> bool:
    """SettingChange an option of a queue, if there is one of that name; say whether there is."""
    queue = declared.queues.get(owner)
    if queue is None:
        return False
    if option not in queue.options:
        hint = near(option, queue.options)
        raise DefinitionError(f"sweep {change.name}: a queue has no option {option!r}; {hint}")
    other = DeclaredQueue(queue.name, {**queue.options, option: plain_value(change.value)})
    other.schedules = queue.schedules
    declared.queues[owner] = other
    return True
