"""`App`: what it takes, in which order it starts, and how it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import select
import threading

import pytest

import actorflow as af
from actorflow.app import signals
from actorflow.app.flags import NEEDED, Flag, flags_of
from actorflow.testing import LeakCheck, VirtualSystem

LOG: list[str] = []


@af.task(name="tests.app.noop")
def noop() -> None: ...


@pytest.fixture(autouse=True)
def _empty_log():
    LOG.clear()


class Part(af.Actor):
    """Logs its life."""

    def __init__(self, name: str = "part") -> None:
        super().__init__()
        self.name = name

    def on_start(self) -> None:
        LOG.append(f"{self.name} starts")

    def on_stop(self) -> None:
        LOG.append(f"{self.name} stops")

    def fall(self) -> None:
        raise OSError("gone")


class Broken(Part):
    """Cannot start."""

    def on_start(self) -> None:
        raise OSError("no such port")


def part(name: str):
    return af.child(Part, name).options(name=name)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings with and without defaults."""

    size: int
    names: str = "all"


# --- parts -----------------------------------------------------------------------------------------------------------


def test_parts_start_in_order_and_stop_in_reverse():
    app = af.App("shop").add(part("first"), part("second"))
    app.main(lambda system, settings: 0)
    assert app.run() == 0
    assert LOG == ["first starts", "second starts", "second stops", "first stops"]


def test_parts_are_up_when_main_is_called():
    app = af.App("shop").add(Part, part("second"))

    @app.main
    def main(system: af.ActorSystem, settings: None) -> int:
        assert system.find("/shop/part-1", Part).is_alive()
        assert system.find("/shop/second", Part).is_alive()
        return 0

    assert app.run() == 0


@pytest.mark.parametrize("wrong", [3, "part", Part(), af.App("other"), dict, None])
def test_part_that_is_neither_class_nor_child_is_a_definition_error(wrong):
    with pytest.raises(af.DefinitionError, match=r"takes actor classes and af.child\(...\) recipes"):
        af.App("shop").add(wrong)


def test_parts_are_permanent():
    app = af.App("shop").add(part("first"))

    @app.main
    def main(system: af.ActorSystem, settings: None) -> int:
        again = threading.Event()
        system.subscribe(af.Restarted, lambda event: again.set())
        ref = system.find("/shop/first", Part)
        ref.cast(Part.fall)
        assert again.wait(20)
        assert ref.is_alive()
        return 0

    assert app.run() == 0


def test_part_with_a_restart_kind_keeps_it():
    app = af.App("shop").add(part("first").options(restart="temporary"))

    @app.main
    def main(system: af.ActorSystem, settings: None) -> int:
        over = threading.Event()
        system.subscribe(af.Stopped, lambda event: over.set())
        system.find("/shop/first", Part).cast(Part.fall)
        assert over.wait(20)
        return 0

    assert app.run() == 0
    assert LOG == ["first starts", "first stops"] or LOG == ["first starts"]


def test_part_that_cannot_start_stops_those_before_it_and_names_itself_and_the_cause():
    app = af.App("shop").add(part("first"), af.child(Broken).options(name="second"), part("third"))
    app.main(lambda system, settings: LOG.append("main"))
    with pytest.raises(af.ActorflowError, match=r"Broken.* cannot start: OSError: no such port") as caught:
        app.run()
    assert isinstance(caught.value.__cause__, OSError)
    assert LOG[0] == "first starts"
    assert LOG[-1] == "first stops"
    assert "main" not in LOG
    assert "third starts" not in LOG


def test_duplicate_name_is_a_definition_error():
    with pytest.raises(af.DefinitionError, match="first"):
        af.App("shop").add(part("first"), part("first")).run()


def test_app_can_run_again():
    app = af.App("shop").add(part("first"))
    app.main(lambda system, settings: 0)
    assert [app.run(), app.run()] == [0, 0]
    assert LOG == ["first starts", "first stops"] * 2


def test_start_gives_a_running_system_without_main():
    app = af.App("shop").add(part("first"))
    app.main(lambda system, settings: LOG.append("main"))
    with app.start() as system:
        assert system.find("/shop/first", Part).is_alive()
    assert LOG == ["first starts", "first stops"]


# --- main ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("result", "code"), [(0, 0), (3, 3), (None, 0)])
def test_result_of_main_is_the_exit_code(result, code):
    app = af.App("shop")
    app.main(lambda system, settings: result)
    assert app.run() == code


