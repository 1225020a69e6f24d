"""A CI/CD pipeline with a gate: checks side by side, a build, staging, and production once a person lets it pass.

    python -m examples.release                 # release 1.4.0; it stops at the gate
    python -m examples.release pass ann        # in another terminal; or: stop ann
    python -m examples.release VERSION --broken lint     # a check that fails

Kill it with -9 wherever you like, and start it again: what was done is not done again. A deploy that turns out to be
sick is rolled back. At the end it draws the run: where it waited, and which steps ran side by side. The file
release.db, in the current folder or where ACTORFLOW_STORE says, has the state; PACE is the length of a step.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass

import actorflow as af

CHECKS = ("lint", "types", "tests on 3.11", "tests on 3.13")
PACE = float(os.environ.get("PACE", "1"))
HOURS = 3600.0


@dataclass
class Gate:
    """The signal of the person at the gate."""

    by: str
    is_open: bool


class CheckFailed(Exception):
    """A check of the code that has failed; a second try would not help."""


def work(text: str) -> None:
    """Stand for what a real pipeline does: call tools and services."""
    print(text, flush=True)
    time.sleep(PACE)


@af.task(raises=CheckFailed, timeout=600)
def check(name: str, version: str, broken: str) -> str:
    """Run one check on the code."""
    work(f"check {version}: {name}")
    if name == broken:
        raise CheckFailed(name)
    return name


@af.task(timeout=600)
def build(version: str) -> str:
    """Build the image, and return its name."""
    work(f"build {version}")
    return f"shop:{version}"


@af.task(retry=af.Retry(3, af.Backoff(1)), timeout=600)
def deploy(image: str, place: str) -> None:
    """Have a place run an image; it is the same if it is done twice."""
    work(f"deploy {image} to {place}")


@af.task(retry=af.Retry(3, af.Backoff(1)), timeout=60)
def is_healthy(place: str, broken: str) -> bool:
    """Ask a place how it is."""
    work(f"look at {place}")
    return place != broken


@af.workflow
def release(version: str, previous: str, broken: str = "") -> str:
    """Bring a version into production, or say why not."""
    try:
        af.gather(check.submit(name, version, broken) for name in CHECKS).get()
    except CheckFailed as failure:
        return f"not released: {failure} failed"
    image = build(version)
    deploy(image, "staging")
    if not is_healthy("staging", broken):
        return "not released: staging is sick"
    gate = af.wait(Gate, timeout=48 * HOURS)
    if gate is None or not gate.is_open:
        return f"not released: stopped by {gate.by if gate else 'time'}"
    deploy(image, "production")
    if not is_healthy("production", broken):
        deploy(f"shop:{previous}", "production")
        return f"rolled back to {previous}"
    return f"released by {gate.by}"


def main(arguments: list[str]) -> int:
    """Release a version, or open the gate."""
    parser = argparse.ArgumentParser(prog="python -m examples.release", description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", metavar="VERSION | pass NAME | stop NAME")
    parser.add_argument("--broken", default="", help="a check, or a place, that is")
    parser.add_argument("--version", default="1.4.0", help="the release whose gate it is (1.4.0)")
    options = parser.parse_args(arguments)
    with af.ActorSystem("release", store=os.environ.get("ACTORFLOW_STORE", "sqlite:///release.db")) as system:
        match options.words:
            case ["pass" | "stop" as word, by]:
                system.get_run(f"release-{options.version}").signal(Gate(by, word == "pass"))
                return 0
            case [] | [_]:
                version = options.words[0] if options.words else options.version
            case _:
                parser.error("give a version, or: pass NAME, or: stop NAME")
        system.subscribe(af.RunEvent, tell_of_the_gate)
        run = system.start(release.options(id=f"release-{version}"), version, "1.3.9", options.broken)
        end = run.result()
        print(f"{version}: {end}")
        print(run.timeline())
    return 0 if end.startswith("released") else 1


def tell_of_the_gate(event: af.RunEvent) -> None:
    """Say that somebody is waited for."""
    if event.kind == "waiting":
        print("waiting at the gate: python -m examples.release pass NAME", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
