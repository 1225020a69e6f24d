"""A document pipeline: each file of a folder is read, sorted and searched for its sum, side by side with the others.

    python -m examples.documents FOLDER        # .txt files; without a folder, twenty that it makes up

Each document is a run of its own, a child of the run of the folder. One that cannot be read is put aside with the
reason, and the others go on. Kill it with -9 in its midst, and start it again: a document that was filed is not read
again. FOLDER/filed has copies by kind, with an index; FOLDER/filed/runs.db has the state. PACE slows each step.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
import time
from pathlib import Path
from typing import TypedDict

import actorflow as af
from actorflow.cli import progress_bar

KINDS = {"invoice": ("invoice", "amount due"), "contract": ("agreement", "hereby"), "letter": ("dear", "regards")}
SUM = re.compile(r"(?:EUR|total:?)\s*(\d+(?:\.\d\d)?)", re.IGNORECASE)
PACE = float(os.environ.get("PACE", "0"))


class Entry(TypedDict):
    """A line of the index."""

    file: str
    kind: str
    words: int
    sum: float | None


class Unreadable(Exception):
    """A document that is no text."""


@af.task(raises=Unreadable, retry=af.Retry(3, af.Backoff(0.5)))
def read(file: str) -> str:
    """Read the text of a document; it may be on a disk that is away for a moment."""
    time.sleep(PACE)
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"no text from byte {error.start} on") from None


@af.task
def classify(text: str) -> str:
    """Return the kind of a document, by the words in it."""
    found = {kind: sum(text.lower().count(word) for word in words) for kind, words in KINDS.items()}
    best = max(found, key=lambda kind: found[kind])
    return best if found[best] else "other"


@af.task
def find_sum(text: str) -> float | None:
    """Return the last sum of money in a document."""
    return max((float(amount) for amount in SUM.findall(text)), default=None)


@af.task
def put(file: str, folder: str) -> None:
    """Copy a document into a folder: it is the same if it is done twice."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, folder)
    print(f"{Path(file).name} is in {Path(folder).name}", flush=True)


@af.task
def write_index(entries: list[Entry], failed: dict[str, str], to: str) -> None:
    """Write the index; half of one is never seen."""
    unfinished = Path(f"{to}.unfinished")
    unfinished.write_text(json.dumps({"documents": entries, "failed": failed}, indent=1))
    unfinished.replace(to)


@af.workflow
def file_document(file: str, into: str) -> Entry:
    """Have one document filed."""
    text = read(file)
    kind, amount = af.gather(classify.submit(text), find_sum.submit(text)).get()
    put(file, f"{into}/{kind}")
    return {"file": Path(file).name, "kind": kind, "words": len(text.split()), "sum": amount}


@af.workflow
def file_all(files: list[str], into: str) -> tuple[int, int]:
    """Have all documents filed, each by a child; return how many were, and how many could not be."""
    children = {file_document.submit(file, into): file for file in files}
    entries, failed = [], {}
    for child in af.as_completed(children):
        try:
            entries.append(child.get())
        except af.RunFailed as failure:
            failed[Path(children[child]).name] = failure.why
    write_index(sorted(entries, key=lambda entry: entry["file"]), failed, f"{into}/index.json")
    return len(entries), len(failed)


def main(arguments: list[str]) -> int:
    """File the documents of a folder; return 1 if some could not be."""
    folder = Path(arguments[0]) if arguments else sample(Path("documents"))
    if not folder.is_dir():
        sys.exit(f"{folder} is no folder")
    into = folder / "filed"
    into.mkdir(exist_ok=True)
    files = sorted(str(path) for path in folder.glob("*.txt"))
    with af.ActorSystem("documents", store=f"sqlite:///{into / 'runs.db'}") as system, progress_bar("files") as bar:
        run = system.start(file_all.options(id="all"), files, str(into))
        while run.status not in {"completed", "failed", "cancelled"}:
            bar(system.runs(file_document, status="completed").count().get("completed", 0), len(files))
            time.sleep(0.1)
        filed, failed = run.result()
    print(f"{filed} documents are filed, {failed} could not be; see {into / 'index.json'}")
    return 1 if failed else 0


def sample(folder: Path) -> Path:
    """Make up a folder of documents, the same each time."""
    rng = random.Random(12)
    folder.mkdir(exist_ok=True)
    texts = (
        "Invoice {n}\n{words}\nAmount due. Total: {sum}\n",
        "Agreement {n}\nIt is hereby agreed: {words}\n",
        "Dear {n},\n{words}\nRegards\n",
        "{words}\n",
    )
    for n in range(20):
        words = " ".join(rng.choice(["paper", "ink", "box", "door", "lamp"]) for _ in range(rng.randrange(9, 60)))
        text = texts[n % 4].format(n=n, words=words, sum=f"{rng.randrange(100, 9999) / 10:.2f}")
        (folder / f"{n:02}.txt").write_text(text)
    return folder


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted; start it again to go on")
