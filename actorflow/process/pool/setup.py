"""Setup: the arguments that a pool was made with, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actorflow.core.actors.traits import check_type
from actorflow.errors import DefinitionError
from actorflow.process.launch.launcher import Launch
from actorflow.process.options import Process, size
from actorflow.process.pickling import dumps

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Setup:
    """The kind of a pool's processes; pools with an equal setup may share a name.

    Attributes:
        initializer: pickled with its arguments, and run by each process before its first task; None without one.
    """

    initializer: tuple[bytes, tuple[memoryview, ...]] | None = None
    max_tasks: int | None = None
    max_rss: int | None = None
    host: Process | None = None

    @property
    def memory(self) -> int | None:
        """How many bytes a process may use."""
        return None if self.host is None or self.host.memory is None else size("memory", self.host.memory)

    @property
    def launch(self) -> Launch:
        """How the processes are started."""
        if self.host is None:
            return Launch(start=Process().start_method)
        return Launch(self.host.preload, self.host.variables, self.host.start_method)


def check_setup(
    initializer: Callable[..., object] | None,
    initargs: Sequence[Any],
    max_tasks: int | None,
    max_rss: int | str | None,
    host: Process | None,
) -> Setup:
    """Check the arguments that a pool is made with.

    Raises:
        DefinitionError: an argument makes no sense.
        PayloadError: the initializer or its arguments do not pickle.
    """
    if initializer is not None and not callable(initializer):
        msg = f"initializer={initializer!r}: give a function"
        raise DefinitionError(msg)
    check_positive("max_tasks", max_tasks)
    check_type("host", host, Process | None)
    pickled = None
    if initializer is not None:
        data, buffers = dumps((initializer, tuple(initargs)), "the initializer")
        pickled = data, tuple(memoryview(bytes(buffer)) for buffer in buffers)
    return Setup(pickled, max_tasks, None if max_rss is None else size("max_rss", max_rss), host)


def check_positive(name: str, value: float | None, kind: Any = int) -> None:
    """Refuse a value that is no number above 0, unless it is None."""
    check_type(name, value, kind | None)
    if value is not None and not value > 0:
        msg = f"{name}={value!r}: give a number above 0"
        raise DefinitionError(msg)
