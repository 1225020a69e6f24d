"""Puts the facts of a row and a pool into a cell, and the cells into a table."""

import os
import platform
from importlib import metadata

from rich.box import MARKDOWN, SQUARE
from rich.console import Console
from rich.table import Table

from .rows import ROWS

LEGEND = (
    "Set-up: 2 workers, one other task running (R), three queued (Q). Cell: faulty task / R / Q / next submit. "
    "ok: delivered or served. one worker: two tasks given to the idle pool do not run at once. "
    "lost: R or Q got an error. HANG: no answer in 7 s (10 s for the script's end). "
    "Passed: nobody else loses a result, the next submit is served, no HANG, no orphan; "
    "no API is not passed."
)


def cell(row, facts):
    """What a pool made of a fault, in a few words."""
    if facts.get("no_api"):
        return "no API"
    if row.kind == "orphans":
        return f"{facts['left']} of {facts['had']} left"
    if row.kind == "end":
        if facts["exit"] == "HANG":
            return "HANG"
        took = f"{facts['end']:.2f} s"
        dropped = "" if facts["late"] or row.name == "ctrl-c" else ", running task dropped"
        return took + dropped + _odd_exit(row, facts) + _orphans(facts)
    if row.name == "idle-death":
        return f"- / - / {_queued(facts)} / {_next(facts)}{_orphans(facts)}"
    return f"{_faulty(row, facts)} / {_one(facts.get('running'))} / {_queued(facts)} / {_next(facts)}{_orphans(facts)}"


def passed(row, facts):
    """Whether nobody else was hurt. That the error names the cause is for a reader, or `test_matrix.py`, to say."""
    if facts.get("no_api") or facts["left"] or facts["exit"] == "HANG":
        return False
    if row.kind == "orphans":
        return facts["had"] > 0
    if row.kind == "end":
        return not _odd_exit(row, facts)
    answers = [facts.get(name, {}).get("state") for name in ("next", "close")]
    answers += [one["state"] for one in facts.get("queued", ())]
    answers += [facts["running"]["state"]] if "running" in facts else []
    hangs = facts.get("faulty", {}).get("state") == "HANG"
    wrong = row.name in {"nested", "fork-with-lock"} and facts["faulty"]["state"] != "ok"
    refused = row.name == "cancel" and not facts["cancelled"].get("value")
    return not (hangs or wrong or refused) and set(answers) == {"ok"}


def render(seen, width, *, markdown=False):
    """Give the table: a line for each fault, a column for each pool."""
    peers = list(dict.fromkeys(peer for _, peer in seen))
    table = Table("fault", *peers, box=MARKDOWN if markdown else SQUARE, show_lines=not markdown)
    for row in ROWS:
        facts = [seen.get((row.name, peer)) for peer in peers]
        if any(facts):
            table.add_row(row.title, *(cell(row, one) if one else "" for one in facts))
    counts = {peer: [passed(row, seen[row.name, peer]) for row in ROWS if (row.name, peer) in seen] for peer in peers}
    table.add_row("passed", *(f"{sum(marks)} of {len(marks)}" for marks in counts.values()))
    console = Console(width=10_000 if markdown else width, color_system=None)
    with console.capture() as capture:
        console.print(table, markup=False)
    return f"{capture.get().strip()}\n\n{LEGEND}\n{_versions()}"


def _faulty(row, facts):
    seen = facts.get("faulty", {"state": "HANG"})
    text = seen["type"] if seen["state"] == "error" else _one(seen)
    if row.name == "timeout" and seen["state"] == "error":
        return f"{text} at {seen['seconds']:.2f} s"
    if row.name == "cancel":
        free = all(one["state"] == "ok" for one in facts.get("slot", ()))
        return f"{facts['cancelled'].get('value', 'HANG')}, slot {'free at once' if free else 'stays busy'}"
    if row.name == "memory" and seen["state"] == "ok":
        return "not stopped"
    return text


def _one(seen):
    return {"ok": "ok", "error": "lost", "HANG": "HANG"}[(seen or {"state": "HANG"})["state"]]


def _queued(facts):
    cells = [_one(seen) for seen in facts.get("queued", ())] or ["HANG"]
    return max(cells, key=["ok", "lost", "HANG"].index)


def _next(facts):
    one, both = facts.get("next", {"state": "HANG"}), facts.get("both", {"state": "HANG"})
    if one["state"] == "error":
        return "BROKEN"
    if one["state"] == "HANG":
        return "HANG"
    after = f" {one['seconds']:.1f} s" if one["seconds"] > 0.5 else ""
    close = "" if facts.get("close", {}).get("state") == "ok" else ", close fails"
    return f"ok{after}{'' if both['state'] == 'ok' else ', one worker'}{close}"


def _odd_exit(row, facts):
    """Ctrl-C ends a script with KeyboardInterrupt; the end of its last line ends it with 0."""
    expected = (-2, 130) if row.name == "ctrl-c" else (0,)
    return "" if facts["exit"] in (*expected, "HANG") else f", exit code {facts['exit']}"


def _orphans(facts):
    """Left by a script that has ended, or hangs at its end and was killed then."""
    if facts["exit"] == "HANG":
        return ", HANG at exit"
    return f", {facts['left']} orphans" if facts["left"] else ""


def _versions():
    names = ("actorflow", "loky", "pebble", "mpire", "joblib")
    found = [f"{name} {version}" for name in names if (version := _version(name))]
    return f"CPython {platform.python_version()}, {os.cpu_count()} cores, {', '.join(found)}"


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
