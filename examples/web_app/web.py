"""The web process: it adds jobs and shows them, and runs none. `uvicorn examples.web_app.web:app`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Query, Request, Response

import actorflow as af
from examples.web_app import store
from examples.web_app.tasks import QUEUE, count_words, library


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the system in each process of the server, and close it when that ends."""
    with af.ActorSystem("web", store=store()) as system:
        app.state.system = system
        app.state.jobs = system.queue(QUEUE)  # without workers: the daemon has these
        yield


app = FastAPI(lifespan=lifespan)
Book = Annotated[str, Path(pattern=r"^\w+$")]
Seconds = Annotated[float, Query(ge=0, le=30)]


@app.post("/books/{book}/count", status_code=202)
async def count(book: Book, request: Request, response: Response) -> dict[str, str]:
    """Have the words of a book counted; who asks again meanwhile gets the job that is there."""
    if not (library() / book).is_dir():
        raise HTTPException(404, f"there is no book {book}")
    task = count_words.options(unique=f"count {book}", tags=[book], keep=7 * 86400)
    job = await request.app.state.jobs.enqueue_async(task, book)
    response.headers["Location"] = f"/jobs/{job.id}"
    return {"job": job.id}


@app.get("/jobs/{id}")
async def show(id: str, request: Request, wait: Seconds = 0) -> dict[str, Any]:
    """Show how far a job is; with `wait`, answer when it is over, or after so many seconds."""
    job = find(request, id)
    info = await info_of(job)
    if wait:
        with suppress(TimeoutError, af.JobFailed, af.JobCancelled):
            await asyncio.wait_for(job, wait)
        info = await info_of(job)
    is_done = info.status == "completed"
    return {
        "status": info.status,
        "progress": info.progress,
        "result": await job if is_done else None,
        "error": None if is_done else info.error,  # before the end it is that of the last attempt
    }


@app.delete("/jobs/{id}", status_code=202)
async def cancel(id: str, request: Request) -> dict[str, bool]:
    """Cancel a job; False if it was over."""
    job = find(request, id)
    await info_of(job)
    return {"cancelled": await asyncio.to_thread(job.cancel)}


def find(request: Request, id: str) -> af.Job[Any]:
    """Return the handle on a job."""
    try:
        job: af.Job[Any] = request.app.state.system.get_job(id)
    except af.DefinitionError as error:
        raise HTTPException(404, str(error)) from error
    return job


async def info_of(job: af.Job[Any]) -> Any:
    """Return what the store knows of a job; what reads the store goes to a thread, so the loop goes on."""
    try:
        return await asyncio.to_thread(job.info)
    except af.DefinitionError as error:  # it was done long ago, or never was
        raise HTTPException(404, str(error)) from error
