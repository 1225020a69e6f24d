"""Actors that the tests start in child processes, and what they send."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import actorflow as af
from tests.core.actors import until
from tests.processes import is_gone

LIMIT = 100.0  # seconds that any single wait takes at most; a new interpreter has needed 30 on a busy machine


class Here(af.Actor):
    """Answers with what it is sent, and says where it is."""

    def on_receive(self, message):
        return message

    def pid(self):
        return os.getpid()

    def sender(self):
        return self.ctx.sender

    def parent(self):
        return self.ctx.parent

    def me(self):
        return self.actor_ref

    def env(self, name):
        return os.environ.get(name)


class Notes(Here):
    """Writes down what it is sent."""

    def __init__(self, seen=()):
        super().__init__()
        self.seen = list(seen)

    def on_receive(self, message):
        self.seen.append(message)
        return message

    def note(self, message):
        self.seen.append(message)
        return message

    def read(self):
        return list(self.seen)

    def count(self):
        return len(self.seen)

    def end(self):
        """End normally."""
        self.stop()


class Fragile(Notes):
    """Fails in every way that is asked of it; tells `witness` when it starts and stops."""

    def __init__(self, witness=None):
        super().__init__()
        self.witness = witness

    def on_start(self):
        if self.witness is not None:
            self.witness.tell(("up", self.actor_ref.name, os.getpid()))

    def on_stop(self):
        if self.witness is not None:
            self.witness.tell(("down", self.actor_ref.name))

    def fail(self, error):
        raise error

    def fail_of(self, kind, *args):
        raise kind(*args)

    def exit(self, code):
        os._exit(code)

    def segfault(self):
        import ctypes

        ctypes.string_at(0)

    def kill(self, number=signal.SIGKILL):
        os.kill(os.getpid(), number)

    def hold(self, path):
        """Say that the handler has begun, and keep it for a minute."""
        touch(path)
        time.sleep(60)

    def wait_for(self, path, other):
        """Wait for the answer of another actor."""
        touch(path)
        return other.ask("never answered")

    def burn(self, path):
        """Hold the interpreter in C code for minutes."""
        touch(path)
        return 7 ** (10**9)


class Deaf(af.Actor):
    """Never answers."""

    def __init__(self):
        super().__init__()
        self.replies = []

    def on_receive(self, _message):
        self.replies.append(self.ctx.reply_later())


class Gate(af.Actor):
    """Lets no ask through before it is open."""

    def __init__(self):
        super().__init__()
        self.waiting = []
        self.is_open = False

    def on_receive(self, message):
        if self.is_open:
            return message
        self.waiting.append((self.ctx.reply_later(), message))
        return None

    def arrived(self):
        return len(self.waiting)

    def open(self):
        self.is_open = True
        for reply, message in self.waiting:
            reply.set(message)
        self.waiting = []

    def close(self):
        self.is_open = False


def touch(path):
    with open(path, "w"):  # noqa: PTH123 - children start without pathlib
        pass


def hosted(cls, *args, name=None, **options):
    """Return the recipe of an actor in a process of its own, or in the one that `process` describes."""
    process = options.pop("process", None) or af.Process()
    return af.child(cls, *args).options(name=name, host=process, **options)


def pid_of(ref):
    return ref.call(Here.pid).get(timeout=LIMIT)


def call(ref, method, *args):
    return ref.call(method, *args).get(timeout=LIMIT)


def served_again(ref):
    """Ask until a process serves; one that has died, which nobody has noticed yet, may take an ask along."""
    while True:
        try:
            return ref.ask("hello", timeout=LIMIT) == "hello"
        except af.HostDied as error:
            if error.maybe_ran is not False:
                raise


def until_gone(*pids):
    until(lambda: all(map(is_gone, pids)))


@contextmanager
def events(system, *kinds):
    """Collect the events of these kinds as (class name, actor's name, reason)."""
    seen = []
    subscriptions = [
        system.subscribe(kind, lambda event: seen.append((type(event).__name__, event.ref.name, event.reason)))
        for kind in kinds
    ]
    try:
        yield seen
    finally:
        for subscription in subscriptions:
            subscription.cancel()


def run_in_threads(count, work):
    """Run `work(index)` in so many threads, and raise what one of them raised."""
    errors = []

    def body(index):
        try:
            work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=body, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * LIMIT)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
