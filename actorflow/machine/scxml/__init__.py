"""SCXML: documents of the W3C recommendation of 2015 as charts, and charts as documents.

Read in this order: `elements` (XML without its dangers), `limits`, `code` (a compiled expression), `datamodels` (two
languages of expressions stand behind it, `python` and `ecma`), `source` (where an expression stands), `content`,
`script`, `sending`, `invoking` (executable content), `binding` (data), `reader`, `document` (the chart), `session` (its
model), `stored` (its values in a snapshot), `family` (a session and those that it has invoked), `actor` (runs it),
`writer`.
"""

from actorflow.machine.scxml.actor import ScxmlActor
from actorflow.machine.scxml.document import ScxmlChart
from actorflow.machine.scxml.reader import load
from actorflow.machine.scxml.session import Session
from actorflow.machine.scxml.writer import chart_to_scxml

__all__ = ["ScxmlActor", "ScxmlChart", "Session", "chart_to_scxml", "load"]
