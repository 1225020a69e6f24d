"""Branch: a line of a run's code, in which steps are started one after the other.

A body begins with one. Each task that is submitted, and each asyncio task of an async body, has a branch of its own
with a number, so that a step is known by where it stands (branch, name, occurrence), however the branches interleave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.tasks.current import CURRENT_BODY, StepStarter
from actorflow.workflows.body.gathering import map_limited
from actorflow.workflows.rows.records import PATCHED, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorflow.core.futures.future import Future
    from actorflow.tasks.task import AnyTask
    from actorflow.workflows.body.body import Body
    from actorflow.workflows.rows.records import Identity
    from actorflow.workflows.workflow import AnyWorkflow


class Branch(StepStarter):
    """The branch that code of a body runs in; `CURRENT_BODY` has it there.

    Attributes:
        path: the numbers of the branches that it came of: "0.2.1" is the first of the second of the main one.
        starts: the steps that were started in it.
    """

    __slots__ = ("_branches", "_names", "body", "path", "starts")

    def __init__(self, body: Body, path: str) -> None:
        self.body = body
        self.path = path
        self.starts = 0
        self._branches = 0
        self._names: dict[str, int] = {}

    def __str__(self) -> str:
        """Return the run's name, as the log knows it."""
        return f"run {self.body.run.name}"

    def child(self) -> Branch:
        """Return a new branch of this one."""
        self._branches += 1
        return Branch(self.body, f"{self.path}.{self._branches}")

    def next(self, name: str) -> tuple[Identity, int]:
        """Return the identity of the next step of a name, and how many steps were started here before it."""
        count = self._names[name] = self._names.get(name, 0) + 1
        self.starts += 1
        return (self.path, name, count), self.starts - 1

    def beside(self, name: str) -> Identity:
        """Return the identity of a step in a new branch of its own."""
        self._branches += 1
        return f"{self.path}.{self._branches}", name, 1

    def count(self, what: str) -> int:
        """Return how often this was called for something that is no step."""
        count = self._names[f"({what})"] = self._names.get(f"({what})", 0) + 1
        return count

    def patched(self, name: str) -> bool:
        """Say whether the code may take a new path: not if it replays records that were made without it."""
        body = self.body
        body.check()
        identity = ("", f"patched {name}", 1)
        found = body.patches.get(identity[1])
        if found is None:
            found = body.patches[identity[1]] = not body.is_replaying
            if found:
                body.note(RunRecord(0, identity, 0, PATCHED, None, None, None, 1, None, body.node.now()))
        return found

    # --- tasks -------------------------------------------------------------------------------------------------------

    def call(self, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a task as the next step, and return its value."""
        return self.body.call(self, task, args, kwargs)

    def submit(self, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Begin a task as a step in a branch of its own."""
        return self.body.submit(self, task, args, kwargs)

    def start(self, workflow: AnyWorkflow, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Begin a child, a run of its own, as a step in a branch of its own."""
        return self.body.begin(self.body.child_step(self.child(), workflow, args, kwargs))

    def run_child(self, workflow: AnyWorkflow, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a child as the next step, and return its value; in an async body, a coroutine for that."""
        return self.body.run_child(self, workflow, args, kwargs)

    def map(self, task: AnyTask, items: Iterable[Any], limit: int | None) -> Future[list[Any]]:
        """Begin a task for each item, so many at once."""
        body = self.body
        body.check()

        def begin(lane: Branch, item: Any) -> Future[Any]:
            if body.saga is not None:
                body.saga.check_open(lane.path)
            return body.begin(body.step_of(lane, task, (item,), {}))

        return map_limited(items, limit, self.child, begin)


def current_branch() -> Branch | None:
    """Return the branch of the body that runs here; None outside of bodies."""
    found = CURRENT_BODY.get()
    return found if isinstance(found, Branch) else None
