"""Pictures of a chart: Mermaid's text, Graphviz's text, and SVG where Graphviz is installed.

All three show the same: `labels` says what is written, `mermaid` and `graphviz` how.
"""

from actorflow.machine.pictures.graphviz import dot, draw, svg
from actorflow.machine.pictures.mermaid import mermaid

__all__ = ["dot", "draw", "mermaid", "svg"]
