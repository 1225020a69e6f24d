"""Run pykka's own test suite: with actorflow's actors as its runtime, then as it is after `import actorflow`.

    python -m tests.pykka                  both, once
    python -m tests.pykka --repeat 50      the first fifty times in a row, then the second once
    python -m tests.pykka --mode threading only the second

The tests come from pykka's source distribution, which pip downloads; nothing of them is kept here. A wrong edit of
their conftest would still show 152 green tests on pykka's own actors, so the ids that carry our runtime's name are
counted too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = "4.5.0"
TESTS = 152  # in pykka 4.5.0's source distribution
WITH_RUNTIME = 137  # of them take the `runtime` fixture; the other 15 do not depend on it

OURS = {
    'name="threading"': 'name="actorflow"',
    "actor_class=ThreadingActor": "actor_class=actorflow.Actor",
    "future_class=ThreadingFuture": "future_class=actorflow.Future",
    'id="threading"': 'id="actorflow"',
}


@dataclass(frozen=True)
class Mode:
    """How to change the conftest, and the runtime name that its test ids must show."""

    runtime: str
    edits: dict[str, str]


MODES = {"actorflow": Mode("actorflow", OURS), "threading": Mode("threading", {})}


class SuiteError(Exception):
    """The suite did not run as it should. The text says what differed."""


def download(folder: Path) -> Path:
    """Fetch the source distribution with pip; without an isolated build if the first way fails."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "pykka", "-d", str(folder)]
    for extra in ([], ["--no-build-isolation"]):
        done = subprocess.run([*command, *extra, f"pykka=={VERSION}"], check=False, capture_output=True, text=True)
        found = sorted(folder.glob("pykka-*.tar.gz"))
        if done.returncode == 0 and found:
            return found[0]
    raise SuiteError(f"pip could not download pykka {VERSION}; give a file with --sdist\n{done.stderr.strip()}")


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack and return the `tests` folder."""
    with tarfile.open(sdist) as tar:
        tar.extractall(folder, filter="data")
    found = sorted(folder.glob("pykka-*/tests"))
    if not found:
        raise SuiteError(f"{sdist} holds no tests folder")
    return found[0]


def edited(conftest: str, mode: Mode) -> str:
    """Put our classes into the one entry of RUNTIMES; each edit must fit exactly once."""
    for old, new in mode.edits.items():
        if conftest.count(old) != 1:
            raise SuiteError(f"the suite's conftest has {old!r} {conftest.count(old)} times, expected once")
        conftest = conftest.replace(old, new)
    first, rest = conftest.split("import logging\n", 1)
    return f"{first}import actorflow\nimport logging\n{rest}"


def copy_tests(source: Path, target: Path, mode: Mode) -> None:
    """Copy the suite below `target` and edit its conftest."""
    for path in sorted(source.rglob("*.py")):
        copy = target / "tests" / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        copy.write_text(edited(text, mode) if path.name == "conftest.py" else text, encoding="utf-8")


def run_once(folder: Path, mode: Mode) -> str:
    """Run the suite in `folder` and check the counts. Returns pytest's closing line."""
    report = folder / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-vv",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
        "--timeout=60",
        "tests",
    ]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}  # their `tests` before ours
    done = subprocess.run(command, check=False, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise SuiteError(f"pytest ended with {done.returncode}\n{done.stdout[-20_000:]}\n{done.stderr[-5_000:]}")
    passed = [
        case.get("name", "") for case in ET.parse(report).getroot().iter("testcase") if len(case.findall("*")) == 0
    ]
    named = [name for name in passed if f"[{mode.runtime}" in name or f"-{mode.runtime}" in name]
    if (len(passed), len(named)) != (TESTS, WITH_RUNTIME):
        raise SuiteError(
            f"{len(passed)} tests passed, {len(named)} of them on the runtime {mode.runtime!r};"
            f" expected {TESTS} and {WITH_RUNTIME}\n{done.stdout[-20_000:]}"
        )
    return done.stdout.strip().splitlines()[-1].strip("= ")


def main() -> int:
    """Parse the options, run, report."""
    parser = argparse.ArgumentParser(prog="python -m tests.pykka", description="Run pykka's test suite on actorflow.")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run our runtime N times in a row")
    parser.add_argument("--mode", choices=[*MODES, "both"], default="both")
    parser.add_argument("--sdist", type=Path, help="a downloaded pykka source distribution, instead of pip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pykka-suite-") as name:
        top = Path(name)
        try:
            source = unpack(options.sdist or download(top), top)
            for key, mode in MODES.items():
                if options.mode not in (key, "both"):
                    continue
                copy_tests(source, top / key, mode)
                times = options.repeat if key == "actorflow" else 1
                for number in range(1, times + 1):
                    line = run_once(top / key, mode)
                    print(f"{key} {number}/{times}: {line}", flush=True)
        except SuiteError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
