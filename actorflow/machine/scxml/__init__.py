"""SCXML: documents of the W3C recommendation of 2015 as charts, and charts as documents.

Read in this order: `elements` (XML without its dangers), `limits`, `datamodels` (two languages of expressions stand
behind it, `python` and `ecma`), `content`, `sending`, `invoking` (executable content), `reader`, `document` (the
chart), `session` (its model), `actor` (runs it), `writer`.
"""

from actorflow.machine.scxml.actor import ScxmlActor
from actorflow.machine.scxml.document import ScxmlChart
from actorflow.machine.scxml.reader import load
from actorflow.machine.scxml.session import Session
from actorflow.machine.scxml.writer import chart_to_scxml

__all__ = ["ScxmlActor", "ScxmlChart", "Session", "chart_to_scxml", "load"]
