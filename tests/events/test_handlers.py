"""The table of a class's handlers: what they take and publish, by their annotations, and which of them runs."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, Optional, Union

import cloudpickle
import pytest

import actorflow as af
from actorflow.events.handlers import HandlerRule, handlers_of


@af.event(name="table.orders.placed")
@dataclass(frozen=True)
class Placed:
    order: str = "o"
    total: int = 0


@dataclass(frozen=True)
class Express(Placed):
    pass


@af.event(name="table.orders.paid")
@dataclass(frozen=True)
class Paid:
    order: str = "o"


@af.event(name="table.refused")
@dataclass(frozen=True)
class Refused:
    order: str = "o"


def test_a_table_has_the_events_patterns_and_publications_of_its_class() -> None:
    class Pay:
        @af.on(Placed)
        def charge(self, event: Placed) -> Paid | Refused: ...  # type: ignore[empty-body]

        @af.on(Paid, Refused)
        def note(self, event: Paid | Refused) -> None: ...

        @af.on("table.*")
        def rest(self, event: object) -> Iterator[Refused]: ...  # type: ignore[empty-body]

    table = handlers_of(Pay)
    assert table is handlers_of(Pay)
    assert table.events == (Placed, Paid, Refused)
    assert table.patterns == ("table.*",)
    assert table.published == (Paid, Refused)
    assert [(rule.name, rule.many) for rule in table.rules] == [("charge", False), ("note", False), ("rest", True)]


def hinted(hint: Any, *, is_async: bool = False) -> Any:
    """Return the rule of a handler with a return annotation."""

    def sync(self: Any, event: Placed) -> None: ...

    async def later(self: Any, event: Placed) -> None: ...

    function = later if is_async else sync
    function.__annotations__["return"] = hint
    return handlers_of(type("Service", (), {"handle": af.on(Placed)(function)})).rules[0]


@pytest.mark.parametrize(
    ("hint", "published", "many"),
    [
        (None, (), False),
        (NoReturn, (), False),
        (Paid, (Paid,), False),
        (Paid | None, (Paid,), False),
        (Optional[Paid], (Paid,), False),  # noqa: UP045 - older code says it so
        (Union[Paid, Refused, None], (Paid, Refused), False),  # noqa: UP007 - as above
        (Union[Paid, "Refused"], (Paid, Refused), False),
        (Annotated[Paid, "note"], (Paid,), False),
        (Iterator[Paid | Refused], (Paid, Refused), True),
        (Iterable[Paid], (Paid,), True),
        (Generator[Paid | None, None, None], (Paid,), True),
        (AsyncIterator[Paid], (Paid,), True),
        (Awaitable[Paid], (Paid,), False),
        ("Paid | None", (Paid,), False),
    ],
)
def test_the_return_annotation_says_what_is_published(hint: Any, published: tuple[type, ...], many: bool) -> None:
    for is_async in (False, True):
        rule = hinted(hint, is_async=is_async)
        assert (rule.published, rule.many) == (published, many)


@pytest.mark.parametrize(
    "hint", [str, Any, object, list[Paid], int | None, Iterator[str], dict[str, Paid], Paid | Iterator[Paid]]
)
def test_a_handler_that_returns_what_is_no_event_is_refused(hint: Any) -> None:
    with pytest.raises(af.DefinitionError, match=r"handler Service\.(sync|later|handle) returns .*, which is no event"):
        hinted(hint)


def test_an_iterator_says_of_which_events() -> None:
    with pytest.raises(af.DefinitionError, match="say of which events"):
        hinted(Iterator)


def test_a_handler_without_annotations_is_named() -> None:
    def no_return(self: Any, event: Placed):  # type: ignore[no-untyped-def]
        ...

    def no_event(self: Any, event) -> None:  # type: ignore[no-untyped-def]
        ...

    for function, missing in ((no_return, "what it returns"), (no_event, "its parameter 'event'")):
        cls = type("Service", (), {"handle": af.on(Placed)(function)})
        with pytest.raises(af.DefinitionError, match=rf"handler Service\.handle has no annotation of {missing}"):
            handlers_of(cls)


def test_a_handler_takes_its_event_alone() -> None:
    def none(self: Any) -> None: ...

    def two(self: Any, event: Placed, more: int) -> None: ...

    for function in (none, two):
        with pytest.raises(af.DefinitionError, match=r"takes other arguments than \(self, event\)"):
            handlers_of(type("Service", (), {"handle": af.on(Placed)(function)}))


def test_a_handler_takes_the_events_that_it_is_for() -> None:
    class One:
        @af.on(Placed, Paid)  # type: ignore[arg-type]
        def handle(self, event: Placed) -> None: ...

    with pytest.raises(af.DefinitionError, match=r"is @af\.on\(Paid\), but its parameter 'event' takes Placed"):
        handlers_of(One)


def test_a_handler_may_take_a_base_class_or_anything() -> None:
    class Wide:
        @af.on(Express)
        def base(self, event: Placed) -> None: ...

        @af.on(Paid)
        def any(self, event: Any) -> None: ...

        @af.on(Refused)
        def thing(self, event: object) -> None: ...

    assert handlers_of(Wide).events == (Express, Paid, Refused)


def test_a_generator_has_an_iterator_as_its_annotation() -> None:
    class Yields:
        @af.on(Placed)
        def handle(self, event: Placed) -> Paid:  # type: ignore[misc]
            yield Paid()

    with pytest.raises(af.DefinitionError, match=r"yields, but its annotation is no iterator"):
        handlers_of(Yields)


@pytest.mark.parametrize("given", [(), (3,), (str,), (lambda self, event: None,), (Placed, 3)])
def test_on_takes_classes_of_events_and_patterns(given: tuple[Any, ...]) -> None:
    with pytest.raises(af.DefinitionError, match=r"@af\.on"):
        af.on(*given)


def test_on_refuses_a_bad_pattern_and_a_bad_guard() -> None:
    async def later(self: Any, event: Any) -> bool:
        return True

    with pytest.raises(af.DefinitionError, match="pattern"):
        af.on("orders..x")
    for guard in (3, lambda event: True, lambda: True, later):
        with pytest.raises(af.DefinitionError, match="when="):
            af.on(Placed, when=guard)  # type: ignore[arg-type]


@pytest.mark.parametrize("thing", [3, len, staticmethod(lambda self, event: None), print])
def test_on_stands_above_a_method(thing: Any) -> None:
    with pytest.raises(af.DefinitionError, match="stands above a method"):
        af.on(Placed)(thing)


def test_a_handler_that_never_runs_is_refused() -> None:
    class Twice:
        @af.on(Placed)
        def first(self, event: Placed) -> None: ...

        @af.on(Placed, when=lambda self, event: True)
        def second(self, event: Placed) -> None: ...

    class Patterns:
        @af.on("a.*")
        def first(self, event: object) -> None: ...

        @af.on("a.*")
        def second(self, event: object) -> None: ...

    for cls in (Twice, Patterns):
        with pytest.raises(af.DefinitionError, match="first and second, which never runs"):
            handlers_of(cls)


def chosen(cls: type, event: object) -> str | None:
    """Return the name of the handler that an instance has run."""
    rule = handlers_of(cls).find(event, cls())
    return rule.name if rule is not None else None


def test_the_first_handler_whose_guard_says_yes_runs() -> None:
    class Guards:
        limit = 10

        @af.on(Placed, when=lambda self, event: event.total > 10 * self.limit)
        def large(self, event: Placed) -> None: ...

        @af.on(Placed, when=lambda self, event: event.total > self.limit)
        def middle(self, event: Placed) -> None: ...

        @af.on("table.**", when=lambda self, event: event.order != "none")
        def rest(self, event: Placed) -> None: ...

    assert [chosen(Guards, Placed(total=n)) for n in (101, 11, 1)] == ["large", "middle", "rest"]
    assert chosen(Guards, Placed("none")) is None


def test_a_class_comes_before_its_base_and_a_base_before_a_pattern() -> None:
    class All:
        @af.on("**")
        def rest(self, event: object) -> None: ...

        @af.on(Placed)
        def placed(self, event: Placed) -> None: ...

        @af.on(Express)
        def express(self, event: Express) -> None: ...

    assert [chosen(All, event) for event in (Express(), Placed(), Paid())] == ["express", "placed", "rest"]


def test_a_pattern_gives_a_handler_the_classes_that_its_parameter_takes() -> None:
    class Some:
        @af.on("table.**")
        def handle(self, event: Placed | Refused) -> None: ...

    assert [chosen(Some, event) for event in (Placed(), Express(), Refused(), Paid())] == [
        "handle",
        None,
        "handle",
        None,
    ]


def test_a_subclass_keeps_the_rules_of_a_handler_that_it_overrides_and_adds_its_own() -> None:
    class Base:
        @af.on(Placed)
        def handle(self, event: Placed) -> Paid: ...  # type: ignore[empty-body]

        @af.on(Paid)
        def other(self, event: Paid) -> None: ...

    class Sub(Base):
        def handle(self, event: Placed) -> Paid: ...  # type: ignore[empty-body]

        @af.on(Refused)
        def other(self, event: Refused) -> None: ...  # type: ignore[override]

    assert handlers_of(Sub).events == (Refused, Placed)
    assert handlers_of(Base).events == (Placed, Paid)

    class Broken(Base):
        handle = 3  # type: ignore[assignment]

    with pytest.raises(af.DefinitionError, match=r"Broken\.handle is overridden by 3"):
        handlers_of(Broken)


def test_decorators_may_be_stacked() -> None:
    class Both:
        @af.on(Placed, when=lambda self, event: event.total > 1)
        @af.on("table.refused")
        def handle(self, event: object) -> None: ...

    assert [chosen(Both, event) for event in (Placed(total=2), Placed(), Refused())] == ["handle", None, "handle"]


def test_an_annotation_that_is_not_defined_is_named_with_the_cure() -> None:
    class Forward:
        @af.on(Placed)
        def handle(self, event: Placed) -> Nowhere: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(af.DefinitionError, match=r"Forward: .*'Nowhere' is not defined: define it in the module"):
        handlers_of(Forward)


class Portable:
    @af.on(Placed)
    def handle(self, event: Placed) -> Paid: ...  # type: ignore[empty-body]


def test_a_table_goes_to_another_process() -> None:
    table = handlers_of(Portable)
    assert pickle.loads(pickle.dumps(table)).rules == table.rules
    assert cloudpickle.loads(cloudpickle.dumps(table)).published == (Paid,)


@pytest.mark.parametrize(
    ("hint", "optional"),
    [
        (Paid, False),
        (Paid | Refused, False),
        (Paid | None, True),
        (None, True),
        (Iterator[Paid], True),
    ],
)
def test_a_rule_says_whether_its_handler_may_publish_nothing(hint, optional):
    class Service:
        @af.on(Placed)
        def handle(self, event: Placed) -> None: ...

    Service.handle.__annotations__["return"] = hint
    assert handlers_of(Service).rules[0].optional is optional


# --- handlers of several events --------------------------------------------------------------------------------------


def batched(hint: Any, *events: Any, **options: Any) -> HandlerRule:
    """Return the rule of a handler of several events with an annotated parameter."""

    def handle(self: Any, events: Any) -> None: ...

    handle.__annotations__["events"] = hint
    marked: Any = af.on(*(events or (Placed,)), batch=5, **options)  # type: ignore[call-overload]
    return handlers_of(type("Service", (), {"handle": marked(handle)})).rules[0]


@pytest.mark.parametrize(
    ("hint", "accepts"),
    [
        (list[Placed], (Placed,)),
        (Sequence[Placed | Paid], (Placed, Paid)),
        ("list[Placed]", (Placed,)),
        (Iterable[Any], ()),
        (Any, ()),
        (object, ()),
    ],
)
def test_a_handler_of_several_events_takes_a_list(hint: Any, accepts: tuple[type, ...]) -> None:
    rule = batched(hint, within=2)
    assert (rule.accepts, rule.batch, rule.within, rule.is_plain) == (accepts, 5, 2, False)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Placed, r"annotated with Placed: write list\[Placed\]"),
        (Placed | Paid, r"annotated with .*Placed \| .*Paid: write list\[.*Placed \| .*Paid\]"),
        (dict[str, Placed], "annotated with"),
        (list, r"say of which events, such as list\[Placed \| Paid\]"),
        (list[Paid], r"is @af.on\(Placed\), but its parameter 'events' takes Paid"),
    ],
)
def test_a_handler_of_several_events_whose_parameter_is_another_is_refused(hint: Any, text: str) -> None:
    with pytest.raises(af.DefinitionError, match=rf"handler Service\.handle.*{text}"):
        batched(hint)


def test_a_handler_of_one_event_that_takes_a_list_is_told_of_batches() -> None:
    def handle(self: Any, events: list[Placed]) -> None: ...

    with pytest.raises(af.DefinitionError, match=r"takes list: a handler of several events is .*batch=100\)"):
        handlers_of(type("Service", (), {"handle": af.on(Placed)(handle)}))  # type: ignore[arg-type]


@pytest.mark.parametrize("batch", [0, -1, 1001, 2.5, True, "ten"])
def test_a_batch_has_1_to_1000_events(batch: Any) -> None:
    with pytest.raises(af.DefinitionError, match=r"batch=.*: give the most events of one call, from 1 to 1,000"):
        af.on(Placed, batch=batch)


@pytest.mark.parametrize("within", [-1, float("inf"), float("nan"), True, "5"])
def test_a_batch_waits_for_seconds(within: Any) -> None:
    with pytest.raises(af.DefinitionError, match=r"within=.*: give seconds, not negative"):
        af.on(Placed, batch=3, within=within)
    with pytest.raises(af.DefinitionError, match="give batch=, too"):
        af.on(Placed, within=within)  # type: ignore[call-overload]


def test_a_batch_has_no_guard_and_is_no_event_of_a_machine_and_a_handler_takes_one_kind_of_thing() -> None:
    with pytest.raises(af.DefinitionError, match="has no guard"):
        af.on(Placed, batch=3, when=lambda self, event: True)  # type: ignore[call-overload]

    def handle(self: Any, events: list[Any]) -> None: ...

    both: Any = af.on(Placed, batch=3)(af.on("table.*")(handle))
    with pytest.raises(af.DefinitionError, match="give all of them batch="):
        handlers_of(type("Service", (), {"handle": both}))

    with pytest.raises(af.DefinitionError, match="is an event of a state machine"):

        class Order(af.StateMachine, af.Service):
            new, paid = af.State(initial=True), af.State(final=True)

            @af.on(Paid, batch=3)
            @new.to(paid)
            def pay(self, events: list[Paid]) -> None: ...
