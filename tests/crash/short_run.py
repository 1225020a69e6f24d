"""A short run of a queue, which may die at a call of the store: `python -m tests.crash.short_run URL [CALL]`.

It prints a line for each job that the store has acknowledged: name and id. At the end, how many calls there were.
"""

import os
import signal
import sys
from typing import Any

import actorflow as af
from tests.crash import tasks

QUEUE = "short"


def say(*words: object) -> None:
    """Print in one piece."""
    os.write(1, f"{' '.join(map(str, words))}\n".encode())


def main(url: str, dies_at: int) -> None:
    """Enqueue one job of each kind, and wait for their results."""
    calls = 0

    def count(_sql: str) -> None:
        nonlocal calls
        calls += 1
        if calls == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with af.ActorSystem("short", store=url, durability="process") as system:
        store: Any = system.store
        store._writer.connection.set_trace_callback(count)
        queue = system.queue(QUEUE, workers=2, per_key=af.Limit(concurrency=1), concurrency=5)
        first = queue.enqueue(tasks.plain, 1)
        say("plain", first.id)
        behind = queue.enqueue(tasks.plain.options(after=[first], priority=3), 2)
        say("behind", behind.id)
        keyed = [queue.enqueue(tasks.plain.options(key="k"), number) for number in (3, 4)]
        say("keyed", keyed[0].id)
        say("keyed", keyed[1].id)
        many = queue.enqueue_many(tasks.plain, [(5,), (6,)])
        for job in many:
            say("many", job.id)
        flaky = queue.enqueue(tasks.fails_once)
        say("flaky", flaky.id)
        queue.enqueue(tasks.plain.options(delay=3600), 7).cancel()
        for job in [behind, *keyed, *many, flaky]:
            job.result(timeout=30)
    say("calls", calls)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
