"""What Python runs at its start in programs of strained tests: any function of the package begins late now and then.

Python has the events for it from 3.12 on. `tests/strain.py` puts this folder into PYTHONPATH, and has the same in its
own process.
"""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import time
from pathlib import Path

CHANCE, SECONDS = 0.0005, 0.03

draw = random.Random(f"{os.environ.get('ACTORFLOW_STRAIN')} {os.getpid()}")
is_exempt = [lambda: False]  # in virtual time nothing is late
factor = [1.0]  # of the chance


def strain_anywhere() -> None:
    """Have functions of the package begin late from now on."""
    found = importlib.util.find_spec("actorflow")
    if found is None or found.origin is None:
        return
    package, monitoring = str(Path(found.origin).parent), sys.monitoring

    def begins(code: object, _offset: int) -> object:
        if not code.co_filename.startswith(package):
            return monitoring.DISABLE
        if draw.random() < CHANCE * factor[0] and not is_exempt[0]():
            time.sleep(draw.random() * SECONDS)
        return None

    tool = monitoring.PROFILER_ID
    monitoring.use_tool_id(tool, "strain")
    monitoring.register_callback(tool, monitoring.events.PY_START, begins)
    monitoring.set_events(tool, monitoring.events.PY_START)


if sys.version_info >= (3, 12) and os.environ.get("ACTORFLOW_STRAIN"):
    os.register_at_fork(after_in_child=lambda: draw.seed(os.getpid()))
    strain_anywhere()
