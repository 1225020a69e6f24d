"""Sequence: the messages of a simulated run as a Mermaid sequence diagram."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.sim.world.network import Passage

MOST: Final = 60  # messages of a diagram; of more, the last
UNSAFE: Final = re.compile(r"[;#\n\r]|-->|->>|:")


def sequence(passages: Iterable[Passage], notes: Sequence[tuple[float, str]] = ()) -> str:
    """Return a diagram of messages between hosts; lost ones end in a cross, doubled and held ones are marked.

    Args:
        passages: the messages, in the order in which they were sent.
        notes: faults, by their times.
    """
    all_of_them = list(passages)
    shown = all_of_them[-MOST:]
    left = len(all_of_them) - len(shown)
    lines = ["sequenceDiagram"]
    names: dict[str, str] = {}
    for passage in shown:
        for name in (passage.source, passage.target):
            if name not in names:
                names[name] = f"p{len(names)}"
                lines.append(f"    participant {names[name]} as {safe(name)}")
    if left:
        lines.append(f"    Note over {next(iter(names.values()))}: {left} earlier messages left out")
    waiting = sorted(notes)
    for passage in shown:
        while waiting and waiting[0][0] <= passage.sent:
            time, text = waiting.pop(0)
            lines.append(f"    Note over {','.join(ends(names))}: {time:g} s {safe(text)}")
        lines.append(arrow(passage, names))
    lines.extend(f"    Note over {','.join(ends(names))}: {time:g} s {safe(text)}" for time, text in waiting if names)
    return "\n".join(lines)


def arrow(passage: Passage, names: dict[str, str]) -> str:
    """Return the line of one message."""
    source, target = names[passage.source], names[passage.target]
    is_lost, line = passage.fate == "lost", "--" if is_answer(passage.label) else "-"
    kind = f"{line}x" if is_lost else f"{line}>>"
    when = f"{passage.sent:.3f}"
    if passage.arrived is not None and passage.arrived > passage.sent:
        when += f" to {passage.arrived:.3f}"
    fate = f" ({passage.fate})" if passage.fate else ""
    return f"    {source}{kind}{target}: {safe(passage.label)}{fate} {when} s"


def note_of(entered: str) -> tuple[float, str]:
    """Return the time and the words of a client event, as the world notes it: "client event 3 at 1.5 s: call"."""
    head, _, words = entered.partition(" s: ")
    event, _, time = head.rpartition(" at ")
    return float(time), f"{words} ({event})"


def is_answer(label: str) -> bool:
    """Say whether a message is the answer to another."""
    return label == "answer" or label.startswith("error ")


def ends(names: dict[str, str]) -> list[str]:
    """Return the outermost participants."""
    found = list(names.values())
    return [found[0]] if len(found) == 1 else [found[0], found[-1]]


def safe(text: str) -> str:
    """Return a text without the signs that end a line of a diagram."""
    return UNSAFE.sub(" ", text)
