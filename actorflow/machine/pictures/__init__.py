"""Pictures of a chart: Mermaid's text, Graphviz's text, and SVG where Graphviz is installed.

All three show the same: `labels` makes the texts, `mermaid` and `graphviz` the form.
"""

from actorflow.machine.pictures.graphviz import dot, draw, svg
from actorflow.machine.pictures.mermaid import mermaid

__all__ = ["dot", "draw", "mermaid", "svg"]
