"""A web app whose requests are workflows: a loan asks two services, waits for a person, and is paid out.

    uvicorn examples.loans:app
    curl -X PUT "localhost:8000/loans/7?name=bob&amount=5000"          # begin; twice is the same loan
    curl "localhost:8000/loans/7?wait=10"                              # how far it is; wait at most so long for its end
    curl -X POST "localhost:8000/loans/7/decision?by=ann&yes=true"     # a large loan needs that within three days
    curl -X DELETE "localhost:8000/loans/7"                            # or give it up

Kill the server with -9 wherever you like, and start it again: each loan goes on where it was. The services are in the
same server, under /services, and refuse every second call, so you see tries in the log; SERVICES names others. The
file loans.db, in the current folder or where ACTORFLOW_STORE says, has the state. Needs pip install '.[examples]'.
"""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Query, Request

import actorflow as af

SERVICES = os.environ.get("SERVICES", "http://127.0.0.1:8000/services")
DAY = 86_400


@dataclass
class Decision:
    """The signal that a person sends about a loan."""

    by: str
    yes: bool


# --- the work --------------------------------------------------------------------------------------------------------


def call(path: str, method: str = "GET", **headers: str) -> Any:
    """Call a service, and return its answer; one that is refused is an error, and the task is tried again."""
    request = urllib.request.Request(f"{SERVICES}/{path}", method=method, headers=headers)  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


again = af.Retry(8, af.Backoff(0.2, limit=30))


@af.task(retry=again, timeout=20)
def score(name: str) -> int:
    """Ask the bureau what it thinks of somebody."""
    return int(call(f"score/{name}"))


@af.task(retry=again, timeout=20)
def debts(name: str) -> int:
    """Ask the bureau what somebody owes."""
    return int(call(f"debts/{name}"))


@af.task(retry=again, timeout=20)
def pay_out(name: str, amount: int) -> str:
    """Have the bank pay. All tries have one key, also after a kill, so the bank pays once."""
    return str(call(f"payments/{name}/{amount}", "PUT", **{"Idempotency-Key": af.current().key}))


@af.task(retry=again)
def mail(name: str, text: str) -> None:
    """Send a mail; here, print it."""
    print(f"to {name}: {text}", flush=True)


@af.workflow
async def loan(name: str, amount: int) -> str:
    """Decide on a loan, and pay it out."""
    points, owed = await af.gather(score.submit(name), debts.submit(name))
    if points < 300:
        return "refused: score"
    if amount + owed > 1000:
        decision = await af.signal(Decision, timeout=3 * DAY)
        if decision is None or not decision.yes:
            return f"refused by {decision.by if decision else 'time'}"
    receipt = await pay_out.submit(name, amount)
    await mail.submit(name, f"{amount} is yours: {receipt}")
    return f"paid: {receipt}"


# --- the web ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the system in the process that serves; with it, the loans go on that an earlier process had."""
    with af.ActorSystem("loans", store=os.environ.get("ACTORFLOW_STORE", "sqlite:///loans.db")) as system:
        app.state.system = system
        app.state.mails = system.queue("mails", workers=2)
        yield


app = FastAPI(lifespan=lifespan)
Id = Annotated[str, Path(pattern=r"^\w{1,40}$")]
Name = Annotated[str, Query(pattern=r"^\w{1,40}$")]


@app.put("/loans/{id}", status_code=202)
async def begin(id: Id, name: Name, amount: Annotated[int, Query(ge=1, le=10**6)], request: Request) -> dict[str, str]:
    """Begin a loan. The start is a commit, so it goes to a thread: the loop serves others meanwhile."""
    flow = loan.options(id=f"loan-{id}")
    try:
        run = await asyncio.to_thread(request.app.state.system.start, flow, name, amount)
    except af.DefinitionError as error:  # another loan has this id
        raise HTTPException(409, str(error)) from error
    receipt = mail.options(unique=f"receipt {id}")
    await request.app.state.mails.enqueue_async(receipt, name, f"we look at {amount}")
    return {"loan": run.id}


@app.get("/loans/{id}")
async def show(id: Id, request: Request, wait: Annotated[float, Query(ge=0, le=30)] = 0) -> dict[str, Any]:
    """Show how far a loan is; with `wait`, answer when it is over, or after so many seconds."""
    run = await find(request, id)
    if wait:
        with suppress(TimeoutError, af.RunFailed, af.RunCancelled):
            await asyncio.wait_for(run, wait)
    status = await asyncio.to_thread(lambda: run.status)
    return {"status": status, "result": await run if status == "completed" else None}


@app.post("/loans/{id}/decision", status_code=202)
async def decide(id: Id, by: Name, yes: bool, request: Request) -> dict[str, bool]:
    """Send the decision; the second one about a loan is dropped."""
    run = await find(request, id)
    try:
        return {"sent": await asyncio.to_thread(run.signal, Decision(by, yes), id="decision")}
    except af.DefinitionError as error:  # it is over
        raise HTTPException(409, str(error)) from error


@app.delete("/loans/{id}", status_code=202)
async def give_up(id: Id, request: Request) -> dict[str, bool]:
    """Cancel a loan; False if it was over."""
    run = await find(request, id)
    return {"cancelled": await asyncio.to_thread(run.cancel)}


async def find(request: Request, id: str) -> af.Run[str]:
    """Return the handle on a loan that there is; a look at the store goes to a thread."""
    run: af.Run[str] = request.app.state.system.get_run(f"loan-{id}")
    try:
        await asyncio.to_thread(lambda: run.status)
    except af.DefinitionError as error:
        raise HTTPException(404, str(error)) from error
    return run


# --- the services: a bureau and a bank, of which every second call fails ----------------------------------------------

asked: dict[str, int] = {}
paid: dict[str, str] = {}


def fail_every_second(path: str) -> None:
    """Refuse a call, as services do that are overloaded."""
    asked[path] = asked.get(path, 0) + 1
    if asked[path] % 2:
        raise HTTPException(503, "try again")


@app.get("/services/score/{name}")
async def bureau_score(name: str) -> int:
    """Tell the points of somebody."""
    fail_every_second(f"score/{name}")
    return 100 * len(name)


@app.get("/services/debts/{name}")
async def bureau_debts(name: str) -> int:
    """Tell what somebody owes."""
    fail_every_second(f"debts/{name}")
    return 10 * len(name)


@app.put("/services/payments/{name}/{amount}")
async def bank(name: str, amount: int, request: Request) -> str:
    """Pay, once for each key."""
    fail_every_second(f"payments/{name}/{amount}")
    return paid.setdefault(request.headers["Idempotency-Key"], f"receipt-{len(paid) + 1}")
