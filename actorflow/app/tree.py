"""Tree: a picture of the actors of a system. Layer 5."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from actorflow.core.ref import BUSY, CHANGING, DEAD, ENDING, IDLE, READY

if TYPE_CHECKING:
    from actorflow.core.children import Children

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
    """An actor and those below it; `print` draws it.

    Attributes:
        name: last part of the path.
        path: the whole path.
        actor_class: name of the class, "" for the system.
        status: idle, busy, changing (starts, stops or restarts), stopping or dead.
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


def draw(children: Children | None) -> list[Tree]:
    """Describe the children and all below them."""
    rows = []
    for ref in children or ():
        ref_any: Any = ref
        rows.append(
            Tree(
                name=ref.name,
                path=ref.path,
                actor_class=ref.actor_class.__name__,
                status=STATUS[ref._state],
                queued=len(ref_any._queue or ()),
                children=draw(ref._children),
            )
        )
    return rows
