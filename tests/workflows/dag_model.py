"""A model of DAGs, small and slow: at each moment all rules are tried on all nodes until nothing changes.

Each node begins at once when it is ready, as there are enough workers, and takes its own time. So the statuses at the
end, and the attempts, are known; with `durations` of zero, as far as they do not depend on who is faster.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class ModelNode:
    data: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    need: int = 0
    join: str | int = "all"
    rest: str = "let"
    when: bool = True
    has_when: bool = False
    default: bool = False
    on_failure: str = "skip"
    failures: int = 0  # attempts that fail
    attempts: int = 1  # that it has
    duration: float = 0.0

    @property
    def before(self) -> list[int]:
        return list(dict.fromkeys([*self.data, *self.order]))


PAUSE = 0.011  # between two attempts


def random_nodes(rng: random.Random, count: int, *, timed: bool) -> list[ModelNode]:
    nodes: list[ModelNode] = []
    cancels = timed and rng.random() < 0.5  # not beside conditions, which take no time: it is open who is first then
    for i in range(count):
        node = ModelNode()
        some = rng.sample(
            range(max(0, i - 12), i),
            min(i, rng.choice([0, 1, 1, 2, 2, 3, 5])) if i < 12 else rng.choice([0, 1, 1, 2, 3, 5]),
        )
        for j in some:
            (node.data if rng.random() < 0.5 else node.order).append(j)
        edges = len(node.before)
        node.default = rng.random() < 0.3
        if edges and rng.random() < 0.3 and (node.default or not node.data):
            node.join = rng.choice(["any", rng.randint(1, edges)])
        node.need = edges if node.join == "all" else 1 if node.join == "any" else int(node.join)
        if cancels and node.join != "all" and rng.random() < 0.5:
            node.rest = "cancel"
        node.has_when = not cancels and rng.random() < 0.3
        node.when = not node.has_when or rng.random() < 0.6
        node.on_failure = rng.choice(
            ["skip", "skip", "skip", "ignore", "handler", *(["stop"] if timed and rng.random() < 0.2 else [])]
        )
        node.attempts = rng.choice([1, 1, 2, 3])
        node.failures = rng.choice([0, 0, 0, 0, 1, 2, 3])
        node.duration = rng.uniform(0.001, 0.1) if timed else 0.0
        nodes.append(node)
    return nodes


class Model:
    """A run of such nodes."""

    def __init__(self, nodes: list[ModelNode], cancel_at: float | None = None) -> None:
        self.nodes = nodes
        self.status = ["pending"] * len(nodes)
        self.outcome = [""] * len(nodes)  # of an end: "met", "left" or "broken"
        self.attempts = [0] * len(nodes)
        self.until: dict[int, float] = {}  # when an attempt, or a pause, is over
        self.pausing: set[int] = set()
        self.joined: list[int] = []
        self.now = 0.0
        self.stopped = self.cancelled = False
        self.cancel_at = cancel_at
        self.run = ""
        self.play()

    def play(self) -> None:
        while True:
            self.settle()
            moments = sorted((at, i) for i, at in self.until.items())
            if self.cancel_at is not None and (moments and self.cancel_at < moments[0][0]) and not self.cancelled:
                self.cancelled = True
                self.cancel_all()
                continue
            if not moments:
                break
            self.now, i = moments[0]
            del self.until[i]
            self.over(i)
        failed = any(s == "failed" and n.on_failure != "ignore" for s, n in zip(self.status, self.nodes, strict=True))
        self.run = "cancelled" if self.cancelled else "failed" if failed else "completed"

    def over(self, i: int) -> None:
        node = self.nodes[i]
        if i in self.pausing:
            self.pausing.remove(i)
            self.begin(i)
        elif self.attempts[i] > node.failures:
            self.end(i, "completed", "met")
        elif self.attempts[i] < node.attempts:
            self.status[i] = "pending"
            self.pausing.add(i)
            self.until[i] = self.now + PAUSE
        elif node.on_failure == "handler":
            self.end(i, "completed", "met")
        else:
            self.end(i, "failed", "left" if node.on_failure == "ignore" else "broken")
            if node.on_failure == "stop":
                self.settle()
                self.stopped = True
                self.cancel_all()

    def begin(self, i: int) -> None:
        self.status[i] = "running"
        self.attempts[i] += 1
        self.until[i] = self.now + self.nodes[i].duration

    def end(self, i: int, status: str, outcome: str) -> None:
        self.status[i], self.outcome[i] = status, outcome
        self.until.pop(i, None)
        self.pausing.discard(i)

    def cancel_all(self) -> None:
        for i in range(len(self.nodes)):
            if not self.outcome[i]:
                self.end(i, "cancelled", "broken")

    def settle(self) -> None:
        """Try all rules on all nodes until nothing changes."""
        while True:
            while sum([self.look(i) for i in range(len(self.nodes))]):
                pass
            if not self.joined:
                return
            self.cancel_rest(self.joined.pop())

    def look(self, i: int) -> bool:
        node = self.nodes[i]
        if self.outcome[i] or self.status[i] != "pending" or i in self.pausing:
            return False
        edges = [self.edge(j, i) for j in node.before]
        met, left, broken = (edges.count(kind) for kind in ("met", "left", "broken"))
        if met >= node.need:
            if node.when:
                self.begin(i)
            else:
                self.end(i, "skipped", "left")
            if node.rest == "cancel":
                self.joined.append(i)
            return True
        if len(edges) - left - broken < node.need:
            if broken:
                self.end(i, "skipped", "broken")
                return True
            if met + left == len(edges):
                self.end(i, "skipped", "left")
                return True
        return False

    def edge(self, j: int, i: int) -> str:
        outcome = self.outcome[j]
        if outcome == "left" and (j not in self.nodes[i].data or self.nodes[i].default):
            return "met"
        return outcome

    def cancel_rest(self, i: int) -> None:
        changed = True
        before = set(self.nodes[i].before)
        while changed:
            changed = False
            for j in list(before):
                followers = [k for k, node in enumerate(self.nodes) if j in node.before]
                if not self.outcome[j] and all(k == i or self.outcome[k] for k in followers):
                    self.end(j, "cancelled", "broken")
                    before.update(self.nodes[j].before)
                    changed = True
