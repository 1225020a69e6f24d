"""Sphinx directives that draw the pictures of the docs as inline SVG, so that they follow the theme, light or dark.

`statechart` draws the chart of a class that the page defines, `dot` a file of `docs/pictures`, and `bars` the medians
of a file of `docs/figures`, which `tox -e figures` writes. The first two call Graphviz through actorflow itself.
Blocks of Mermaid that are sequence diagrams are drawn as the reports of `actorflow sim` draw them.
"""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any, ClassVar

from actorflow.machine.pictures import draw
from actorflow.sim.html.sequence_picture import sequence_picture
from bars import Bars
from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DEFINITIONS = ("class ", "import ", "from ", "@")


def themed(svg: str) -> str:
    """Make an SVG of Graphviz follow the page: black is the colour of text, white is left out."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<polygon fill="white" stroke="none"[^>]*/>', "", svg, count=1)
    svg = re.sub(r"<text ", '<text fill="currentColor" ', svg)
    svg = svg.replace('"black"', '"currentColor"').replace(
        'fill="white"', 'fill="none"'
    )
    return svg.replace("<svg ", '<svg role="img" class="picture" ', 1)


class Picture(SphinxDirective):
    """A figure with an SVG made by `svg` and the directive's content as its caption."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def svg(self) -> str:
        """Draw."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Put the drawing into a figure."""
        figure = nodes.figure(classes=["align-center"])
        figure += nodes.raw("", self.svg(), format="html")
        if self.content:
            caption, _ = self.state.inline_text(" ".join(self.content), self.lineno)
            figure += nodes.caption("", "", *caption)
        return [figure]

    def file(self) -> Path:
        """Give the file that the argument names, and have the page built anew when it changes."""
        path = Path(self.env.srcdir, self.arguments[0])
        self.env.note_dependency(str(path))
        return path


class Statechart(Picture):
    """The chart of a state machine, as the page has defined it up to here; nothing else of the page is run."""

    def svg(self) -> str:
        """Draw the chart."""
        page = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
        marker = f"```{{statechart}} {self.arguments[0]}"
        names: dict[str, Any] = {"__name__": "docs"}
        for example in doctest.DocTestParser().get_examples(page[: page.index(marker)]):
            if example.source.startswith(DEFINITIONS):
                exec(compile(example.source, self.env.docname, "exec"), names)  # noqa: S102 - the page is ours
        return themed(names[self.arguments[0]].chart.svg())


class Dot(Picture):
    """A Graphviz file."""

    def svg(self) -> str:
        """Draw the file."""
        path = self.file()
        return themed(draw(path.read_text(encoding="utf-8"), path.name))


class Comparison(Picture):
    """Bars: measures of a file of `docs/figures`, each contestant beside actorflow; the caption says what it was."""

    option_spec: ClassVar = {"measures": directives.unchanged_required}

    def svg(self) -> str:
        """Draw one group of bars for each measure."""
        report = json.loads(self.file().read_text(encoding="utf-8"))
        self.content.append(
            f"Medians of {report['repeats']} interleaved repeats on {report['cores']} cores, CPython "
            f"{report['python']}, {report['date']}, load {report['load']}. Lengths are logarithmic.",
            self.arguments[0],
        )
        measures = self.options["measures"].strip().splitlines()
        return Bars(report["results"], measures).svg()


def draw_sequences(_app: Sphinx, document: nodes.document) -> None:
    """Put the pictures of sequence diagrams in place of their Mermaid."""
    for block in list(document.findall(nodes.literal_block)):
        if block.get("language") == "mermaid":
            svg = sequence_picture(block.astext())
            svg = svg.replace("<svg ", '<svg class="picture sequence" ', 1)
            block.replace_self(nodes.raw("", svg, format="html"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    kinds: dict[str, type[Directive]] = {
        "statechart": Statechart,
        "dot": Dot,
        "bars": Comparison,
    }
    for name, directive in kinds.items():
        app.add_directive(name, directive)
    app.connect("doctree-read", draw_sequences)
    return {"parallel_read_safe": True}
