"""The daemon: `actorflow run examples.web_app.worker:app`, as often as you like."""

import actorflow as af
from examples.web_app import store
from examples.web_app.tasks import QUEUE, count_words

app = af.App("books", store=store(), system=af.Settings(grace=30)).add(count_words, af.queue(QUEUE, workers=4))
