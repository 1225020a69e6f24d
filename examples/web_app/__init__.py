"""A web application whose slow work a daemon does: FastAPI adds jobs to a queue, and `actorflow run` works them off.

    uvicorn examples.web_app.web:app
    actorflow run examples.web_app.worker:app

Both are on one store, `books.db` here, or what `ACTORFLOW_STORE` names. `tasks` has the work, `web` the routes, and
`worker` the daemon. Needs `pip install '.[examples]'` in a clone.
"""

import os


def store() -> str:
    """Return the URL of the store that both programs are on."""
    return os.environ.get("ACTORFLOW_STORE", "sqlite:///books.db")
