"""Runs documents by `actorflow scxml --virtual`, each in a fork: `python -m tests.machine.scxml.sandbox`.

Standard input has a JSON object of texts by name; a line of output is [name, exit code, output, seconds, peak bytes].
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import actorflow.app.virtual
import actorflow.machine.scxml.actor  # noqa: F401 - imported once, not in each fork
from actorflow.cli import main

CODE = ("os.system", "subprocess.Popen", "socket.connect")
CPU = 20  # seconds after which the kernel ends a document


def peak() -> int:
    if sys.platform == "linux":  # getrusage would begin with the size of the process that this one was forked from
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_here(file: Path, output: Path) -> None:
    """Run a document in this process, and write down what it took."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
    sys.addaudithook(lambda event, _: sys.exit(f"ran {event}") if event in CODE else None)
    sys.argv = ["actorflow", "scxml", "--virtual", str(file)]
    with output.open("w") as sys.stdout:
        begin, code = time.process_time(), 1
        try:
            code = main()
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 1
        took = time.process_time() - begin
    (output.parent / "took").write_text(json.dumps([code, took, peak()]))


def run_forked(text: str, folder: Path) -> list[object]:
    file, output, took = folder / "hostile.scxml", folder / "output", folder / "took"
    file.write_text(text)
    took.write_text("null")
    pid = os.fork()
    if not pid:
        try:
            run_here(file, output)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    code, seconds, size = json.loads(took.read_text()) or (-1, CPU, 0)
    return [code, output.read_text(), seconds, size]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for name, text in json.load(sys.stdin).items():
            print(json.dumps([name, *run_forked(text, Path(place))]), flush=True)
