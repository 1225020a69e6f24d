"""Savepoint: a part of a saga's code whose steps are undone if it raises; the error goes on to the code around."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from actorflow.errors import DefinitionError
from actorflow.sagas.undoing import drive, drive_async, undo_all
from actorflow.workflows.body.branch import current_branch
from actorflow.workflows.body.saga_course import Turned

if TYPE_CHECKING:
    from types import TracebackType

    from actorflow.sagas.course import Course
    from actorflow.workflows.body.branch import Branch


class Savepoint:
    """A part of the code of a saga; made by `af.savepoint()`, to be entered once by `with` or `async with`."""

    def __init__(self, branch: Branch, course: Course) -> None:
        self.branch = branch
        self.course = course
        self.number = 0
        self.outer: Savepoint | None = None
        self._branches = 0  # that there were before
        self._last: int | None = None  # that there was as its undoing began
        self._had_pivoted = False

    def has(self, path: str) -> bool:
        """Say whether a branch is in it: its own, and those that were begun there since."""
        own = self.branch.path
        if path == own:
            return True
        if not path.startswith(f"{own}."):
            return False
        number = int(path[len(own) + 1 :].partition(".")[0])
        return number > self._branches and (self._last is None or number <= self._last)

    def is_closed_to(self, path: str) -> bool:
        """Say whether a branch was begun in it, and is undone."""
        return self._last is not None and path != self.branch.path and self.has(path)

    def is_within(self, scope: Savepoint) -> bool:
        """Say whether this savepoint is another one, or in that."""
        one: Savepoint | None = self
        while one is not None and one is not scope:
            one = one.outer
        return one is scope

    def _open(self) -> None:
        course = self.course
        self.branch = current_branch() or self.branch  # of an async saga that is called by gather, an asyncio task's
        self.number = self.branch.count("savepoint")
        self.outer = course.innermost(self.branch.path)
        self._branches = self.branch._branches
        self._had_pivoted = course.has_pivoted
        course.savepoints.append(self)

    def _is_undone(self, error: BaseException | None) -> bool:
        """Close the savepoint; say whether its steps are to be undone."""
        course, body = self.course, self.course.body
        if self in course.savepoints:
            course.savepoints.remove(self)
        if error is None or body.is_over or isinstance(error, (GeneratorExit, Turned)) or course.error is not None:
            return False
        if course.has_pivoted != self._had_pivoted:
            return False
        self._last = self.branch._branches
        course.undone.append(self)
        return True

    def __enter__(self) -> Self:
        if self.course.body.is_async:
            raise DefinitionError("`with af.savepoint()` would block an async saga: `async with af.savepoint()`")
        self._open()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        if self._is_undone(error):
            assert error is not None
            drive(self.course.body, undo_all(self.course, self, error))  # type: ignore[arg-type]

    async def __aenter__(self) -> Self:
        if not self.course.body.is_async:
            raise DefinitionError("`async with af.savepoint()` is for async sagas: `with af.savepoint()`")
        self._open()
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _traceback: TracebackType | None) -> None:
        if self._is_undone(error):
            assert error is not None
            await drive_async(self.course.body, undo_all(self.course, self, error))  # type: ignore[arg-type]
