"""Promises: a tree of any depth stops, and restarts, as a flat one does."""

import actorflow as af

DEPTH = 300


class Level(af.Actor):
    """Each has one child, down to the last; `stopped` gets the levels as they end."""

    def __init__(self, level, stopped):
        super().__init__()
        self.level, self.stopped = level, stopped

    def on_start(self):
        if self.level < DEPTH:
            self.ctx.spawn(Level, self.level + 1, self.stopped)

    def on_receive(self, message):
        if message == "crash":
            raise RuntimeError(message)
        return self.level

    def on_stop(self):
        self.stopped.append(self.level)


DEEPEST_FIRST = list(range(DEPTH, 0, -1))


def test_a_deep_tree_stops_from_the_bottom_up(any_system):
    stopped = []
    any_system.spawn(Level, 1, stopped).stop(timeout=60)
    assert stopped == DEEPEST_FIRST


def test_a_deep_tree_ends_with_its_system(system_class):
    stopped = []
    with system_class("test") as system:
        system.spawn(Level, 1, stopped)
    assert stopped == DEEPEST_FIRST


def test_a_deep_tree_begins_again_when_its_top_crashes(any_system):
    stopped = []
    supervisor = any_system.spawn(af.Supervisor, af.child(Level, 1, stopped).options(name="top"))
    top = any_system.find(f"{supervisor.path}/top")
    top.tell("crash")
    assert top.ask("again", timeout=60) == 1
    supervisor.stop(timeout=60)
    assert stopped == DEEPEST_FIRST[:-1] + DEEPEST_FIRST
