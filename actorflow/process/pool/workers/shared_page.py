"""Shared page: the memory that a worker process shares with the pool. Lean: children import it first.

Words tell which task the worker runs, written before each task, so that after its death, or while it is stuck, the pool
knows which task is to blame. Behind them lies a journal of the replies that have not been sent yet: replies go out in
groups, and finished ones must not be lost with those that come after them.

    SEQ, SINCE   number of the task that runs, or ran last, and when it began (`perf_counter_ns`, one clock for all)
    ITEM         of a task that is a chunk of a map: which item runs
    FIRST, END   the journal: number of the task whose reply is first in it, and where it ends
    START        WHOLE if the journal holds replies of tasks, one each; else it holds groups of a chunk's items, and
                 this is the item that the first group begins with
    UPTO         recall: tasks up to this number are taken back if they have not begun; the worker looks before each
    FINAL        and waits for the decision, how many: one word, (UPTO << COUNT_BITS) + count; see `WorkerThread`
"""

from __future__ import annotations

TYPE_CHECKING = False  # checkers take it for true; `typing` takes 5 ms to import
if TYPE_CHECKING:
    import mmap

SEQ, SINCE, ITEM, FIRST, START, END, UPTO, FINAL = range(8)
JOURNAL = 64  # bytes, where the journal begins
SIZE = 64 * 1024
WHOLE = 2**64 - 1
COUNT_BITS = 20
COUNT_MASK = (1 << COUNT_BITS) - 1
ERROR = 1 << 31  # in the length of a journal entry: the reply is an error


def read_journal(memory: mmap.mmap, words: memoryview) -> tuple[int, int, list[bytes | tuple[bytes]]]:
    """Return FIRST, START and the replies of the journal; no replies if the worker empties it meanwhile."""
    first, start, end = words[FIRST], words[START], words[END]
    content = memory[JOURNAL : min(end, SIZE)]
    if (words[FIRST], words[START]) != (first, start):
        return first, start, []
    replies: list[bytes | tuple[bytes]] = []
    at = 0
    while at + 4 <= len(content):
        head = int.from_bytes(content[at : at + 4], "little")
        at += 4
        data = content[at : at + (head & ~ERROR)]
        at += len(data)
        replies.append((data,) if head & ERROR else data)
    return first, start, replies
