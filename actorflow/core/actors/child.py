"""Child: a recipe for an actor, with its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.arguments import Constructor, check_arguments, signature_of
from actorflow.core.actors.traits import OPTION_NAMES, Options, Traits
from actorflow.errors import DefinitionError
from actorflow.text import text_of

if TYPE_CHECKING:
    from actorflow.core.actors.traits import ChildKeywords

P = ParamSpec("P")
A = TypeVar("A", bound=Actor)
A_co = TypeVar("A_co", bound=Actor, covariant=True)


class Child(Generic[A_co]):
    """The recipe of an actor: class, arguments and options. Made by `af.child`; it can be used many times."""

    __slots__ = ("actor_class", "args", "kwargs", "traits")

    def __init__(
        self, actor_class: type[A_co], args: tuple[Any, ...], kwargs: dict[str, Any], options: Options
    ) -> None:
        self.actor_class = actor_class
        self.args = args
        self.kwargs = kwargs
        plain = options == actor_class._child_options
        self.traits = actor_class._traits if plain else Traits(actor_class, options)

    def options(self, **options: Unpack[ChildKeywords]) -> Child[A_co]:
        """Return the recipe with options set; an option left out keeps the class's keywords or the default.

        Args:
            name: last part of the path; unique among siblings.
            restart: "permanent" (always), "transient" (after a crash) or "temporary" (never).
            shutdown: seconds to end by itself when its supervisor stops it (default 5).
            backoff: pauses between a crash and the restart.
            capacity: user messages that the mailbox holds (default: unbounded).
            overflow: the effect of a send to a full mailbox: "block", "fail" or "drop_oldest".
            blocking: one thread of its own for `on_start`, all handlers and `on_stop`.
            loop: run `async def` handlers on the system's asyncio loop.
            host: run it in a child process: `af.Process(...)`.
            durable: keep its state, mailbox and timers in the system's store.
            durability: "power" or "process", the failure that its commits outlive (default: the store's).
            retry: how often, and when, a durable actor tries a message again (default: `af.Retry(5)`).
            group: name of a durable service as a consumer of the event log (default: its path below the system).
            instances: durable actors that a durable service is, sharing the log by the keys of events (default: 1).
            start: where a new consumer begins in the log: "beginning" (the default), "now", or a datetime.

        Raises:
            DefinitionError: an unknown option (the nearest known one is named) or a value that makes no sense.
        """
        for name in options:
            if name not in OPTION_NAMES and name in signature_of(self.actor_class).parameters:
                cls = self.actor_class.__name__
                msg = f"{name!r} is an argument of {cls}, not an option: write af.child({cls}, {name}=...)"
                raise DefinitionError(msg)
        return Child(self.actor_class, self.args, self.kwargs, self.traits.options.override(**options))

    def __repr__(self) -> str:
        given = [*map(text_of, self.args), *(f"{key}={text_of(value)}" for key, value in self.kwargs.items())]
        return f"child({', '.join([self.actor_class.__name__, *given])})"


def child(actor_class: Callable[P, A], /, *args: P.args, **kwargs: P.kwargs) -> Child[A]:
    """Describe a child: `af.child(Counter, 3).options(name="hits")`. Nothing is started.

    >>> import actorflow as af
    >>> class Counter(af.Actor):
    ...     def __init__(self, start: int) -> None:
    ...         super().__init__()
    ...         self.n = start
    >>> recipe = af.child(Counter, 3).options(name="hits", restart="transient")
    >>> with af.ActorSystem("demo") as system:
    ...     system.spawn(recipe).path
    '/demo/hits'
    >>> af.child(Counter, start=3, stop=5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    actorflow.errors.DefinitionError: ...

    Raises:
        DefinitionError: the class is no `af.Actor`, or its constructor does not take these arguments.
    """
    cls, given = constructed(actor_class, args)
    check_arguments(cls, given, kwargs)
    return Child(cls, given, kwargs, cls._child_options)


def constructed(make: Any, args: tuple[Any, ...]) -> tuple[type[Any], tuple[Any, ...]]:
    """Return the actor class and its arguments; `make` is the class or one of its other constructors."""
    cls = getattr(make, "__self__", None)
    if cls is not None and make.__name__ in getattr(cls, "_constructors", ()):
        return actor_type(cls), (Constructor(make.__name__), *args)
    return actor_type(make), args


def actor_type(actor_class: Any) -> type[Any]:
    """Return the class, if it is one of actors; raise the error for any other object."""
    if isinstance(actor_class, type) and Actor in actor_class.__mro__:  # issubclass asks ABCMeta, for 400 ns
        return actor_class
    hint = "; subclass af.Actor" if isinstance(actor_class, type) else ""
    if isinstance(actor_class, Actor):
        hint = ", but an actor: give its class, and behind it the arguments of its constructor"
    msg = f"{text_of(actor_class)} is no actor class{hint}"
    raise DefinitionError(msg)
