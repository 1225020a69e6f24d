"""Forms of charts: programs, dicts, documents and pictures. Each is imported when the first one is made."""

# ruff: noqa: PLC0415 - that is what this module is for
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actorflow.machine.definition.chart import Chart


def form(name: str) -> Callable[..., Any]:
    """Return the function or class that makes a form of a chart, by its name."""
    if name == "Program":
        from actorflow.machine.running.program import Program

        return Program
    if name in {"chart_from_dict", "chart_to_dict"}:
        from actorflow.machine import mapping

        return mapping.chart_from_dict if name == "chart_from_dict" else mapping.chart_to_dict
    if name in {"load", "chart_to_scxml"}:
        from actorflow.machine.scxml import reader, writer

        return reader.load if name == "load" else writer.chart_to_scxml
    from actorflow.machine import pictures

    drawn: dict[str, Callable[..., Any]] = {"mermaid": pictures.mermaid, "dot": pictures.dot, "svg": pictures.svg}
    return drawn[name]


Chart._form = staticmethod(form)
