"""A workflow that survives kill -9: start it, kill it in its midst, start it again, and it goes on.

    python -m examples.hello_durable

The file hello.db, in the current folder or where ACTORFLOW_STORE says, has what is done.
"""

import os
import time

import actorflow as af


@af.task
def greet(name: str) -> str:
    """Say hello, slowly."""
    print(f"hello {name}", flush=True)
    time.sleep(float(os.environ.get("PACE", "1")))
    return name


@af.workflow
def greet_all(names: list[str]) -> int:
    """Greet one after the other."""
    return len([greet(name) for name in names])


if __name__ == "__main__":
    with af.ActorSystem("hello", store=os.environ.get("ACTORFLOW_STORE", "sqlite:///hello.db")) as system:
        run = system.start(greet_all.options(id="first"), ["ann", "bob", "cleo", "dan", "eve"])
        print(f"greeted {run.result()}")
