"""Tools for tests of actors: virtual time, a probe that expects messages, a check for leaks.

`probe`, `leaks`, `jobs` (assertions about enqueued jobs), `stateful` (a hypothesis test made of a chart), and
`check_replay`, which replays a recorded run with the code of today. The fixtures
`system`, `virtual_system` and `probe` come with the package, by `plugin`;
`sim_options` are pytest's options of simulations.
"""

from typing import TYPE_CHECKING, Any

from actorflow.app.virtual import VirtualSystem
from actorflow.core.drivers.virtual import VirtualScheduler
from actorflow.testing.jobs import assert_enqueued
from actorflow.testing.leaks import Leak, LeakCheck
from actorflow.testing.probe import Probe

if TYPE_CHECKING:
    from actorflow.app.replay import check_replay
    from actorflow.testing.stateful import machine_rules

__all__ = [
    "Leak",
    "LeakCheck",
    "Probe",
    "VirtualScheduler",
    "VirtualSystem",
    "assert_enqueued",
    "check_replay",
    "machine_rules",
]


def __getattr__(name: str) -> Any:
    """Import `check_replay` and `machine_rules` when they are used: few tests need workflows, or have hypothesis."""
    if name == "check_replay":
        from actorflow.app.replay import check_replay  # noqa: PLC0415

        return check_replay
    if name != "machine_rules":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        from actorflow.testing.stateful import machine_rules  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        msg = "actorflow.testing.machine_rules needs hypothesis: pip install hypothesis"
        raise ImportError(msg) from error
    return machine_rules
