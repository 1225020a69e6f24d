"""What the pool tests run in workers."""

import ctypes
import logging
import os
import signal
import threading
import time
from pathlib import Path


def add(a, b=0):
    return a + b


def pid(_item=None):
    return os.getpid()


def fail(text):
    raise ValueError(text)


def leave(code):
    os._exit(code)


def leave_once(path, code):
    """Die at the first call, answer at later ones."""
    if begin(path) == 1:
        os._exit(code)
    return begun(path)


def crash():
    ctypes.string_at(0)


def hold_all_but_one(folder):
    """In the first process that calls this, return at once; in others wait until "go" is there."""
    if begin(Path(folder) / "began") > 1:
        while not (Path(folder) / "go").exists():
            time.sleep(0.001)


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def begin(path):
    """Note a call; returns how many there were."""
    with Path(path).open("ab") as file:
        file.write(b".")
    return begun(path)


def begun(path):
    """How many calls there were."""
    return Path(path).stat().st_size if Path(path).exists() else 0


def hold(path, until):
    """Note the call, then work until another file is there."""
    begin(path)
    while not Path(until).exists():
        time.sleep(0.001)
    return "held"


def hold_item(folder):
    """Wait until "go" is in the folder, if there is one."""
    if folder is not None:
        until((Path(folder) / "go").exists)


def hold_lock(seconds):
    """Sleep in C with the interpreter lock held, so that no other thread of the process can do anything."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return "held"


def until(condition):
    """Work until something is so, at most twenty seconds."""
    end = time.perf_counter() + 20
    while not condition():
        if time.perf_counter() > end:
            raise TimeoutError
        time.sleep(0.001)


def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return seconds


def grow(size):
    data = bytearray(size)
    time.sleep(30)
    return len(data)


def log(name, text):
    logging.getLogger(name).warning("%s from %s", text, "a task")


def log_at_first_import(text):
    import logging

    logging.getLogger("first").warning(text)


STATE = {}


def remember(value):
    STATE["value"] = value


def remembered():
    return STATE.get("value"), os.getpid()


def refuse_to_start(text):
    raise RuntimeError(text)


def die_at_start():
    os._exit(7)


def locked():
    """A result that does not pickle."""
    return {"guard": threading.Lock()}


class TwoArguments(Exception):
    """Pickle calls such a class with one argument, and fails."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


def fail_with_two():
    raise TwoArguments(507, "full")


class Bomb:
    """Pickles in the worker, but raises when it is unpickled in the pool's process."""

    def __reduce__(self):
        return explode, (os.getpid(),)


def explode(home):
    if os.getpid() != home:
        raise OSError("no unpickling here")
    return Bomb()


def bomb():
    return Bomb()


def stop_iteration(item):
    if item == 3:
        raise StopIteration
    return item


def fork_and_die():
    """Leave a forked child behind, which holds copies of all descriptors, and die."""
    if os.fork() == 0:
        time.sleep(60)  # it is killed with the worker's group
        os._exit(0)
    os._exit(9)


def tenth(item):
    """Fail at item 10."""
    if item == 10:
        raise ValueError("ten")
    return item


def total(array):
    return array.sum()


def fill(n):
    import numpy as np

    return np.full(n, 7.0)


def change(array):
    array[0] = 99.0
    return array


def submit_to(executor, n):
    return executor.submit(add, n, 1).result(timeout=30) + sum(executor.map(add, [n, n]))


def own_pool():
    import actorflow

    with actorflow.ProcessPool(workers=1) as pool:
        return pool.submit(add, 1, 2).result(timeout=30)
