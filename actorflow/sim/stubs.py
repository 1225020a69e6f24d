"""Stub: stands for the outside of an app in one simulated run: a payment provider, mail, another database."""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from actorflow.core.actors.context import timer
from actorflow.core.messages.execution import CURRENT
from actorflow.core.refs.timers import Sleep
from actorflow.errors import DefinitionError, MaybeDone
from actorflow.sim.world.link import STEPS, Link, is_number
from actorflow.sim.world.network import Passage
from actorflow.sim.world.refs import LABEL
from actorflow.tasks.current import find_current
from actorflow.tasks.task import AnyTask
from actorflow.text import stable_text

if TYPE_CHECKING:
    from actorflow.sim.world.scheduler import SimWorld

P = ParamSpec("P")
TIMEOUT: Final = 30.0
PLACES: dict[Callable[..., Any], list[tuple[Any, str]]] = {}  # where functions were found; a search takes milliseconds


@dataclass(slots=True)
class StubCall:
    """The fate of one call, as the chooser has drawn it.

    Attributes:
        before: seconds until it acts.
        after: seconds from there to the answer.
        acts: how often it acts.
        error: the one that the caller gets; None: it gets the value.
        passage: its entry in the diagram.
    """

    before: float
    after: float
    acts: int = 1
    error: Exception | None = None
    passage: Passage | None = None


