"""A game: an archer and a dragon. The archer's health, the bow and the dragon are regions, all active at once.

    python -m examples.game

The clock of this program is virtual, so nobody has to wait for the dragon.
"""

from __future__ import annotations

import actorflow as af
from actorflow.machine import Record
from actorflow.testing import VirtualSystem

SCALES = 3  # so many hits the dragon stands


class Game(af.StateMachine):
    """One game. Without regions it would need a state for each combination: eight, and thrice the rules."""

    playing = af.State(initial=True, parallel=True)  # what is within it are regions

    archer = af.State(parent=playing)
    healthy = af.State(parent=archer, initial=True)
    wounded = af.State(parent=archer)

    bow = af.State(parent=playing)
    strung = af.State(parent=bow, initial=True)
    empty = af.State(parent=bow)

    dragon = af.State(parent=playing)
    asleep = af.State(parent=dragon, initial=True)
    awake = af.State(parent=dragon)

    won, lost = af.State(final=True), af.State(final=True)

    def __init__(self) -> None:
        super().__init__()
        self.hits = 0

    def is_last_hit(self) -> bool:
        return self.hits + 1 >= SCALES

    # One event may move several regions: a shot empties the bow here, and wakes the dragon below. A rule that leads out
    # of `playing` ends all regions, so it goes before the others, which would stay inside.

    @strung.to(won, when=is_last_hit)
    @strung.to(empty)
    def shoot(self) -> None:
        self.hits += 1

    @asleep.to(awake, event="shoot")
    def wake(self) -> None: ...

    # A region may look at another one: a wounded archer does not get the next arrow out.

    @empty.to(strung, when=lambda self: "wounded" not in self.configuration)
    def load(self) -> None: ...

    # Each region has its own time. The dragon bites again and again, as long as it is awake: each bite enters `awake`
    # anew, which starts its timeout anew. What it does to the archer is an event of the machine to itself.

    @awake.after(5, awake)
    def snap(self) -> None:
        self.raise_event(Game.bite)

    @healthy.to(wounded)
    @wounded.to(lost)
    def bite(self) -> None: ...

    @wounded.after(6, healthy)
    def recover(self) -> None: ...

    # The lullaby works on the dragon only while it is awake: asleep, there is no rule for it, and it is refused.

    @awake.to(asleep)
    def sing(self) -> None: ...


def show(record: Record) -> None:
    """Print a transition. The states of all regions are joined by "+"."""
    print(f"{record.event:>8}: {record.source} -> {record.target}")


def main() -> None:
    """Play one game, and win it."""
    with VirtualSystem("cave") as system:
        game = system.spawn(Game)
        game.subscribe(show)
        game.call(Game.shoot).get()
        system.sleep(5)  # the dragon bites
        try:
            game.call(Game.load).get()
        except af.TransitionRefused as refusal:
            print(f" refused: {refusal}")
        game.call(Game.sing).get()
        system.sleep(6)  # the archer recovers
        for _ in range(SCALES - 1):
            game.call(Game.load).get()
            game.call(Game.shoot).get()
        print(f"          {game.state}!")


if __name__ == "__main__":
    main()
