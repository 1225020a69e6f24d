"""A small world with all that a seed decides; run as a program it prints its trace, one line a step.

python -m tests.virtual.world SEED
"""

from __future__ import annotations

import logging
import sys

import actorflow as af
from actorflow.testing import VirtualSystem


class Node(af.Actor):
    """Talks to its neighbours in every way, and crashes now and then."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.peers: dict[str, af.ActorRef] = {}

    def on_start(self) -> None:
        self.ctx.every(1.0, self.beat)

    def meet(self, peers: dict[str, af.ActorRef]) -> None:
        self.peers = peers

    def beat(self) -> None:
        for ref in self.peers.values():
            ref.tell(("hello", self.number))
        if self.ctx.random.random() < 0.1:
            raise RuntimeError(f"node {self.number} falls")

    def on_receive(self, message: object) -> None:
        if self.ctx.random.random() < 0.3:
            self.ctx.sleep(self.ctx.random.random())

    async def chat(self) -> int:
        answers = [await ref.call(Node.count) for ref in self.peers.values()]
        return sum(answers)

    def count(self) -> int:
        return len(set(self.peers) | {"me"})


def run(seed: int | None, *, seconds: float = 5.0) -> list[tuple[float, str, str]]:
    """Run the world, and return what ran when."""
    recipes = [af.child(Node, n).options(name=f"n{n}", backoff=af.Backoff(0.1)) for n in range(5)]
    with VirtualSystem("world", seed=seed) as system:
        trace = system.record()
        system.spawn(af.child(af.Supervisor, *recipes, intensity=1000).options(name="sup"))
        refs = {f"n{n}": system.find(f"/world/sup/n{n}") for n in range(5)}
        for name, ref in refs.items():
            ref.call(Node.meet, {other: peer for other, peer in refs.items() if other != name}).get()
            ref.call(Node.chat)
        system.sleep(seconds)
    return [(at, path, message) for at, path, message in trace if " at 0x" not in message]


if __name__ == "__main__":
    logging.disable()
    for step in run(None if sys.argv[1] == "None" else int(sys.argv[1])):
        print(step)
