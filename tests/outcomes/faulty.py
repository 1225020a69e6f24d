"""Faulty: a store of which some commits fail, drawn by seed: before they are made, while nobody knows, and after."""

from __future__ import annotations

import contextlib
import random

from actorflow.errors import OutcomeUnknown, StoreError


class Faulty:
    """A writer of which every tenth transaction fails: before it begins, without its commit, or after it."""

    def __init__(self, writer, rng):
        self.writer, self.rng, self.drawn = writer, rng, set()

    def __getattr__(self, name):
        return getattr(self.writer, name)

    def draws(self, kind):
        if self.rng.random() < 0.034:
            self.drawn.add(kind)
            return True
        return False

    def begin(self, durability):
        if self.draws("before"):
            raise StoreError("the store is gone")
        self.writer.begin(durability)

    def commit(self):
        if self.draws("at"):
            self.writer.rollback()
            raise OutcomeUnknown("lost in a commit that was not made")
        self.writer.commit()
        if self.draws("after"):
            raise OutcomeUnknown("lost in a commit that was made")


@contextlib.contextmanager
def faults(system, seed):
    commits = system.store._shared._commits
    writer = commits._writer
    commits._writer = faulty = Faulty(writer, random.Random(seed))
    try:
        yield faulty
    finally:
        commits._writer = writer
