"""One adapter for each pool: open with two workers, submit, read a result, cancel, close as its `with` does."""

import concurrent.futures
import importlib.util
import multiprocessing

WORKERS = 2


class Hang(Exception):
    """No answer within the limit."""


class NoApi(Exception):
    """The pool cannot be asked for this."""


class Peer:
    """A pool whose handles are `concurrent.futures.Future`s, as most are."""

    package = "concurrent"  # what must be installed

    def submit(self, function, *arguments, timeout=None, memory=None):
        """Hand a task over. Raises NoApi for a limit that the pool does not know."""
        if timeout is not None or memory is not None:
            raise NoApi
        return self.pool.submit(function, *arguments)

    def start(self):
        """All of a row's tasks are handed over; for a pool that takes them only together."""

    def result(self, handle, limit):
        """Wait for a result, or for the task's error. Raises Hang."""
        if not concurrent.futures.wait([handle], limit).done:
            raise Hang
        return handle.result()

    def cancel(self, handle):
        """Cancel a task that may be running; say whether that worked."""
        return handle.cancel()

    def close(self):
        """End the pool as its own `with` block does."""
        self.pool.shutdown()


class Actorflow(Peer):
    """Ours."""

    package = "actorflow"

    def __init__(self):
        import actorflow

        self.pool = actorflow.ProcessPool(workers=WORKERS)

    def submit(self, function, *arguments, timeout=None, memory=None):
        if timeout is None and memory is None:
            return self.pool.submit(function, *arguments)
        return self.pool.options(timeout=timeout, memory=memory).submit(function, *arguments)


class Executor(Peer):
    """`concurrent.futures.ProcessPoolExecutor` that forks."""

    def __init__(self):
        fork = multiprocessing.get_context("fork")
        self.pool = concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=fork)


class Multiprocessing(Peer):
    """`multiprocessing.Pool` that forks."""

    def __init__(self):
        self.pool = multiprocessing.get_context("fork").Pool(WORKERS)

    def submit(self, function, *arguments, timeout=None, memory=None):
        if timeout is not None or memory is not None:
            raise NoApi
        return self.pool.apply_async(function, arguments)

    def result(self, handle, limit):
        handle.wait(limit)
        if not handle.ready():
            raise Hang
        return handle.get(0)

    def cancel(self, handle):
        raise NoApi

    def close(self):
        self.pool.terminate()


class Loky(Peer):
    """loky's reusable executor: each submit asks for it anew, since a broken one is replaced that way."""

    package = "loky"

    @property
    def pool(self):
        import loky

        return loky.get_reusable_executor(max_workers=WORKERS)


class Pebble(Peer):
    """pebble's ProcessPool that forks."""

    package = "pebble"

    def __init__(self):
        import pebble

        self.pool = pebble.ProcessPool(WORKERS, context=multiprocessing.get_context("fork"))

    def submit(self, function, *arguments, timeout=None, memory=None):
        if memory is not None:
            raise NoApi
        return self.pool.schedule(function, arguments, timeout=timeout)

    def close(self):
        self.pool.close()
        self.pool.join()


class Mpire(Multiprocessing):
    """mpire's WorkerPool that forks."""

    package = "mpire"

    def __init__(self):
        import mpire

        self.pool = mpire.WorkerPool(WORKERS, start_method="fork")

    def submit(self, function, *arguments, timeout=None, memory=None):
        if memory is not None:
            raise NoApi
        return self.pool.apply_async(function, arguments, task_timeout=timeout)


class Joblib(Peer):
    """joblib's Parallel: it takes tasks only together, and ends them all at the first error."""

    package = "joblib"

    def __init__(self):
        self._waiting = []
        self._thread = concurrent.futures.ThreadPoolExecutor(1)  # always the same: joblib has a pool for each thread

    def submit(self, function, *arguments, timeout=None, memory=None):
        if timeout is not None or memory is not None:
            raise NoApi
        future = concurrent.futures.Future()
        self._waiting.append((future, function, arguments))
        return future

    def start(self):
        tasks, self._waiting = self._waiting, []
        self._thread.submit(self._run, tasks)

    def _run(self, tasks):
        import joblib

        parallel = joblib.Parallel(WORKERS, "loky", "generator_unordered", batch_size=1, pre_dispatch="all")
        calls = [joblib.delayed(_numbered)(n, function, arguments) for n, (_, function, arguments) in enumerate(tasks)]
        try:
            for number, value in parallel(calls):
                tasks[number][0].set_result(value)
        except BaseException as error:
            for future, *_ in tasks:
                if not future.done():
                    future.set_exception(error)

    def cancel(self, handle):
        raise NoApi

    def close(self):
        pass


def _numbered(number, function, arguments):
    return number, function(*arguments)


PEERS = {
    "actorflow": Actorflow,
    "PPE": Executor,
    "mp.Pool": Multiprocessing,
    "loky": Loky,
    "pebble": Pebble,
    "mpire": Mpire,
    "joblib": Joblib,
}


def installed():
    """The pools that can be run here, ours first."""
    return [name for name, peer in PEERS.items() if importlib.util.find_spec(peer.package)]
