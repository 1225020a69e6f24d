"""A model of OTP's supervisor, as small as it can be: a list of children, and what each event makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Child:
    """A child that is in the supervisor's list; `restart` is its restart kind."""

    name: str
    restart: str
    starts: int = 0


@dataclass
class Model:
    """Supervisor by the book. `log` has each start and end, in order; `gave_up` ends it."""

    strategy: str
    intensity: int
    period: float
    children: list[Child]
    log: list[str] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)
    gave_up: float | None = None

    def start(self, children: list[Child]) -> None:
        """Start left to right."""
        for child in children:
            child.starts += 1
            self.log.append(f"start {child.name}")

    def stop(self, children: list[Child]) -> None:
        """Stop right to left."""
        self.log += [f"stop {child.name}" for child in reversed(children)]

    def find(self, name: str) -> Child | None:
        """Return a living child."""
        return next((child for child in self.children if child.name == name), None)

    def ends(self, name: str, now: float, how: str) -> None:
        """A child ends: by a crash ("fail"), by itself ("stop"), or for good ("terminate")."""
        child = self.find(name)
        if child is None or self.gave_up is not None:
            return
        self.log.append(f"{'fail' if how == 'fail' else 'stop'} {name}")
        kind = "temporary" if how == "terminate" else child.restart
        if kind == "temporary" or (kind == "transient" and how == "stop"):
            self.children.remove(child)
            return
        self.restarts = [then for then in self.restarts if then >= now - self.period] + [now]
        if len(self.restarts) > self.intensity:
            self.children.remove(child)
            self.stop(self.children)
            self.children, self.gave_up = [], now
            return
        at = self.children.index(child)
        first = {"one_for_one": at, "rest_for_one": at, "one_for_all": 0}[self.strategy]
        affected = self.children[first : at + 1] if self.strategy == "one_for_one" else self.children[first:]
        self.stop([other for other in affected if other is not child])
        again = [other for other in affected if other is child or other.restart != "temporary"]
        self.children = [other for other in self.children if other in again or other not in affected]
        self.start(again)
