"""Mermaid: a DAG as a flowchart, which GitHub and most wikis draw; its steps coloured by their status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actorflow.machine.pictures.labels import clip
from actorflow.machine.pictures.mermaid import INDENT, escape

COLOURS: Final = {
    "ready": "fill:#e8eaf6,stroke:#3949ab",
    "running": "fill:#ffe08a,stroke:#b26a00,stroke-width:3px",
    "completed": "fill:#c8e6c9,stroke:#2e7d32",
    "failed": "fill:#ffcdd2,stroke:#c62828,stroke-width:3px",
    "skipped": "fill:#eeeeee,stroke:#9e9e9e,stroke-dasharray:4",
    "cancelled": "fill:#eeeeee,stroke:#616161",
}


def flowchart(
    names: Sequence[str], before: Sequence[Sequence[int]], data: Sequence[Sequence[int]], statuses: Sequence[str] = ()
) -> str:
    """Write a DAG as a Mermaid flowchart: data by solid arrows, order by dotted ones.

    Args:
        names: of the nodes.
        before: for each node, the numbers of those that come before it.
        data: those of them whose results it gets.
        statuses: of the nodes, for their colours.

    >>> print(flowchart(["extract", "load"], [[], [0]], [[], [0]], ["completed", "running"]), end="")
    flowchart LR
        n0["extract"]
        n1["load"]
        n0 --> n1
        classDef running fill:#ffe08a,stroke:#b26a00,stroke-width:3px
        class n1 running
        classDef completed fill:#c8e6c9,stroke:#2e7d32
        class n0 completed
    """
    lines = ["flowchart LR"]
    lines += [f'{INDENT}n{i}["{escape(clip(name))}"]' for i, name in enumerate(names)]
    for i, sources in enumerate(before):
        lines += [f"{INDENT}n{j} {'-->' if j in data[i] else '-.->'} n{i}" for j in sources]
    for status, style in COLOURS.items():
        ids = [f"n{i}" for i, one in enumerate(statuses) if one == status]
        if ids:
            lines += [f"{INDENT}classDef {status} {style}", f"{INDENT}class {','.join(ids)} {status}"]
    return "\n".join(lines) + "\n"
