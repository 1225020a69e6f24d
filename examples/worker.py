"""A daemon that works off a queue: `actorflow run examples.worker:app`. A client: `python -m examples.worker TEXT`.

Both are on one store, by default the file words.db here; `--store` and ACTORFLOW_STORE name another. Start as many
daemons as you like, and end them as you like: a SIGTERM lets what runs end, and what a kill -9 leaves runs elsewhere.
"""

from __future__ import annotations

import logging
import os
import sys

import actorflow as af

STORE = "sqlite:///words.db"
log = logging.getLogger(__name__)


@af.task(name="count_words", retry=af.Retry(3, af.Backoff(1.0)), timeout=60)
def count_words(text: str) -> int:
    """Count the words of a text."""
    count = len(text.split())
    log.info("%d words", count)
    return count


app = af.App("words", store=STORE, system=af.Settings(grace=30))
app.add(count_words, af.queue("texts", workers=4))


def main() -> int:
    """Enqueue a text, and print how many words it has."""
    with af.ActorSystem("client", store=os.environ.get("ACTORFLOW_STORE", STORE)) as system:
        job = system.queue("texts").enqueue(count_words, " ".join(sys.argv[1:]))
        print(job.result(timeout=60))
    return 0


if __name__ == "__main__":
    sys.exit(main())
