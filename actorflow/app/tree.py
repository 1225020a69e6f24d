"""Tree: a picture of the actors of a system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.messages.ref_table import REFS
from actorflow.core.refs.cell import BUSY, CHANGING, DEAD, ENDING, IDLE, READY
from actorflow.errors import ActorflowError
from actorflow.process.hosts.link.lookup import describe

if TYPE_CHECKING:
    from actorflow.core.running.children import Children
    from actorflow.process.hosts.link.lookup import Row

SECONDS: Final = 1.0  # for the answers of all hosts
NO_ANSWER: Final = "does not answer"
STATUS: Final = {
    IDLE: "idle",
    BUSY: "busy",
    READY: "busy",
    CHANGING: "changing",
    ENDING: "stopping",
    DEAD: "dead",
}


@dataclass(frozen=True, slots=True)
class Tree:
    """An actor and the actors below it; `print` draws them.

    Attributes:
        name: last part of the path.
        path: the whole path.
        actor_class: name of the class, "" for the system.
        status: idle, busy, changing (starts, stops or restarts), stopping or dead; "does not answer" if its host
            has not listed its actors within a second.
        queued: messages that wait in its mailbox.
        children: in start order.
    """

    name: str
    path: str
    actor_class: str = ""
    status: str = "running"
    queued: int = 0
    children: list[Tree] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(self._lines("", ""))

    def _lines(self, first: str, rest: str) -> list[str]:
        queued = f", {self.queued} queued" if self.queued else ""
        what = f"  {self.actor_class} ({self.status}{queued})" if self.actor_class else ""
        lines = [f"{first}{self.name}{what}"]
        for index, child in enumerate(self.children):
            last = index == len(self.children) - 1
            lines += child._lines(rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))
        return lines


def draw(children: Children) -> list[Tree]:
    """Describe the children and all actors below them; hosts are asked for theirs."""
    clock = children.scheduler.clock
    end = clock.monotonic() + SECONDS
    return paint([describe(ref) for ref in children], None, lambda: max(0.0, end - clock.monotonic()))


def paint(rows: list[Row], way: Any, left: Callable[[], float]) -> list[Tree]:
    """Make pictures of rows, which came by the link `way` if they are from a host; `left` is the time for answers."""
    asked = [ask(row[-1], way) if row[-1] else None for row in rows]
    trees = []
    for row, question in zip(rows, asked, strict=True):
        status = STATUS[row[3]]
        link = way
        if question is not None:
            link, answer = question
            try:
                row = answer.get(timeout=left()) or row  # noqa: PLW2901
                status = STATUS[row[3]]
            except ActorflowError:  # it hangs, or has just died
                status = NO_ANSWER
        name, path, actor_class, _, queued, below, _ = row
        trees.append(Tree(name, path, actor_class, status, queued, paint(below, link, left)))
    return trees


def ask(uid: int, way: Any) -> tuple[Any, Any] | None:
    """Ask the host of an actor for its description; None if it has none at the moment."""
    ref: Any = REFS.by_uid.get(uid)
    link = way if way is not None else ref._way() if ref is not None else None
    return None if link is None else (link, link.request(link.name, "describe", uid))