def test_queues_of_an_app_are_on_its_store(tmp_path):
    app = af.App("shop", store=f"sqlite:///{tmp_path}/shop.db", durability="process")

    @app.main
    def main(system: af.ActorSystem, _settings: None) -> int:
        system.queue("mail").enqueue(noop)
        assert system.store.durability == "process"
        return 0

    assert app.run() == 0
    with af.ActorSystem("other", store=f"sqlite:///{tmp_path}/shop.db") as system:
        assert system.store.read(lambda transaction: transaction.all("jobs.queue_names")) == [("mail",)]


def test_result_of_main_that_is_no_number_is_a_definition_error():
    app = af.App("shop")
    app.main(lambda system, settings: "done")
    with pytest.raises(af.DefinitionError, match="returned 'done'"):
        app.run()


@pytest.mark.parametrize("code", [256, -1, 1 << 70])
def test_an_exit_code_that_no_process_has_is_a_definition_error(code):
    app = af.App("shop")
    app.main(lambda _system, _settings: code)
    with pytest.raises(af.DefinitionError, match="from 0 to 255"):
        app.run()


async def coroutine(system: af.ActorSystem, settings: None) -> int:
    return 0


def generator(system: af.ActorSystem, settings: None):
    yield 0


@pytest.mark.parametrize("wrong", [coroutine, generator, 3])
def test_main_that_is_no_plain_function_is_a_definition_error(wrong):
    with pytest.raises(af.DefinitionError, match="give a plain function"):
        af.App("shop").main(wrong)


@pytest.mark.parametrize(
    "wrong", [lambda: 0, lambda _system: 0, lambda _system, _settings, _more: 0, lambda *, _system: 0]
)
def test_main_that_does_not_take_system_and_settings_is_a_definition_error(wrong):
    with pytest.raises(af.DefinitionError, match=r"is called as main\(system, settings\): "):
        af.App("shop").main(wrong)


@pytest.mark.parametrize("right", [lambda *_: 0, lambda _system, _settings=None: 0, print, min])
def test_main_may_be_any_function_that_takes_system_and_settings(right):
    assert af.App("shop").main(right) is right


def test_main_that_returns_nothing_is_exit_code_0():
    app = af.App("shop")

    @app.main
    def main(system: af.ActorSystem, settings: None) -> None:
        LOG.append("main")

    assert app.run() == 0
    assert LOG == ["main"]


def test_main_that_returns_a_bool_is_a_definition_error():
    app = af.App("shop")
    app.main(lambda system, settings: True)
    with pytest.raises(af.DefinitionError, match="returned True; an exit code is a number"):
        app.run()


def test_settings_of_the_system_are_the_apps():
    app = af.App("shop", system=af.Settings(grace=7))
    with app.start() as system:
        assert system.grace == 7
    assert af.App("shop").system_settings == af.Settings()


@pytest.mark.parametrize("wrong", [Settings(1), {"grace": 3}, af.Settings])
def test_settings_of_the_system_are_an_af_settings(wrong):
    with pytest.raises(af.DefinitionError, match=r"give an af\.Settings"):
        af.App("shop", system=wrong)


def test_queues_of_an_app_are_opened_behind_its_parts():
    app = af.App("shop").queue("q", workers=1).add(part("first"), noop)
    app.main(lambda system, settings: system.queue("q").enqueue(noop).result(timeout=30))
    assert app.run() == 0


def test_exception_of_main_reaches_the_caller_after_the_parts_have_stopped():
    app = af.App("shop").add(part("first"))

    @app.main
    def main(system: af.ActorSystem, settings: None) -> int:
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        app.run()
    assert LOG == ["first starts", "first stops"]


def test_second_main_is_a_definition_error():
    app = af.App("shop")
    app.main(lambda system, settings: 0)
    with pytest.raises(af.DefinitionError, match="has a main already"):
        app.main(lambda system, settings: 0)


def test_main_that_waits_for_a_part_gets_an_error_when_a_supervisor_gives_up():
    app = af.App("shop").add(af.child(af.Supervisor, part("first"), intensity=0).options(name="tree"))

    @app.main
    def main(system: af.ActorSystem, settings: None) -> int:
        first = system.find("/shop/tree/first", Part)
        first.cast(Part.fall)
        first.ask("never answered", timeout=30)
        return 0

    with pytest.raises(af.ActorflowError) as caught:
        app.run()
    assert isinstance(caught.value, (af.RestartLimitReached, af.ActorDeadError))


