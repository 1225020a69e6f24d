"""Fresh: a seed that failed is run again in a process in which no other seed ran, by its test's module and name.

If it does not fail there, the seeds before it have left something behind: a global, a cache, an attribute of a class.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from actorflow.process.pickling import dumps, loads
from actorflow.sim.limits import RunLimits
from actorflow.sim.search.module_state import changed, look
from actorflow.sim.search.outcome import TestBody, run_once

if TYPE_CHECKING:
    from actorflow.sim.search.module_state import Look
    from actorflow.sim.search.outcome import Body

SECONDS: Final = 60.0  # of real time, for the process
SHOWN: Final = 12  # names
MARK: Final = "actorflow-fresh-run "
PROGRAM: Final = "from actorflow.sim.search.fresh import main; main()"


def key_in_fresh_process(body: Body, seed: int) -> str | None:
    """Return the key of a seed's failure in a fresh process; "": it does not fail there; None: it cannot run there."""
    if not isinstance(body, TestBody):
        return None
    function = inspect.unwrap(body.function)
    if "<locals>" in function.__qualname__ or function.__module__ == "__main__":
        return None
    try:
        args, buffers = dumps((body.args, body.kwargs, body.before), "an argument of the test")
    except Exception:  # noqa: BLE001 - a fixture that does not survive a pickle: it is not run there
        return None
    if buffers:
        return None
    order = {
        "path": [entry or os.getcwd() for entry in sys.path],  # noqa: PTH109 - as an import of "" takes it
        "module": function.__module__,
        "file": function.__code__.co_filename,
        "name": function.__qualname__,
        "args": bytes(args).hex(),
        "limits": body.limits,
        "seed": seed,
    }
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(  # noqa: S603 - this Python, and no shell
            [sys.executable, "-c", PROGRAM],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        for line in done.stdout.splitlines():
            if line.startswith(MARK):
                return str(json.loads(line.removeprefix(MARK)))
    return None


def left_behind(body: Body, seed: int, key: str, before: Look) -> str:
    """Return the part that earlier seeds have in a failure, in words; "": none, as far as can be told.

    Args:
        body: the test.
        seed: of the run that failed.
        key: of its failure.
        before: a look at the modules before the first seed.
    """
    names = changed(before, look())
    if not names:  # the usual case: no process is started
        return ""
    fresh = key_in_fresh_process(body, seed)
    if fresh is None or fresh == key:
        return ""
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (
        f"in a fresh process this seed {'fails in another way' if fresh else 'does not fail'}: what earlier runs left "
        f"behind has a part. Names of modules that they changed: {', '.join(names[:SHOWN])}{more}"
    )


def main() -> None:
    """Run one seed of one test, as told on the standard input, and print the key of its failure."""
    order: dict[str, Any] = json.load(sys.stdin)
    sys.path[:] = order["path"]
    found: Any = module_of(order["module"], order["file"])
    for name in order["name"].split("."):
        found = getattr(found, name)
    args, kwargs, before = loads(bytes.fromhex(order["args"]), ())
    test = TestBody(inspect.unwrap(found), args, kwargs, before, RunLimits(*order["limits"]))
    outcome = run_once(test, order["seed"])
    print(MARK + json.dumps(outcome.key))  # noqa: T201 - for the process that waits


def module_of(name: str, file: str) -> Any:
    """Import a module by its name, or else from its file: pytest may import it in ways of its own."""
    try:
        return importlib.import_module(name)
    except ImportError:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
