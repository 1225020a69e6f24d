"""Mapping: charts as plain dicts, ready for JSON, and back. Nothing in a dict is evaluated or imported.

`reader` makes a chart of a dict, `writer` a dict of a chart.

The form, each key of which may be left out::

    {
        "name": "order",
        "version": 1,
        "order": "action first",
        "initial": "new",
        "states": {
            "new": {
                "enter": ["log"],
                "exit": ["log"],
                "on": {"pay": [{"target": "paid", "guard": "enough", "actions": ["take"]}, {"actions": ["take"]}]},
                "after": {"1800": "dead"},
                "always": [{"target": "dead", "guard": "banned"}],
                "defer": ["ship"],
            },
            "paid": {"initial": "picking", "states": {...}, "invoke": [{"id": "courier", "src": "Courier"}]},
            "back": {"type": "history", "history": "deep", "target": "new"},
            "dead": {"type": "final", "donedata": "reason"},
        },
    }

A transition that has only a target may be written as the target's name, a list of one as its item. `after` counts
seconds. A key of `on` may hold several patterns with spaces between. "transitions" is a list in document order, for
orders that `on`, `after` and `always` cannot express: each has "event" or "after" or neither.
"""

from actorflow.machine.mapping.reader import chart_from_dict
from actorflow.machine.mapping.writer import chart_to_dict

__all__ = ["chart_from_dict", "chart_to_dict"]
