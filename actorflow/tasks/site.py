"""Site: the means of one process to run tasks: its scheduler, store, pool, and the folder of its cpu tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from actorflow.tasks.task_files import InProcess, TaskFiles

if TYPE_CHECKING:
    from actorflow.core.running.scheduler import Scheduler
    from actorflow.process.pool.pool import ProcessPool
    from actorflow.store.store import Store
    from actorflow.store.transaction import Durability
    from actorflow.tasks.task import AnyTask


class TaskSite:
    """The means of a process to run tasks, shared by the attempts of one queue, or of the steps of one workflow.

    Attributes:
        pool: returns the pool of cpu tasks.
        durability: of the transactions that tasks open.
        payload_limit: bytes of one result.
        task_files: the folder in which cpu tasks read that they are cancelled, and write how far they are.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        store: Store,
        pool: Callable[[], ProcessPool],
        durability: Durability | None,
        payload_limit: int,
    ) -> None:
        self.scheduler = scheduler
        self.clock = scheduler.clock
        self.store = store
        self.pool = pool
        self.durability: Durability | None = durability
        self.payload_limit = payload_limit
        self.task_files = TaskFiles()
        scheduler.at_kill.append(self.task_files.close)
        self._in_process: dict[str, InProcess] = {}

    def in_process(self, task: AnyTask) -> InProcess:
        """Return the function of a cpu task, as the processes of the pool call it."""
        function = self._in_process.get(task.name)
        if function is None or function.function is not task.function:
            function = self._in_process[task.name] = InProcess(task.function)
        return function
