"""Small actors that many tests need."""

import threading
import time

import actorflow as af


class Echo(af.Actor):
    """Answers with what it is sent."""

    def on_receive(self, message):
        return message


class Log(af.Actor):
    """Writes down what it is sent; the list may be shared, so that it outlives the actor."""

    def __init__(self, seen=None):
        super().__init__()
        self.seen = [] if seen is None else seen

    def on_receive(self, message):
        self.seen.append(message)

    def note(self, message):
        self.seen.append(message)
        return message

    def read(self):
        return list(self.seen)


class Held(Log):
    """A Log that can be kept busy: its `hold` waits, giving up the baton, until the test sets the gate."""

    def hold(self, entered, gate):
        entered.set()
        return gate.get()

    async def hold_async(self, entered, gate):
        entered.set()
        return await gate


class Failing(Log):
    """Raises what it is given."""

    def fail(self, error):
        raise error


class Blocked(Log):
    """A Log whose `block` blocks in a way that the scheduler cannot see."""

    def block(self, event):
        return event.wait(20)


def hold(ref):
    """Keep a Held actor busy; returns the gate that lets it go on and the future of its answer."""
    entered, gate = af.Future(), af.Future()
    answer = ref.call(Held.hold, entered, gate)
    entered.get(timeout=20)
    return gate, answer


class Napper(af.Actor):
    """Sleeps on the system's clock."""

    async def nap(self, seconds):
        await af.timer(seconds)


def let_time_pass(system, seconds):
    """Wait on the system's clock: what is due before, or runs meanwhile, has happened then."""
    system.spawn(Napper).call(Napper.nap, seconds).get(timeout=seconds + 20)


def until(condition, system=None):
    """Wait for something that has no event of its own, at most 100 seconds; a virtual `system` runs meanwhile."""
    deadline = time.monotonic() + 100
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come true within 100 seconds"
        if hasattr(system, "now"):
            system.sleep(0.001)
        else:
            tick.wait(0.001)


def run_in_threads(count, work):
    """Run `work(index)` in so many threads at the same time, and wait for all."""
    errors = []
    barrier = threading.Barrier(count)

    def body(index):
        try:
            barrier.wait(20)
            work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=body, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
