"""Workers: processes that share out the seeds of a search.

They are forks, so that the test, its fixtures and its module are there as they are here. Worker w of n runs the seeds
w, w + n, w + 2n ...; it says after each how the run went, and in the end which names of modules its runs changed. This
process runs a seed that failed again to explain it.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from actorflow.errors import HostDied
from actorflow.sim.search.module_state import changed, look
from actorflow.sim.search.outcome import RunFigures, run_once
from actorflow.sim.search.settings import in_force
from actorflow.sim.search.tally import TALLY
from actorflow.sim.search.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorflow.sim.search.outcome import Body

SIZE: Final = struct.Struct("<I")


class RunNotes:
    """Notes of runs beside their outcomes, such as the errors of handlers; without a subclass there are none."""

    def take(self) -> Any:
        """Return the notes since the last call, for another process."""
        return None

    def merge(self, noted: Any, /) -> None:
        """Add the notes of another process."""


class SeedWorker:
    """One process and its share of the seeds.

    Attributes:
        pid: of the process.
        seeds: its share.
        stream: of what it says.
        last: the seed that it ran last; None: none yet.
        is_done: it has said all.
    """

    def __init__(self, body: Body, seeds: range, is_over: Callable[[], bool], notes: RunNotes) -> None:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of 3.12: there are other threads; they take no part
            self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(reading)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                work(body, seeds, is_over, writing, notes)
                code = 0
            finally:
                os._exit(code)  # nothing of pytest's runs twice
        os.close(writing)
        self.seeds = seeds
        self.stream: BinaryIO = os.fdopen(reading, "rb", buffering=0)
        self.last: int | None = None
        self.is_done = False

    def read(self) -> tuple[Any, ...] | None:
        """Return the next report of a seed; None: there is none to come.

        Raises:
            HostDied: it died in the midst.
        """
        head = exactly(self.stream, SIZE.size)
        said = None if head is None else exactly(self.stream, SIZE.unpack(head)[0])
        if said is None:
            raise self._died()
        content: Any = pickle.loads(said)
        if isinstance(content, list):
            self.is_done = True
            TALLY.shared.update(content)
            return None
        self.last = content[0]
        return content  # type: ignore[no-any-return]

    def _died(self) -> HostDied:
        _, status = os.waitpid(self.pid, 0)
        self.is_done, self.pid = True, 0
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        after = "before its first seed" if self.last is None else f"after seed {self.last}"
        return HostDied(f"a worker of the search, {after}; --sim-workers=1 shows more", signal=number)

    def end(self) -> None:
        """Kill the process."""
        self.stream.close()
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


def exactly(stream: BinaryIO, size: int) -> bytes | None:
    """Read so many bytes; None: the stream has ended before."""
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def work(body: Body, seeds: range, is_over: Callable[[], bool], writing: int, notes: RunNotes) -> None:
    """Run seeds in this process, and say how each went."""
    notes.take()  # what was noted before the fork is the other process's
    before = look()
    with os.fdopen(writing, "wb") as stream:

        def say(content: object) -> None:
            text = pickle.dumps(content)
            stream.write(SIZE.pack(len(text)) + text)
            stream.flush()

        for seed in seeds:
            if is_over():
                break
            try:
                outcome = run_once(body, seed)
                if in_force().verify and outcome.failure is None:
                    verify(body, seed)
                say((seed, outcome.failure is not None, outcome.figures, outcome.met, notes.take()))
            except BaseException:  # noqa: BLE001 - it comes again where the seed is explained: also a skip of pytest
                say((seed, True, RunFigures(), {}, notes.take()))
                return
        say(changed(before, look()))


def shared_out(
    body: Body, seeds: range, count: int, is_over: Callable[[], bool], notes: RunNotes
) -> Iterator[tuple[Any, ...]]:
    """Run seeds in some processes; yield (seed, whether it failed, figures, cases that came) of each.

    After a failure, lower seeds are still run: the lowest that fails is the same on each machine.

    Raises:
        HostDied: a process died.
    """
    workers: list[SeedWorker] = []
    try:
        workers.extend(SeedWorker(body, seeds[i::count], is_over, notes) for i in range(min(count, len(seeds))))
        lowest: int | None = None
        while running := [worker for worker in workers if not worker.is_done and is_awaited(worker, lowest)]:
            for stream in select.select([worker.stream for worker in running], [], [])[0]:
                said = next(worker for worker in running if worker.stream is stream).read()
                if said is None:
                    continue
                if said[1]:
                    lowest = said[0] if lowest is None else min(lowest, said[0])
                notes.merge(said[-1])
                yield said[:-1]
    finally:
        for worker in workers:
            worker.end()


def is_awaited(worker: SeedWorker, lowest: int | None) -> bool:
    """Say whether a worker may still find a lower seed that fails."""
    return lowest is None or worker.last is None or worker.last < lowest