@dataclass(eq=False)
class Stub:
    """One stub.

    Attributes:
        world: the one that it belongs to.
        target: the task or function whose place it takes.
        fake: is called in its place.
        latency: of its calls: seconds.
        fail: the part of the calls that fail with ConnectionError before they act.
        maybe_done: the part of all calls that raise MaybeDone: half of them have acted.
        timeout: seconds, after which the caller of a lost call, or of one whose answer is lost, gets TimeoutError.
        is_called: it was called in this run.
    """

    world: SimWorld
    target: Callable[..., Any]
    fake: Callable[..., Any]
    latency: Link
    fail: float
    maybe_done: float
    timeout: float
    is_called: bool = False
    _places: list[tuple[Any, str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in texts and on the tape."""
        return self.target.name if isinstance(self.target, AnyTask) else self.target.__qualname__

    @property
    def maybe_done_of_rest(self) -> float:
        """The part that raise MaybeDone of the calls that have not failed."""
        return min(1.0, self.maybe_done / (1 - self.fail)) if self.fail < 1 else 0.0

    def install(self) -> None:
        """Take the place of the target, wherever that is found.

        Raises:
            DefinitionError: it is found nowhere.
        """
        target = self.target
        function = target.function if isinstance(target, AnyTask) else target
        is_async = inspect.iscoroutinefunction(function)
        if inspect.iscoroutinefunction(self.fake) and not is_async:
            raise DefinitionError(f"stub of {self.name}: it is a plain function, so its fake cannot be async")
        replacement: Callable[..., Any] = functools.wraps(function)(
            functools.partial(self._call_async if is_async else self._call)
        )
        if is_async:
            replacement = as_coroutine_function(replacement)
        places = [(target, "function")] if isinstance(target, AnyTask) else places_of(target)
        for owner, name in places:
            self._places.append((owner, name, function))
            setattr(owner, name, as_function(replacement) if isinstance(owner, type) else replacement)

    def remove(self) -> None:
        """Put the target back into its place."""
        while self._places:
            owner, name, function = self._places.pop()
            setattr(owner, name, function)

    # --- a call ------------------------------------------------------------------------------------------------------

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        call = self._drawn(args, kwargs)
        wait(self.world, call.before)
        value = None
        for _ in range(call.acts):
            value = self.fake(*args, **kwargs)
        wait(self.world, call.after)
        return self._ended(call, value)

    async def _call_async(self, *args: Any, **kwargs: Any) -> Any:
        call = self._drawn(args, kwargs)
        await wait_async(call.before)
        value = None
        for _ in range(call.acts):
            value = self.fake(*args, **kwargs)
            if inspect.isawaitable(value):
                value = await value
        await wait_async(call.after)
        return self._ended(call, value)

    def _drawn(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> StubCall:
        """Draw the fate of a call."""
        self.is_called = True
        world, name = self.world, f"{self.name}{caller()}"
        cause, chooser, link = world.cause, world.chooser, world.network.standard
        world.network.touched.add(id(link))

        def chance(kind: str, part: float) -> bool:
            return chooser.chance(f"{kind} stub {name}", part, cause)

        delay, spread = self.latency.shortest, self.latency.longest - self.latency.shortest
        if spread:
            delay += spread * chooser.choose(f"latency stub {name}", STEPS, cause) / (STEPS - 1)
        if chance("reorder", link.reorder):
            delay += max(spread, link.longest - link.shortest)
        call = StubCall(delay / 2, delay / 2)
        late = TimeoutError(f"{self.name}: no answer within {self.timeout:g} s")
        if chance("loss", link.loss):
            call = StubCall(self.timeout, 0.0, 0, late)
        elif chance("fail", self.fail):
            call = StubCall(delay, 0.0, 0, ConnectionError(f"{self.name}: it failed, and has done nothing"))
        elif chance("maybe done", self.maybe_done_of_rest):
            call.acts = chooser.choose(f"done stub {name}", 2, cause)
            call.error = MaybeDone(f"{self.name}: the answer was lost")
        else:
            call.acts += chance("double", link.duplicate)
            if chance("loss of answer", link.loss):
                call.after, call.error = self.timeout, late
        self._note(call, args, kwargs)
        return call

    def _note(self, call: StubCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note a call for the diagram."""
        world = self.world
        if world.network.passages is None:
            return
        execution = CURRENT.get()
        ref = None if execution is None else execution.receiver
        scheduler: Any = None if ref is None else ref._scheduler
        source = "outside" if scheduler is None else scheduler.hosts_here.of(ref).name
        fate = "lost" if not call.acts else "doubled" if call.acts > 1 else ""
        label = f"{self.name.rpartition('.')[2]}({arguments(args, kwargs)})"[:LABEL]
        call.passage = Passage(world.clock.now, None, source, f"stub {self.name}", label, fate, world.cause)
        world.network.passages.append(call.passage)

    def _ended(self, call: StubCall, value: Any) -> Any:
        if call.passage is not None:
            self._note_end(call, call.passage)
        if call.error is not None:
            raise call.error
        return value

    def _note_end(self, call: StubCall, passage: Passage) -> None:
        """Note when a call was over, and that its answer was an error, or was lost."""
        world = self.world
        passage.arrived = world.clock.now
        if call.error is not None and call.acts and world.network.passages is not None:
            lost = Passage(world.clock.now, None, passage.target, passage.source, "answer", "lost", passage.cause)
            world.network.passages.append(lost)
        elif isinstance(call.error, ConnectionError):
            passage.fate = "refused"


def caller() -> str:
    """Return the words for the job or the step that calls: others that are left out do not shift its choices.

    The number of a job depends on the jobs before it, which may be left out; its arguments do not. Those of the call
    may: a key that the task has drawn is another one then.
    """
    task = find_current()
    if task is None:
        return ""
    if task.key.startswith("job-") and task._arguments is not None:
        return f" for ({arguments(*task._arguments())})"
    return f" for {task.key}"


def arguments(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    """Return the arguments of a call as text."""
    return ", ".join([*map(stable_text, args), *(f"{key}={stable_text(value)}" for key, value in kwargs.items())])


def wait(world: SimWorld, seconds: float) -> None:
    """Let virtual time pass in a handler; outside of one none passes."""
    execution = CURRENT.get()
    if seconds <= 0 or execution is None or execution.is_between:
        return
    due = world.clock.now + seconds
    over = Sleep(due)
    world.timers.add(due, lambda: over._settle(None, None))
    execution.block(over, None)


async def wait_async(seconds: float) -> None:
    """Let virtual time pass in a coroutine: on the asyncio loop, or in an `async def` handler."""
    if seconds <= 0:
        return
    import asyncio  # noqa: PLC0415 - it takes 30 ms

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        await timer(seconds)
    else:
        await asyncio.sleep(seconds)


def places_of(function: Callable[..., Any]) -> list[tuple[Any, str]]:
    """Return the modules and classes that have a function, with its name in each.

    Raises:
        DefinitionError: none has it.
    """
    found: list[tuple[Any, str]] | None = PLACES.get(function)
    if found is None or any(vars(owner).get(name) is not function for owner, name in found):
        found = [
            (module, name)
            for module in list(sys.modules.values())
            if isinstance(getattr(module, "__dict__", None), dict)
            for name, value in list(vars(module).items())
            if value is function
        ]
        of_class = class_of(function)
        if of_class is not None:
            found.append((of_class, function.__name__))
        PLACES[function] = found
    if not found:
        raise DefinitionError(f"stub of {stable_text(function)}: no module and no class has it; {cure_of(function)}")
    return found


def cure_of(function: Callable[..., Any]) -> str:
    """Return the cure, in words, for a function that no module and no class has."""
    if isinstance(function, MethodType):
        return f"give the method of the class, {function.__func__.__qualname__}"
    return "give a task, or a function that a module or a class has by a name, through which your code calls it"


def class_of(function: Callable[..., Any]) -> type[Any] | None:
    """Return the class that a function is a method of."""
    owner: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    *outer, name = getattr(function, "__qualname__", "").split(".")
    for part in outer:
        owner = getattr(owner, part, None)
    return owner if isinstance(owner, type) and vars(owner).get(name) is function else None


def as_function(replacement: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function, which gets the object whose method it is."""

    @functools.wraps(replacement)
    def method(*args: Any, **kwargs: Any) -> Any:
        return replacement(*args, **kwargs)

    return method


def as_coroutine_function(replacement: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return an `async def` function, as which others may know it."""

    @functools.wraps(replacement)
    async def function(*args: Any, **kwargs: Any) -> Any:
        return await replacement(*args, **kwargs)

    return function


def stub_of(
    world: SimWorld,
    target: Callable[..., Any],
    fake: Callable[..., Any],
    latency: float | tuple[float, float],
    fail: float,
    maybe_done: float,
    timeout: float,
) -> Stub:
    """Return a stub that is not in its place yet.

    Raises:
        DefinitionError: an argument makes no sense.
    """
    for word, function in (("stub", target), ("fake", fake)):
        if not callable(function) or isinstance(function, type):
            raise DefinitionError(f"stub({stable_text(function)}): the {word} is no task and no function")
    if isinstance(target, functools.partial):
        raise DefinitionError(f"stub({stable_text(target)}): give the function itself, {stable_text(target.func)}")
    if vars(builtins).get(getattr(target, "__name__", "")) is target:
        raise DefinitionError(
            f"stub({stable_text(target)}): all code of Python uses it; call it in a function of yours, and give that"
        )
    if not isinstance(target, AnyTask) and not hasattr(target, "__qualname__"):
        raise DefinitionError(f"stub({stable_text(target)}): give a task or a function")
    for word, part in (("fail", fail), ("maybe_done", maybe_done)):
        if not is_number(part) or not 0 <= part <= 1:
            raise DefinitionError(f"stub({word}={stable_text(part)}): give a part of the calls, from 0 to 1")
    if fail + maybe_done > 1 + 1e-9:
        raise DefinitionError(
            f"stub(fail={fail:g}, maybe_done={maybe_done:g}): both are parts of all calls, and these are more than all"
        )
    if not is_number(timeout) or not 0 < timeout < float("inf"):
        raise DefinitionError(f"stub(timeout={stable_text(timeout)}): give virtual seconds, more than 0")
    return Stub(world, target, fake, Link(latency=latency), fail, maybe_done, timeout)


class Stubs:
    """The stubs of one simulation.

    Attributes:
        world: of the simulation.
    """

    world: SimWorld
    _stubs: list[Stub]

    def stub(
        self,
        target: Callable[P, Any],
        fake: Callable[P, Any],
        *,
        latency: float | tuple[float, float] = 0.0,
        fail: float = 0.0,
        maybe_done: float = 0.0,
        timeout: float = TIMEOUT,
    ) -> None:
        """Have a function stand for one that talks to the outside, to the end of the run.

        `loss`, `duplicate` and `reorder` of the link for all pairs act on its calls: what is outside has no guarantee.

        >>> import actorflow as af
        >>> from actorflow.sim import Simulation
        >>> @af.task
        ... def send_mail(to: str) -> str:
        ...     raise RuntimeError("this would send a mail")
        >>> app = af.App("shop").add(send_mail).queue("mail", workers=1)
        >>> with Simulation() as sim:
        ...     sim.stub(send_mail, lambda to: f"sent to {to}", latency=2.0)
        ...     job = sim.start(app).queue("mail").enqueue(send_mail, "ann")
        ...     report = sim.run(until=5)
        ...     job.result()
        'sent to ann'

        Args:
            target: a task, or a function or method, which is replaced in all modules that have it.
            fake: is called in its place, with its arguments.
            latency: seconds; a number, or the shortest and the longest.
            fail: the part of the calls that raise ConnectionError, and do nothing.
            maybe_done: the part of the calls that raise `af.MaybeDone`: half of them have called the fake. No call
                does both, so the two parts are 1 at most; calls that the link loses do neither.
            timeout: virtual seconds until a call that is lost, or whose answer is lost, raises TimeoutError.

        Raises:
            DefinitionError: an argument makes no sense, or the target has a stub already.
        """
        if any(stub.target is target for stub in self._stubs):
            raise DefinitionError(f"stub({stable_text(target)}): it has one already")
        stub = stub_of(self.world, target, fake, latency, fail, maybe_done, timeout)
        self._stubs.append(stub)
        stub.install()

    def remove_stubs(self) -> None:
        """Put all that was replaced back into its place."""
        for stub in self._stubs:
            stub.remove()
