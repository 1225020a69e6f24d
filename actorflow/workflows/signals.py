"""Signals: the messages to runs that are the engine's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CancelRun:
    """Asks a run to end."""
