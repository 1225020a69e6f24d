"""Clients of several nodes, for tests of the engine: they insist, and remember what they have asked for."""

import contextlib
from collections import Counter

import actorflow as af
from actorflow.sim.choices.chooser import stream_of

AGAIN = af.Backoff(0.5, factor=1, jitter=0)


class Clients:
    """The clients of one run, and its faults.

    Attributes:
        sim: the run.
        draw: random numbers of the seed.
        tries: how often each act was tried, by its name: more than once if nobody knew whether it was in vain.
        done: the acts that have succeeded.
    """

    def __init__(self, sim):
        self.sim = sim
        self.draw = stream_of(sim.chooser.seed, "clients")
        self.tries, self.done = Counter(), set()

    def system(self):
        """Return a system that is up, drawn from those that are; None if none is."""
        up = [node.system for node in self.sim.nodes if node.is_up]
        return self.draw.choice(up) if up else None

    def at(self, time, name, act):
        """Have a client act at a time, with a system; it comes again each second until it hears of success."""

        def call():
            system = self.system()
            if system is not None:
                self.tries[name] += 1
                with contextlib.suppress(af.StoreError, af.ActorDeadError):  # it died meanwhile
                    act(system)
                    self.done.add(name)
                    return
            self.sim.at(self.sim.world.clock.now + 1).call(call)

        self.sim.at(time).call(call)

    def faults(self, *, crashes=2, pauses=1, until=12.0):
        """Have nodes crash and pause, and the store fail: not so often that a message has killed three processes."""
        sim, draw = self.sim, self.draw
        for _ in range(draw.randint(0, crashes)):
            sim.at(draw.uniform(0.5, until)).crash(draw.choice(sim.nodes), down=draw.uniform(0, 6))
        for _ in range(draw.randint(0, pauses)):
            sim.at(draw.uniform(0.5, until)).pause(draw.choice(sim.nodes), draw.choice([3, 20, 70]))
        if draw.random() < 0.4:
            sim.at(draw.uniform(0.5, until)).commit_unknown(draw.choice([0.1, 0.4]), heal=draw.uniform(1, 4))
        if draw.random() < 0.2:
            sim.at(draw.uniform(0.5, until)).disk_full(heal=draw.uniform(0.5, 3))
        if draw.random() < 0.2:
            sim.at(draw.uniform(0.5, until)).busy(heal=draw.uniform(0.5, 3))
        if draw.random() < 0.2:
            sim.at(draw.uniform(0.5, until)).slow_commits(draw.choice([0.05, 0.3]), heal=draw.uniform(1, 4))

    def rows(self, sql, *values):
        """Return rows of the store."""
        return self.sim.store.read(lambda tx: tx._connection.execute(sql, values).fetchall())

    def state(self, path):
        """Return the state of a durable actor on the node that has it."""
        owners = []
        for node in self.sim.nodes:
            ref = None if node.system is None else node.system.find(path)
            actor = None if ref is None else self.sim.peek(ref)
            if actor is not None and ref._box.is_owner:
                owners.append((ref._box.epoch, actor))
        return max(owners, key=lambda owner: owner[0])[1].state
