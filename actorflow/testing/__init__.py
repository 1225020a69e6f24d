"""Tools for tests of actors: virtual time, a probe that expects messages, a check for leaks.

`probe`, `leaks`, `jobs` (assertions about enqueued jobs), `stateful` (a hypothesis test made of a chart). The fixtures
`system`, `virtual_system` and `probe` come with the package, by `plugin`.
"""

from typing import TYPE_CHECKING, Any

from actorflow.app.virtual import VirtualSystem
from actorflow.core.drivers.virtual import VirtualScheduler
from actorflow.testing.jobs import assert_enqueued
from actorflow.testing.leaks import Leak, LeakCheck
from actorflow.testing.probe import Probe

if TYPE_CHECKING:
    from actorflow.testing.stateful import machine_rules

__all__ = ["Leak", "LeakCheck", "Probe", "VirtualScheduler", "VirtualSystem", "assert_enqueued", "machine_rules"]


def __getattr__(name: str) -> Any:
    """Import `machine_rules` when it is used: it needs hypothesis, which not all tests have."""
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
