"""The page of patterns: its code as modules, and plays of its workflows, which are cut after each of their records."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import actorflow as af
from actorflow.durable.rows import ledger as mailboxes
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import Letter
from actorflow.store.codec import encode
from actorflow.testing import VirtualSystem
from actorflow.workflows.rows import ledger
from actorflow.workflows.rows.records import READY, RunRecord, address_of
from actorflow.workflows.workflow import AnyWorkflow

PAGE = Path(__file__).resolve().parents[3] / "docs" / "patterns.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^### (\d+)\. (.+)$", re.MULTILINE)

# What is sent while a run plays: seconds from its start, and the signal.
Events = Sequence[tuple[float, Any]]


def headings() -> dict[int, str]:
    """Return the patterns of the page: their names by number."""
    found = [(int(number), name) for number, name in HEADING.findall(TEXT)]
    assert len(dict(found)) == len(found)
    return dict(found)


def pattern(number: int) -> Any:
    """Return the code of a pattern as a module: with `printed`, the list of what its tasks have printed."""
    name = f"pattern_{number}"
    if name not in sys.modules:
        section = re.split(r"^### ", TEXT, flags=re.MULTILINE)
        (text,) = [one for one in section if one.startswith(f"{number}. ")]
        module = ModuleType(name)
        printed: list[str] = []
        module.__dict__.update(printed=printed, print=printed.append)
        sys.modules[name] = module  # classes of signals are looked up there
        for block in (BLOCK.findall(TEXT)[0], *BLOCK.findall(text)):
            place = TEXT[: TEXT.index(block)].count("\n")
            exec(compile("\n" * place + block, str(PAGE), "exec"), module.__dict__)
    module = sys.modules[name]
    module.printed.clear()
    return module


def play(
    workflow: AnyWorkflow,
    *args: Any,
    events: Events = (),
    cancel: float | None = None,
    seeds: int = 2,
    same: Callable[[Any], Any] = lambda result: result,
) -> tuple[Any, float]:
    """Run a workflow in virtual time, live and cut after each of its records; return its result, and its seconds.

    The result is the same for all seeds and wherever it is cut; the text of the error, if it was cancelled. `same` is
    what of a result has to be so: steps that end at one time do so in an order that the seed chooses.
    """
    seen: list[Any] = []
    for seed in range(seeds):
        with VirtualSystem("test", seed=seed) as system:
            began = system.now
            run = system.start(workflow.options(id="run"), *args)
            result = outcome(system, run, began, events, cancel)
            records, started, ended = journal_of(system)
        seen.append((result, ended - started))
    assert len({repr(same(one)) for one, _ in seen}) == 1, seen
    for cut in range(len(records) + 1):
        again = go_on(workflow, args, records[:cut], started, events, cancel)
        assert same(again) == same(result), (cut, again, result)
    return seen[0]


def outcome(system: VirtualSystem, run: Any, began: float, events: Events, cancel: float | None) -> Any:
    """Send a run its signals, each at its time, and return its result."""
    for seconds, signal in events:
        system.sleep(max(0.0, began + seconds - system.now))
        run.signal(signal)
    if cancel is not None:
        system.sleep(max(0.0, began + cancel - system.now))
        run.cancel()
    try:
        return run.result()
    except af.RunCancelled as error:
        return str(error)


def go_on(
    workflow: AnyWorkflow, args: Any, kept: list[RunRecord], started: float, events: Events, cancel: float | None
) -> Any:
    """Go on in a new system with a run that has some records, at the time of the last; return its result."""
    taken = [record.value for record in kept if record.identity[1].startswith("signal ") and record.value is not None]
    left = [(seconds, signal) for seconds, signal in events if not took(taken, encode(signal))]
    if any(record.identity[1] == "cancel" for record in kept):
        cancel = None
    with VirtualSystem("test", seed=len(kept)) as system:
        began = system.now
        now = kept[-1].at - started if kept else 0.0
        system.sleep(now)
        run = system.get_run("run")
        node = run._node
        there = [Letter(address_of("run"), pack(signal, 1000)) for seconds, signal in left if seconds < now]
        left = [(seconds, signal) for seconds, signal in left if seconds >= now]

        def put(transaction: Any) -> None:
            new = ledger.NewRun("run", workflow.name, encode([list(args), {}]))
            claimed = ledger.add(transaction, new, started, "dead")
            ledger.append(transaction, claimed, "dead", kept)
            for letter in there:
                mailboxes.put(transaction, node.durable, letter)
            ledger.let_go(transaction, claimed, "dead", READY, "running")

        system.store.write(put)
        node.look()
        result = outcome(system, run, began, left, cancel)
        journal, _started, _ended = journal_of(system)
        assert journal[: len(kept)] == kept
        assert len({record.identity for record in journal}) == len(journal)  # no recorded step was run again
        return result


def journal_of(system: VirtualSystem) -> tuple[list[RunRecord], float, float]:
    """Return the records of the run, and when it began and ended."""
    row = system.store.read(lambda tx: tx.one("runs.get", {"name": "run"}))
    return system.store.read(lambda tx: ledger.records(tx, row[0])), row[19], row[20]


def took(values: list[bytes], value: bytes) -> bool:
    """Take one of the signals that a run has recorded; False if it has not."""
    if value not in values:
        return False
    values.remove(value)
    return True


def run_dag(number: int, check: Callable[[dict[str, str], list[str]], object]) -> None:
    """Run the DAG of a pattern by several seeds; check the statuses of its nodes, and what its tasks have printed."""
    for seed in range(3):
        module = pattern(number)
        with VirtualSystem("test", seed=seed) as system:
            run = system.start(module.dag)
            run.result()
            check({step.name: step.status for step in run.steps}, list(module.printed))
