"""An expense that a person approves: reminded of after a day, refused after three; kill it meanwhile, and it waits on.

    python -m examples.approval                # hand in an expense, and wait for its end
    python -m examples.approval approve ann    # in another terminal; or: refuse ann

A kill -9 of the first loses nothing, and the time goes on: start it again. The decision may come while it is not there.
The file approval.db, in the current folder or where ACTORFLOW_STORE says, has the state; DAY is the length of a day.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import actorflow as af

DAY = float(os.environ.get("DAY", "86400"))
RUN = "expense-17"


@dataclass
class Decision:
    """The signal that a person sends."""

    by: str
    is_approved: bool


@af.task(retry=af.Retry(5, af.Backoff(1, limit=60)))
def mail(to: str, text: str) -> None:
    """Send a mail; here, print it."""
    print(f"to {to}: {text}", flush=True)


@af.task
def pay(amount: int) -> str:
    """Pay an expense. The key is the same if it has to be tried again: a bank takes it once."""
    print(f"paid {amount} with key {af.current().key}", flush=True)
    return "paid"


@af.workflow
def expense(who: str, amount: int) -> str:
    """Ask for a decision, remind of it, and pay or not."""
    mail("boss", f"{who} asks for {amount}")
    decision = af.wait(Decision, timeout=DAY)
    if decision is None:
        mail("boss", f"{who} still waits for {amount}")
        decision = af.wait(Decision, timeout=2 * DAY)
    if decision is None:
        mail(who, "nobody has decided in three days")
        return "expired"
    if not decision.is_approved:
        mail(who, f"{decision.by} has refused")
        return "refused"
    return pay(amount)


def main(arguments: list[str]) -> int:
    """Hand in an expense, or decide."""
    with af.ActorSystem("approval", store=os.environ.get("ACTORFLOW_STORE", "sqlite:///approval.db")) as system:
        match arguments:
            case []:
                run = system.start(expense.options(id=RUN), "bob", 250)
                print(f"the expense is {run.result()}")
            case ["approve" | "refuse" as word, by]:
                system.get_run(RUN).signal(Decision(by, word == "approve"))
            case _:
                sys.exit("nothing, or: approve NAME, or: refuse NAME")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
