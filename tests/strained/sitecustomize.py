"""What Python runs at its start in programs of strained tests: functions of the package, and lines of tests, are late.

Python has the events for both from 3.12 on. `tests/strain.py` puts this folder into PYTHONPATH, and has the same in its
own process.
"""

from __future__ import annotations

import collections
import dis
import importlib.util
import inspect
import os
import random
import select
import sys
import tempfile
import types
from pathlib import Path

CHANCE, SECONDS = 0.0005, 0.03  # before a function of the package begins
# Before a line of a test, of its actors and tasks, of an example, seldomer with each visit; a test draws one of these.
LINES = (0.03, 0.2), (0.03, 0.2), (0.03, 0.2), (0.01, 2.0)
OWN = *(str(Path(__file__).parents[2] / folder) for folder in ("tests", "examples")), tempfile.gettempdir()
LIBRARIES = "/lib/python", "/site-packages/"
SPARED = "sitecustomize.py", "strain.py", "interrupts.py"  # the last counts places in real code

draw = random.Random(f"{os.environ.get('ACTORFLOW_STRAIN')} {os.getpid()}")
is_exempt = [lambda: False]  # in virtual time nothing is late
factor = [1.0]  # of the chances
lines = [draw.choice(LINES)]
visits: collections.Counter[tuple[types.CodeType, int]] = collections.Counter()  # of lines


def sleep(seconds: float) -> None:
    """Wait for real: a simulation has `time.sleep` take virtual time."""
    select.select([], [], [], seconds)


def is_of_a_test(code: types.CodeType) -> bool:
    """Say whether code that begins is a test's, or of a program that a test runs: no import, and nobody's library."""
    if any(part in code.co_filename for part in LIBRARIES) or Path(code.co_filename).name in SPARED:
        return False
    is_program = sys._getframe(2).f_globals.get("__name__") == "__main__"
    if not (code.co_flags & inspect.CO_OPTIMIZED or is_program):  # the body of a module or a class
        return False
    return code.co_filename.startswith(OWN) or (is_program and code.co_filename == "<string>")


def is_bare(code: types.CodeType, line: int) -> bool:
    """Say whether a line does nothing at first, as `try:`: an interrupt of a delay there escapes the `try` around."""
    return any(code.co_code[at] == dis.opmap["NOP"] for at, number in dis.findlinestarts(code) if number == line)


def strain_anywhere() -> None:
    """Have functions of the package begin late from now on, and lines of the tests."""
    found = importlib.util.find_spec("actorflow")
    if found is None or found.origin is None:
        return
    package, monitoring = str(Path(found.origin).parent), sys.monitoring
    events, tool = monitoring.events, monitoring.PROFILER_ID

    def begins(code: types.CodeType, _offset: int) -> object:
        if not code.co_filename.startswith(package):
            if is_of_a_test(code):
                monitoring.set_local_events(tool, code, events.LINE)
            return monitoring.DISABLE
        if draw.random() < CHANCE * factor[0] and not is_exempt[0]():
            sleep(draw.random() * SECONDS)
        return None

    def line(code: types.CodeType, number: int) -> None:
        visits[code, number] += 1
        chance, seconds = lines[0]
        if draw.random() < chance * factor[0] / visits[code, number] and not is_bare(code, number):
            sleep(draw.random() * seconds)

    monitoring.use_tool_id(tool, "strain")
    monitoring.register_callback(tool, events.PY_START, begins)
    monitoring.register_callback(tool, events.LINE, line)
    monitoring.set_events(tool, events.PY_START)


def begin_test(seed: str, severity: float) -> None:
    """Draw from a seed from now on, with as many delays as the severity says."""
    draw.seed(seed)
    visits.clear()
    factor[0], lines[0] = severity, draw.choice(LINES)


if sys.version_info >= (3, 12) and os.environ.get("ACTORFLOW_STRAIN"):
    os.register_at_fork(after_in_child=lambda: draw.seed(os.getpid()))
    strain_anywhere()
