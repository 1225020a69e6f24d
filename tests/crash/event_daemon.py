"""A daemon that has durable services until it is killed: `python -m tests.crash.event_daemon URL`."""

import random
import sys
import time

import actorflow as af
from tests.crash.event_services import MEMBERS, recipe


def main(url: str) -> None:
    """Have the services, and stop one of them now and then."""
    rng = random.Random(time.time_ns())
    with af.ActorSystem("crash", store=url, durability="process") as system:
        refs = {name: system.spawn(recipe(name)) for name in MEMBERS}
        while True:
            time.sleep(rng.uniform(0.2, 1.0))
            name = rng.choice(list(MEMBERS))
            refs[name].stop(timeout=60)
            refs[name] = system.spawn(recipe(name))


if __name__ == "__main__":
    main(sys.argv[1])
