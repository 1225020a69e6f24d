"""Verdicts: what the exceptions of pytest, unittest and hypothesis say of a run. None of these is imported for it."""

from __future__ import annotations

import sys
from typing import Final

FAILS: Final = ("_pytest.outcomes", "Failed")  # of pytest.fail, which is no Exception
IS_EXPECTED: Final = ("_pytest.outcomes", "XFailed")  # of pytest.xfail: a kind of `Failed`
DOES_NOT_COUNT: Final = (("unittest.case", "SkipTest"), ("hypothesis.errors", "UnsatisfiedAssumption"))
ENDS_ALL: Final = (("_pytest.outcomes", "Exit"), ("bdb", "BdbQuit"))  # of pytest.exit, and of "q" in a debugger
OF_TIME: Final = "pytest_timeout"  # calls pytest.fail wherever the test is, as its time is up


def says_failed(error: BaseException) -> bool:
    """Say whether an error that is no Exception says that the run failed: `pytest.fail(...)`, as an assertion does."""
    return is_one_of(error, FAILS) and not is_one_of(error, IS_EXPECTED) and not is_of_time(error)


def says_nothing(error: BaseException) -> bool:
    """Say whether an Exception says that the run does not count: an `assume` of hypothesis, a skip, a quit."""
    return ends_all(error) or any(is_one_of(error, kind) for kind in DOES_NOT_COUNT)


def ends_all(error: BaseException) -> bool:
    """Say whether an exception ends more than the run: the session of pytest, or the debugger."""
    return any(is_one_of(error, kind) for kind in ENDS_ALL)


def is_one_of(error: BaseException, kind: tuple[str, str]) -> bool:
    """Say whether an error is of a class, which has a module and a name."""
    found = getattr(sys.modules.get(kind[0]), kind[1], None)
    return isinstance(found, type) and isinstance(error, found)


def is_of_time(error: BaseException) -> bool:
    """Say whether an error was raised because the time of the test is up."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == OF_TIME:
            return True
        trace = trace.tb_next
    return False
