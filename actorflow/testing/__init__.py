"""Tools for tests of actors: virtual time, a probe that expects messages, a check for leaks. Layer 6.

The fixtures `system`, `virtual_system` and `probe` come with the package (see `actorflow.testing.plugin`).
"""

from actorflow.app.virtual import VirtualSystem
from actorflow.testing.leaks import Leak, LeakCheck
from actorflow.testing.probe import Probe

__all__ = ["Leak", "LeakCheck", "Probe", "VirtualSystem"]
