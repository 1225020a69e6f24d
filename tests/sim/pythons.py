"""Other interpreters that can run the package, for runs that have to be the same on each."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def others():
    """Return interpreters of other versions: those of this checkout's environments, and what OTHER_PYTHONS lists."""
    listed = [Path(name) for name in os.environ.get("OTHER_PYTHONS", "").split(os.pathsep) if name]
    places = [*listed, ROOT / ".venv/bin/python", *sorted(ROOT.glob(".tox/py3*/bin/python"))]
    own = f"{sys.version_info[:2]}"
    found = {}
    for path in places:
        version = output(path, "import sys, actorflow.sim; print(sys.version_info[:2])") if path.exists() else None
        if version not in (None, own):
            found.setdefault(version, path)
    return list(found.values())


def output(python, program, *, hash_seed=0):
    """Return what a program says on an interpreter; None if it fails."""
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(python), "-c", program], env=environment, capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    return done.stdout.strip() if done.returncode == 0 else None