def test_main_is_not_called_once_a_supervisor_has_given_up(monkeypatch):
    monkeypatch.setattr("actorflow.app.signals.NUDGES", 0)  # they are over, and main had not begun yet
    app, called = af.App("shop").add(af.child(af.Supervisor, part("first"), intensity=0).options(name="tree")), []
    app.main(lambda system, settings: called.append(system))
    begin = app._declared.open

    def begin_and_fail(system):
        begin(system)
        system.find("/shop/tree/first", Part).cast(Part.fall)
        with contextlib.suppress(af.RestartLimitReached):
            system.ended.get(timeout=30)

    monkeypatch.setattr(app._declared, "open", begin_and_fail)
    with pytest.raises(af.RestartLimitReached):
        app.run()
    assert not called


@pytest.mark.skipif(signals.NUDGE is None, reason="nothing is told here")
def test_a_system_that_fails_behind_main_writes_into_no_file_of_others():
    with signals.nudged(signals.NUDGE, lambda *_: None) as tell:
        pass
    pipes = [os.pipe() for _ in range(8)]  # they have the numbers that have become free
    try:
        tell()
        assert not select.select([heard for heard, _ in pipes], [], [], 0)[0]
    finally:
        for descriptor in itertools.chain(*pipes):
            os.close(descriptor)


def test_app_runs_in_a_thread_that_is_not_the_main_one():
    app = af.App("shop")
    app.main(lambda system, settings: 5)
    codes = []
    thread = threading.Thread(target=lambda: codes.append(app.run()))
    thread.start()
    thread.join(30)
    assert codes == [5]


# --- settings --------------------------------------------------------------------------------------------------------


def test_main_gets_the_settings():
    app = af.App("shop", settings=Settings)
    app.main(lambda system, settings: settings.size)
    assert app.run(Settings(size=4)) == 4


def test_settings_with_defaults_need_not_be_given():
    app = af.App("shop", settings=dataclasses.make_dataclass("Small", [("size", int, 6)]))
    app.main(lambda system, settings: settings.size)
    assert app.run() == 6


def test_settings_without_default_must_be_given():
    with pytest.raises(af.DefinitionError, match="size have no default"):
        af.App("shop", settings=Settings).run()


@pytest.mark.parametrize("wrong", [Settings(1), dict, int, "Settings"])
def test_settings_are_a_dataclass(wrong):
    with pytest.raises(af.DefinitionError, match="give a dataclass"):
        af.App("shop", settings=wrong)


def test_settings_of_another_class_are_a_definition_error():
    with pytest.raises(af.DefinitionError, match="takes a Settings"):
        af.App("shop", settings=Settings).run({"size": 1})


def test_settings_for_an_app_that_takes_none_are_a_definition_error():
    with pytest.raises(af.DefinitionError, match="takes no settings"):
        af.App("shop").run(Settings(1))


def test_flags_have_the_fields_names_types_defaults_and_help():
    @dataclasses.dataclass
    class Mixed:
        size: int
        dry_run: bool = False
        rate: float | None = dataclasses.field(default=None, metadata={"help": "Per second."})
        label: str = dataclasses.field(default_factory=lambda: "x")
        computed: int = dataclasses.field(default=0, init=False)

    assert flags_of(Mixed) == [
        Flag("size", int, NEEDED, ""),
        Flag("dry_run", bool, False, ""),
        Flag("rate", float, None, "Per second."),
        Flag("label", str, "x", ""),
    ]
    assert flags_of(Mixed)[1].name == "--dry-run"


@pytest.mark.parametrize("kind", [list, "list[str]", "int | str", "Unknown"])
def test_flag_of_another_type_is_a_definition_error(kind):
    with pytest.raises(af.DefinitionError):
        flags_of(dataclasses.make_dataclass("Odd", [("field", kind)]))


@pytest.mark.parametrize("make", [af.App, af.ActorSystem, VirtualSystem])
def test_a_url_of_no_kind_of_store_is_refused_where_it_is_written(make):
    with LeakCheck(), pytest.raises(af.DefinitionError, match="'shop.db': give 'memory:', 'sqlite:///file.db'"):
        make("shop", store="shop.db")
