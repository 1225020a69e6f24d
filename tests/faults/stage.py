"""Where a row is played: the pool, the folder through which tasks and script meet, and what was seen."""

import json
import os
import signal
import time
from dataclasses import dataclass

import psutil

from . import tasks
from .peers import PEERS, Hang
from .tasks import PATIENCE

ATTRIBUTES = ("exitcode", "signal", "maybe_ran", "rss", "type_name", "code")


class GaveUp(BaseException):
    """Raised in a call that takes too long. No `Exception`, for pools that catch those."""


@dataclass(frozen=True)
class Refused:
    """Stands for the handle of a task that the pool did not take."""

    seen: dict


class Stage:
    """One pool of two workers, and the tasks around the faulty one."""

    def __init__(self, peer, folder):
        self.folder = folder
        self.peer = peer
        self.pool = PEERS[peer]()
        self.innocent = None
        self.queued = []

    def tell(self, **facts):
        """Print what was seen, at once: the script may not live to the end of the row."""
        print(json.dumps(facts), flush=True)

    def go(self, name):
        """Give a waiting task its cue."""
        tasks.mark(self.folder, f"{name}.go")

    def started(self, name):
        """Wait until a task runs; give the id of its process."""
        process = tasks.wait_for(self.folder, f"{name}.started", PATIENCE)
        if process is None:
            self.tell(never_started=name)
            return None
        return int(process)

    def play(self, function, *arguments, **limits):
        """Hand over the faulty task, one that runs beside it, and three that wait; come back when two run."""
        handle = self.submit(function, *arguments, **limits)
        self.innocent = self.submit(tasks.held, self.folder, "R")
        self.queue_up()
        self.pool.start()
        self.started("F")
        self.started("R")
        return handle

    def submit(self, function, *arguments, **limits):
        """Hand over a task; give its handle, or what came instead of one: an error, or HANG."""
        handles = []
        seen = self.attempt(lambda: handles.append(self.pool.submit(function, *arguments, **limits)))
        if seen.get("type") == "NoApi":
            self.no_api()
        return handles[0] if handles else Refused(seen)

    def queue_up(self):
        """Hand over three quick tasks."""
        self.queued = [self.submit(tasks.quick, number) for number in range(3)]

    def no_api(self):
        """The pool cannot be asked for this: there is nothing to see."""
        self.tell(no_api=True)
        os._exit(0)

    def finish(self, handle):
        """See what became of the faulty task, of the innocent ones, of the next submits, and of the close."""
        if handle is not None:
            self.tell(faulty=self.outcome(handle))
        if self.innocent is not None:
            self.go("R")
            self.tell(running=self.outcome(self.innocent))
        limits = (PATIENCE, PATIENCE / 7, PATIENCE / 7)  # those behind one that hangs get little more time
        self.tell(queued=[self.outcome(one, limit) for one, limit in zip(self.queued, limits, strict=False)])
        self.next()
        self.tell(processes=self.processes())
        self.tell(close=self.attempt(self.pool.close))

    def next(self):
        """See whether the pool still serves, and with how many workers."""
        self.tell(next=self.attempt(self._one))
        both = self.attempt(self._pair)
        if both["state"] == "HANG":  # a pool may have given both tasks to one worker, or still be about to replace one
            both = self.attempt(self._pair)
        self.tell(both=both)

    def warm_up(self):
        """Have both workers serve; give their processes' ids, None where they did not."""
        pair = self.attempt(self._pair)
        self.tell(warm=pair)
        return pair.get("value")

    def _one(self):
        handle = self.pool.submit(tasks.quick, 7)
        self.pool.start()
        return self.pool.result(handle, PATIENCE)

    def _pair(self):
        """Two tasks that must run at the same time. Raises Hang when they do not."""
        here, there = (f"meet-{time.monotonic_ns()}-{side}" for side in "ab")
        pair = [self.pool.submit(tasks.meet, self.folder, *names) for names in ((here, there), (there, here))]
        self.pool.start()
        met = [self.pool.result(one, PATIENCE) for one in pair]
        if not all(found for found, _ in met):
            raise Hang
        return [process for _, process in met]

    def outcome(self, handle, limit=PATIENCE):
        """What a task came to: its value, its error, or HANG."""
        if isinstance(handle, Refused):
            return handle.seen
        return self.attempt(lambda: self.pool.result(handle, limit), limit + 1)

    def attempt(self, call, limit=PATIENCE + 4):
        """Make a call that may never come back; give its value, its error, or HANG, and the seconds it took.

        It is made in the main thread, as a script does: loky has a pool for each thread.
        """
        begin = time.perf_counter()
        signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, limit, 1.0)
        try:
            seen = {"state": "ok", "value": plain(call())}
        except (Hang, GaveUp):
            seen = {"state": "HANG"}
        except Exception as error:
            seen = {"state": "error", **described(error)}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return {**seen, "seconds": round(time.perf_counter() - begin, 4)}

    def processes(self):
        """Ids of all processes below the script."""
        return [child.pid for child in psutil.Process().children(recursive=True)]

    def doom(self, number):
        """Have this script die of a signal."""
        self.tell(processes=self.processes(), at=time.time())
        os.kill(os.getpid(), number)
        signal.pause()


def _give_up(*_):
    raise GaveUp


def described(error):
    """An error as a table and a test need it."""
    return {
        "type": type(error).__name__,
        "bases": [cls.__name__ for cls in type(error).__mro__],
        "text": str(error)[:2000],
        "notes": "\n".join(getattr(error, "__notes__", ()))[:4000],
        "attributes": {name: plain(getattr(error, name)) for name in ATTRIBUTES if hasattr(error, name)},
    }


def plain(value):
    """A value that JSON knows."""
    return value if isinstance(value, str | int | float | list | bool | None) else repr(value)
