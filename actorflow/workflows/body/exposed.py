"""Exposed: the functions by which code lets others look at its variables, and the place where they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from actorflow.core.messages.execution import CURRENT
from actorflow.errors import DefinitionError
from actorflow.store.codec import check_size, encode
from actorflow.store.error_json import write_error
from actorflow.tasks.current import CURRENT_BODY, StepStarter
from actorflow.tasks.execution import let_ctrl_c_pass
from actorflow.workflows.body.body_execution import BodyExecution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorflow.core.futures.future import Future
    from actorflow.core.refs.ref import ActorRef
    from actorflow.tasks.task import AnyTask
    from actorflow.workflows.body.body import Body

# The answer to a query: a value, or an error, as they are stored.
Answer: TypeAlias = "tuple[bytes | None, bytes | None]"


def answer(body: Body, name: str) -> Answer:
    """Call a function that the code has exposed; only while the code waits are its variables as they should be."""
    outer = CURRENT.get()
    assert outer is not None
    token, mark = CURRENT.set(QueryExecution(body, outer)), CURRENT_BODY.set(NO_STEPS)
    try:
        look = body.exposed.get(name)
        if look is None:
            there = ", ".join(sorted(body.exposed)) or "nothing yet"
            msg = f"run {body.run.name} exposes no {name!r}: it has {there}; its code calls af.expose({name!r}, ...)"
            raise DefinitionError(msg)
        what = f"the answer to {name!r} of run {body.run.name}"
        value = encode(look(), what)
        check_size(value, what, body.node.site.payload_limit)
    except BaseException as error:  # noqa: BLE001 - the user's, whatever it is
        let_ctrl_c_pass(error)
        return None, write_error(error)
    finally:
        CURRENT_BODY.reset(mark)
        CURRENT.reset(token)
    return value, None


def refused(what: str) -> DefinitionError:
    """Return the error of a query that does more than look."""
    return DefinitionError(f"{what} in a function given to af.expose(): a query only reads variables of the body")


class QueryExecution(BodyExecution):
    """The place where an exposed function runs: it may neither send nor wait, nor begin a step."""

    __slots__ = ()

    def hold(self, ref: ActorRef[Any], message: Any, future: Future[Any] | None) -> None:  # noqa: ARG002 - any send
        """Refuse a send.

        Raises:
            DefinitionError: always.
        """
        raise refused(f"a message to {ref.path}")

    def refuse(self, call: str) -> None:
        """Refuse a call with an effect.

        Raises:
            DefinitionError: always.
        """
        raise refused(call)

    def timer(self, seconds: float) -> Future[None]:  # noqa: ARG002 - any timer
        """Refuse a timer.

        Raises:
            DefinitionError: always.
        """
        raise refused("a timer")

    def wait(self, future: Future[Any], timeout: float | None) -> None:  # noqa: ARG002 - any wait
        """Refuse a wait.

        Raises:
            DefinitionError: always.
        """
        raise refused("a wait")


class NoSteps(StepStarter):
    """The place of the steps while an exposed function runs: there are none."""

    __slots__ = ()

    def call(self, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ARG002 - any step
        """Refuse a step.

        Raises:
            DefinitionError: always.
        """
        raise refused(f"a call of {task.name}")

    def submit(self, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Refuse a step."""
        return self.call(task, args, kwargs)  # type: ignore[no-any-return]

    def map(self, task: AnyTask, items: Iterable[Any], limit: int | None) -> Future[list[Any]]:  # noqa: ARG002 - any steps
        """Refuse steps."""
        return self.call(task, (items,), {})  # type: ignore[no-any-return]


NO_STEPS: Final = NoSteps()
