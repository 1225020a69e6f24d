"""Chaos: faults that a seed draws.

Of the kinds of faults each seed has about half: a search with all of them in each run rarely comes to what one of them
alone leads to (Groce and others, "Swarm testing", 2012). Each fault can be left out of a run as one that the test
declares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from actorflow.errors import DefinitionError
from actorflow.sim.choices.chooser import stream_of
from actorflow.sim.faults.at import At
from actorflow.sim.faults.targets import nearest
from actorflow.sim.world.host import OWN_CODE
from actorflow.text import stable_text

if TYPE_CHECKING:
    import random

    from actorflow.sim.faults.targets import Target
    from actorflow.sim.simulation import Simulation

Kind: TypeAlias = Literal[
    "crash",
    "pause",
    "partition",
    "slow",
    "drop",
    "clock_skew",
    "busy",
    "slow_commits",
    "disk_full",
    "commit_unknown",
    "lost_commits",
]
KINDS: Final[tuple[Kind, ...]] = ("crash", "pause", "partition", "slow", "clock_skew")  # those that break no guarantee
OF_STORE: Final[tuple[Kind, ...]] = ("busy", "slow_commits")  # those that clients wait for, and get no error of
BETWEEN: Final = frozenset[Kind]({"partition", "drop"})  # those that take two hosts
SHORTEST: Final = 0.1  # virtual seconds of a fault
LONGEST: Final = 10.0
SLOWER: Final = (3.0, 10.0, 30.0)
LOST: Final = (0.1, 0.5, 1.0)
SKEWS: Final = (-3600.0, -5.0, -0.1, 0.1, 5.0, 3600.0)  # seconds
COMMITS: Final = (0.05, 0.3, 2.0)  # seconds that one takes
UNKNOWN: Final = (0.02, 0.1, 0.5)
MOST: Final = 10_000  # faults of a run
Draw: TypeAlias = "Callable[[At, random.Random, Sequence[Target], float], object]"


def add_chaos(
    sim: Simulation, rate: float, until: float, kinds: Sequence[Kind] | None, targets: Sequence[Target] | None
) -> None:
    """Declare the faults that the seed draws.

    Raises:
        DefinitionError: there is no such kind or target, or nothing that faults could act on.
    """
    draw = stream_of(sim.chooser.seed, f"chaos {len(sim.faults)}")
    ends = all_targets(sim) if targets is None else list(targets)
    if not ends:
        raise DefinitionError("chaos: start an app first, or give targets")
    asked = usual_kinds(sim) if kinds is None else known_kinds(kinds)
    fit: list[Kind] = [kind for kind in asked if len(ends) > 1 or kind not in BETWEEN]
    if not fit:
        raise DefinitionError(f"chaos(kinds={stable_text(kinds)}): they act between two hosts, and there is one")
    on = drawn_kinds(fit, draw)
    time = sim.world.clock.now
    for _ in range(MOST):
        time += draw.expovariate(rate)
        if time >= until:
            return
        kind = draw.choice(on)
        first = len(sim.faults)
        seconds = round(SHORTEST * (LONGEST / SHORTEST) ** draw.random(), 2)
        DRAWS[kind](At(sim, round(time, 3)), draw, ends, min(seconds, until))
        for fault in sim.faults[first:]:
            fault.case, fault.is_expected = "chaos", False
    raise DefinitionError(f"chaos(rate={rate:g}, until={until:g}): that makes more than {MOST} faults")


def usual_kinds(sim: Simulation) -> list[Kind]:
    """Return the kinds to draw from if none are named: those of the store, too, if something is stored."""
    return [*KINDS, *(OF_STORE if sim.store is not None and sim.store.is_used else ())]


def drawn_kinds(kinds: Sequence[Kind], draw: random.Random) -> Sequence[Kind]:
    """Return the kinds that are on for a seed: about half of them, and one at least."""
    on: list[Kind] = [kind for kind in kinds if draw.random() < 0.5]
    return on or [draw.choice(kinds)]


def known_kinds(kinds: Any) -> list[Kind]:
    """Return kinds that exist.

    Raises:
        DefinitionError: one does not, or there are none.
    """
    known: tuple[str, ...] = get_args(Kind)
    if isinstance(kinds, str) or not isinstance(kinds, Sequence) or not kinds:
        raise DefinitionError(f"chaos(kinds={stable_text(kinds)}): give some of {', '.join(known)}")
    for kind in kinds:
        if kind not in known:
            hint = nearest(str(kind), known)
            raise DefinitionError(f"chaos(kinds=[{stable_text(kind)}]): there are {', '.join(known)}{hint}")
    return list(kinds)


def all_targets(sim: Simulation) -> list[Target]:
    """Return the hosts of the user's actors, in the order of their start; with several nodes, these."""
    if len(sim.nodes) != 1:
        return list(sim.nodes)
    (node,) = sim.nodes
    refs = () if node.system is None else node.system.root or ()
    own = [ref.path for ref in refs if not ref.actor_class.__module__.startswith(OWN_CODE)]
    return [*own] if own and node.hosts.each else [node]


def draw_partition(at: At, draw: random.Random, ends: Sequence[Target], seconds: float) -> None:
    """Declare a partition between two of the targets."""
    one, other = draw.sample(list(ends), 2)
    at.partition(one, other, heal=seconds, both=draw.random() < 0.7)


def draw_drop(at: At, draw: random.Random, ends: Sequence[Target], seconds: float) -> None:
    """Declare that messages between two of the targets are lost."""
    one, other = draw.sample(list(ends), 2)
    at.drop(one, other, draw.choice(LOST), heal=seconds)


DRAWS: Final[dict[Kind, Draw]] = {
    "crash": lambda at, draw, ends, seconds: at.crash(draw.choice(ends), down=seconds),
    "pause": lambda at, draw, ends, seconds: at.pause(draw.choice(ends), seconds),
    "partition": draw_partition,
    "slow": lambda at, draw, ends, seconds: at.slow(draw.choice(ends), draw.choice(SLOWER), heal=seconds),
    "drop": draw_drop,
    "clock_skew": lambda at, draw, ends, seconds: at.clock_skew(draw.choice(ends), draw.choice(SKEWS), heal=seconds),
    "busy": lambda at, draw, ends, seconds: at.busy(heal=seconds),  # noqa: ARG005 - of the one store
    "slow_commits": lambda at, draw, ends, seconds: at.slow_commits(draw.choice(COMMITS), heal=seconds),  # noqa: ARG005
    "disk_full": lambda at, draw, ends, seconds: at.disk_full(heal=seconds),  # noqa: ARG005
    "commit_unknown": lambda at, draw, ends, seconds: at.commit_unknown(draw.choice(UNKNOWN), heal=seconds),  # noqa: ARG005
    "lost_commits": lambda at, draw, ends, seconds: at.lost_commits(down=seconds),  # noqa: ARG005
}
