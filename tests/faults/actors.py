"""The actor of the runs with kills."""

import actorflow as af
from tests.faults import witness


class Witnessed(af.Actor):
    """Counts each message in the witness before it does anything."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def work(self, number, seconds, size):
        """Do a message's work."""
        return witness.work(self.path, number, seconds, size)

    def ping(self):
        """Say that it lives."""
