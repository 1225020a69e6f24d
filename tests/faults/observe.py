"""Sees one cell: runs its script in a session of its own, within a time limit, and ends all that it leaves."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
MARK = "ACTORFLOW_FAULT_MARK"  # an environment variable, inherited by all that the script starts
LIMIT = 60.0  # seconds for a script that tells nothing of its end
ENDING = 10.0  # seconds for a script that has told all to end; longer is a HANG
GRACE = 1.0  # seconds until what is left of a script is an orphan


def observe(row, peer, limit=LIMIT, patience=1):
    """Play one row on one pool and give the facts, a dictionary.

    Beside what the script tells (see `Stage`) there are: `exit`, its code, or "HANG" if it had to be killed; `errors`,
    the end of its stderr; `end`, the seconds from the blow, or from the script's last line, to its end; `had`, its
    processes, and `left`, how many of them lived a second after its end; `late`, whether the task that ran at its end
    was finished. `patience` multiplies all bounds, for a machine that is busy.
    """
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as folder:
        told, errors = Path(folder, "told"), Path(folder, "errors")
        command = [sys.executable, "-m", "tests.faults.drive", row, peer, folder]
        with told.open("wb") as out, errors.open("wb") as err:
            script = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, MARK: mark, "ACTORFLOW_FAULT_PATIENCE": str(7.0 * patience)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        try:
            code = _wait(script, told, limit, ENDING * patience)
            ended = time.time()
            left, gone_after = _left(mark, script.pid, GRACE * patience)
            facts = _merged(told) | {"late": Path(folder, "R.done").exists()}
        finally:
            _end_all(mark)
            script.kill()
            script.wait()
        facts |= {"row": row, "peer": peer, "exit": code, "left": left, "gone_after": gone_after}
        facts["errors"] = errors.read_text(errors="replace")[-4000:]
        facts["had"] = len(facts.pop("processes", ()))
        facts["end"] = round(ended - facts.pop("at", ended), 3)
        return facts


def _wait(script, told, limit, to_end):
    """Wait for the script's end; its exit code, or HANG."""
    deadline = time.monotonic() + limit
    ending = False
    while time.monotonic() < deadline:
        if script.poll() is not None:
            return script.returncode
        if not ending and {"ended", "at"} & _merged(told).keys():
            ending = True
            deadline = time.monotonic() + to_end
        time.sleep(0.01)
    return "HANG"


def _merged(told):
    facts = {}
    for line in told.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):  # half a line of a killed script, or what a pool prints
            facts |= json.loads(line)
    return facts


def _left(mark, script, grace):
    """How many processes live after the script's end and a grace time, and the seconds until none did, if so."""
    begin = time.monotonic()
    while True:
        left = [process for process in _marked(mark) if process.pid != script]
        passed = time.monotonic() - begin
        if not left:
            return 0, round(passed, 3)
        if passed > grace:
            return len(left), None
        time.sleep(0.01)


def _marked(mark):
    """All processes that the script has started, directly or not, wherever they went."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _end_all(mark):
    """Kill until nothing is left: one that dies may have started another."""
    for _ in range(100):
        left = _marked(mark)
        if not left:
            return
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.02)
