"""The daemon: `actorflow run examples.web_app.worker:app`, as often as you like."""

import threading

import actorflow as af
from examples.web_app import store
from examples.web_app.tasks import QUEUE

app = af.App("books", store=store())


@app.main
def main(system: af.ActorSystem, _settings: None) -> int:
    """Work until a signal comes."""
    system.queue(QUEUE, workers=4)
    threading.Event().wait()
    return 0
