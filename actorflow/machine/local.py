"""Local: a machine without an actor whose events are called as methods: `Order.local(5).pay(3)`.

The object that `local` returns stands before the machine itself, so that a call from outside and one from inside are
two things: `order.pay(3)` is the event, and `self.pay(3)` in a method of the machine the action alone, as in an actor.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, cast

from actorflow.core.actors.arguments import check_arguments
from actorflow.errors import DefinitionError
from actorflow.machine.running import snapshot
from actorflow.machine.running.interpreter import Interpreter
from actorflow.machine.running.steps.failures import not_for_callers
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.machine.state_machine import StateMachine

P = ParamSpec("P")

# Python looks special methods up in the class, not by `__getattribute__`: a machine's are passed on one by one, but for
# those by which an object is made, read, changed and pickled.
SHOWN: Final = {
    "__eq__",
    "__ne__",
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
    "__hash__",
    "__repr__",
    "__str__",
    "__format__",
}
KEPT: Final = vars(object).keys() - SHOWN | {"__getattr__", "__del__", "__class_getitem__", "__setstate__"}
PICKLED: Final = ("__reduce_ex__", "__reduce__")
CLASSES: Final[weakref.WeakKeyDictionary[type, type[Local]]] = weakref.WeakKeyDictionary()


class Local:
    """Stands before a machine: its events are sent, all else is the machine's own."""

    __slots__ = ("__weakref__", "_interpreter")

    _is_local = True

    def __init__(self, interpreter: Interpreter) -> None:
        object.__setattr__(self, "_interpreter", interpreter)

    def __getattribute__(self, name: str) -> Any:
        if name in PICKLED:
            return object.__getattribute__(self, name)
        interpreter: Interpreter = object.__getattribute__(self, "_interpreter")
        model = interpreter.model
        program = interpreter._program
        event = program.called.get(name)
        if event is not None:
            return partial(interpreter.send, event)
        if name in program.hooks:
            return partial(_refuse, interpreter, name)
        value = getattr(model, name)
        if isinstance(value, MethodType) and value.__self__ is model and not name.startswith("__"):
            return partial(run_inside, model, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_interpreter").model, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(object.__getattribute__(self, "_interpreter").model, name)

    def __copy__(self) -> Local:
        return stand_before(copy.copy(object.__getattribute__(self, "_interpreter")))

    def __reduce_ex__(self, _protocol: object) -> tuple[Any, ...]:
        return stand_before, (object.__getattribute__(self, "_interpreter"),)


def make_local(cls: type[StateMachine], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a machine, start it, and return the object that stands before it."""
    machine = cls.__new__(cls, *args, **kwargs)
    chart = cls.chart
    # Before `__init__`, which may raise events and start timers, as it may in an actor.
    interpreter = Interpreter(chart, machine, history=cls._history, start=chart.program(cls).start.is_quiet)
    try:
        run_inside(machine, machine.__init__, *args, **kwargs)  # type: ignore[misc]  # as the class itself does
    except TypeError:
        check_arguments(cls, args, kwargs)
        raise
    if machine._placed:
        machine._placed = False
        snapshot.begin(interpreter)
    elif not interpreter.configuration:
        interpreter.start()
    return stand_before(interpreter)


def stand_before(interpreter: Interpreter) -> Local:
    """Return the object that stands before the model of an interpreter."""
    cls = type(interpreter.model)
    local = CLASSES.get(cls)
    if local is None:
        own = {name for base in cls.__mro__ for name in vars(base) if name.startswith("__") and name.endswith("__")}
        passed = {name: _pass_on(name) for name in own - KEPT if callable(getattr(cls, name, None))}
        local = CLASSES.setdefault(
            cls, cast("type[Local]", type(f"Local{cls.__name__}", (Local,), {**passed, "__slots__": ()}))
        )
    return local(interpreter)


def _pass_on(name: str) -> Callable[..., Any]:
    """Return a special method that the machine answers; another local operand is taken for its machine."""

    def method(self: Local, /, *args: Any, **kwargs: Any) -> Any:
        model = object.__getattribute__(self, "_interpreter").model
        bare = [model_of(arg) if getattr(type(arg), "_is_local", False) else arg for arg in args]
        return run_inside(model, getattr(model, name), *bare, **kwargs)

    method.__name__ = name
    return method


def model_of(local: Any) -> Any:
    """Return the machine behind the object that stands before it."""
    return object.__getattribute__(local, "_interpreter").model


def run_inside(model: Any, function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
    """Run one of a machine's own methods, in which its events are actions alone."""
    was, model._inside = model._inside, True
    try:
        return function(*args, **kwargs)
    finally:
        model._inside = was


def _refuse(interpreter: Interpreter, name: str, /, *_args: Any, **_kwargs: Any) -> None:
    raise not_for_callers(interpreter, name)


def interpreter_of(machine: Any) -> Interpreter:
    """Return the interpreter that runs a machine without an actor."""
    if getattr(type(machine), "_is_local", False):
        return cast("Interpreter", object.__getattribute__(machine, "_interpreter"))
    interpreter = getattr(machine, "_interpreter", None)
    if not isinstance(interpreter, Interpreter) or interpreter._platform.owner is not None:
        msg = f"no interpreter alone runs {text_of(machine)}: give a machine made by local(...), or ask its ref"
        raise DefinitionError(msg)
    return interpreter


Interpreter._of_local = staticmethod(interpreter_of)
