"""The work, in a module of its own: the web process knows it by name, and the daemon runs it."""

import os
from pathlib import Path

import actorflow as af

QUEUE = "books"


def library() -> Path:
    """Return the folder of books: each is a folder with a text file for each chapter."""
    return Path(os.environ.get("LIBRARY", "library"))


@af.task(retry=af.Retry(3), timeout=600)
def count_words(book: str) -> int:
    """Count the words of a book, chapter by chapter."""
    current = af.current()
    chapters = sorted((library() / book).glob("*.txt"))
    words = 0
    for number, chapter in enumerate(chapters):
        if current.cancelled:
            raise af.JobCancelled(f"after {number} of {len(chapters)} chapters")
        words += len(chapter.read_text(encoding="utf-8").split())
        current.progress(number + 1, len(chapters))
    return words
