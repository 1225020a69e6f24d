"""Signatures: tasks by how many arguments they take, for checkers of types.

A task whose last parameters have defaults fits several: `shrink(path, by=2)` takes one argument, or two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from actorflow.tasks.options import JobOptions

A_contra = TypeVar("A_contra", contravariant=True)
B_contra = TypeVar("B_contra", contravariant=True)
C_contra = TypeVar("C_contra", contravariant=True)
D_contra = TypeVar("D_contra", contravariant=True)


class HasJobOptions(Protocol):
    """A task, as opposed to a plain function."""

    @property
    def job_options(self) -> JobOptions:
        """Options of one job, as `task.options()` gives them."""
        ...


class TakesNone(HasJobOptions, Protocol):
    """A task that runs without arguments."""

    def __call__(self) -> Any:
        """Call the plain function."""


class TakesOne(HasJobOptions, Protocol[A_contra]):
    """A task of one argument."""

    def __call__(self, first: A_contra, /) -> Any:
        """Call the plain function."""


class TakesTwo(HasJobOptions, Protocol[A_contra, B_contra]):
    """A task of two arguments."""

    def __call__(self, first: A_contra, second: B_contra, /) -> Any:
        """Call the plain function."""


class TakesThree(HasJobOptions, Protocol[A_contra, B_contra, C_contra]):
    """A task of three arguments."""

    def __call__(self, first: A_contra, second: B_contra, third: C_contra, /) -> Any:
        """Call the plain function."""


class TakesFour(HasJobOptions, Protocol[A_contra, B_contra, C_contra, D_contra]):
    """A task of four arguments."""

    def __call__(self, first: A_contra, second: B_contra, third: C_contra, fourth: D_contra, /) -> Any:
        """Call the plain function."""
