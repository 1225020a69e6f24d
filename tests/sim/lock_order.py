"""LockOrder: what a server's locks would see of the store of a simulation, which has one lock for all that is written.

Its transactions leave work for the end of a commit as those of PostgreSQL do, and the order in which each commit comes
to the locks that others wait for is noted. Two commits that come to two locks in two orders deadlock when two nodes
make them at once, so it does not take the one schedule in which they meet: see `lockdep` in the Linux kernel.
"""

from actorflow.store.sqlite.connection import NOTHING, SqliteTransaction

# Statements of PostgreSQL's that wait for a lock, and of what; others skip what is locked, or lock what one node owns.
LOCKS = {
    "actors.put": ("mailbox", "receiver"),
    "actors.put_one": ("mailbox", "receiver"),
    "actors.mark": ("mailbox", "receiver"),
    "jobs.queue": ("queue", "name"),
    "jobs.look": ("queue", "name"),
    "runs.lock": ("run", "name"),
    "runs.lock_open": ("run", "name"),
}


class ServerTransaction(SqliteTransaction):
    """A transaction that notes its locks.

    Attributes:
        order: where they are noted.
    """

    __slots__ = ("_last", "order")

    def __init__(self, connection, path, order):
        super().__init__(connection, path)
        self.order, self._last = order, []

    def all(self, name, parameters=NOTHING, /):
        self.order.note(name, parameters)
        return super().all(name, parameters)

    def run(self, name, parameters=NOTHING, /):
        self.order.note(name, parameters)
        return super().run(name, parameters)

    def insert(self, name, parameters, /):
        self.order.note(name, parameters)
        return super().insert(name, parameters)

    def many(self, name, parameters, /):
        parameters = list(parameters)
        for one in parameters:
            self.order.note(name, one)
        return super().many(name, parameters)

    def last(self, key, act, /):
        self._last.append((key, act))

    def take_last(self):
        taken, self._last = self._last, []
        return taken


class LockOrder:
    """The order of the locks of all commits of a simulation that has started.

    Attributes:
        commits: that came to several locks.
        turned: two locks that commits came to in both orders.
    """

    def __init__(self, sim):
        self.commits = 0
        self.turned = set()
        self._now, self._before = {}, set()
        writer = sim.world.store._writer
        transaction = writer.transaction = ServerTransaction(writer.connection, "memory", self)
        writer.take_last = transaction.take_last
        begin, commit = writer.begin, writer.commit

        def begin_anew(durability):
            self._now.clear()
            begin(durability)

        def commit_in_order():
            commit()
            self._keep()

        writer.begin, writer.commit = begin_anew, commit_in_order

    def note(self, name, parameters):
        """Note that a commit comes to a lock; it has those before."""
        if name in LOCKS:
            kind, column = LOCKS[name]
            self._now.setdefault((kind, parameters[column]), None)

    def _keep(self):
        locks = list(self._now)
        self.commits += len(locks) > 1
        for i, one in enumerate(locks):
            for other in locks[i + 1 :]:
                self._before.add((one, other))
                if (other, one) in self._before:
                    self.turned.add(frozenset((one, other)))
