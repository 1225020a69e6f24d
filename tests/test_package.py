"""The package as its users meet it: the names, what an import costs, what it brings along."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import actorflow
from actorflow.core.running import quiet

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "actorflow"
LONGEST_MODULE = 450  # lines
NAMES = (HERE / "public_names.txt").read_text(encoding="utf-8").split()
IMPORT_LIMIT = 0.150  # seconds of CPU beyond pykka's own import, with compiled modules as after an installation

MEASURE = """
import json, sys, time
import pykka
begin = time.process_time()
import actorflow
print(json.dumps([time.process_time() - begin, sorted(sys.modules)]))
"""


def test_public_names_are_the_checked_in_list() -> None:
    assert sorted(actorflow.__all__) == sorted(NAMES)
    assert all(hasattr(actorflow, name) for name in NAMES)


def test_reference_shows_every_public_name() -> None:
    page = (HERE.parent / "docs" / "reference.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f":: {name}\n" not in page] == []


@pytest.fixture(scope="module")
def fresh_import(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, set[str]]:
    """Import actorflow in new interpreters: the shortest of a few times, and the modules."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(tmp_path_factory.mktemp("compiled"))
    command = [sys.executable, "-c", MEASURE]
    rows: list[tuple[float, list[str]]] = []
    while len(rows) < 2 or (min(rows)[0] >= IMPORT_LIMIT and len(rows) < 30):  # caches of a busy machine are cold
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout))
    return min(rows)[0], set(rows[0][1])


def test_import_is_short(fresh_import: tuple[float, set[str]]) -> None:
    assert fresh_import[0] < IMPORT_LIMIT


def test_import_brings_neither_command_line_nor_extras(fresh_import: tuple[float, set[str]]) -> None:
    unwanted = {"click", "cloudpickle", "multiprocessing", "pytest", "rich"}
    assert unwanted & fresh_import[1] == set()


ROOMS = sorted((HERE.parent / "actorflow").rglob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: ".".join(room.parent.parts[room.parts.index("actorflow") :]))
def test_each_room_lists_its_modules(room: Path) -> None:
    """A newcomer finds the module for a change in the docstring of its folder."""
    docstring = ast.get_docstring(ast.parse(room.read_text(encoding="utf-8"))) or ""
    listed = set(re.findall(r"`(\w+)`", docstring))
    modules = {path.stem for path in room.parent.glob("*.py")} - {"__init__"}
    rooms = {path.parent.name for path in room.parent.glob("*/__init__.py")}
    assert (modules | rooms) - listed == set()


def test_no_docstring_sends_its_reader_to_the_module() -> None:
    files = sorted((HERE.parent / "actorflow").rglob("*.py"))
    assert [str(file) for file in files if "see the module" in file.read_text(encoding="utf-8").lower()] == []


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    """One that grows beyond this has a second thing in it: a room of its own for that, or the module it is about."""
    lengths = {str(file): file.read_text(encoding="utf-8").count("\n") for file in PACKAGE.rglob("*.py")}
    assert len(lengths) > 300
    assert {file: lines for file, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_the_modules_whose_threads_run_handlers_are_those_that_the_watch_for_deadlocks_names() -> None:
    """`is_quiet` knows by them that a thread may still set an answer; a module that moved would make it forget that."""
    start_threads = {
        f"actorflow.core.drivers.{file.stem}"
        for file in (PACKAGE / "core" / "drivers").glob("*.py")
        if re.search(r"Thread\(target=self\._work\b", file.read_text(encoding="utf-8"))
    }
    others = {"preemption", "asyncio_loop"}  # timers; and a loop whose handlers `is_quiet` knows by their waits
    assert set(quiet.RUN_HANDLERS) == start_threads - {f"actorflow.core.drivers.{name}" for name in others}


def test_a_class_name_is_used_once() -> None:
    """A search for a class leads to one."""
    places: dict[str, list[str]] = {}
    for file in sorted((HERE.parent / "actorflow").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{file}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


# Modules that ask the machine's clock, each with the reason. All others take that of the scheduler, so that a run in
# virtual time is the same each time.
REAL_TIME = {
    "app/overtime": "a main thread that does not end",
    "app/stored": "a server that is starting",
    "core/clock": "it is the clock",
    "core/drivers/baton": "the clock of live systems",
    "core/drivers/watchdog": "a handler in virtual time that takes too much of the other",
    "core/drivers/lost_baton": "a handler in virtual time that does not end with its world",
    "core/futures/thread_wait": "a thread of no system waits",
    "core/futures/wait_graph": "a thread of no system waits",
    "machine/running/platform": "a machine of no system",
    "process/hosts/link/reader": "a socket of another process",
    "process/hosts/parent/hosts": "other processes that end",
    "tasks/task_files": "times of files",
    "queues/selection": "other processes that wait for the file",
    "sim/search/seeds": "the time that a search may take",
    "sim/search/shrink": "the time that the search may take",
    "store/base": "the clock of a store that no system has",
    "store/commit_delay": "the threads of other handlers, and a disk",
    "store/postgres/connection": "a server that is lost",
    "store/postgres/presence": "a server that is lost, and its clock",
    "store/postgres/waiting": "a server that does not answer",
    "store/sqlite/locks": "another process that has a file",
    "store/sqlite/node": "times of files",
}


def test_only_waits_for_what_is_real_ask_the_machines_clock() -> None:
    package = HERE.parent / "actorflow"
    found = {
        file.relative_to(package).with_suffix("").as_posix()
        for file in package.rglob("*.py")
        if "SystemClock" in file.read_text(encoding="utf-8")
    }
    assert found == set(REAL_TIME)


def releases(body: list[ast.stmt]) -> bool:
    """Say whether these statements are one call of a lock's `release`."""
    call = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "release"


def is_forgiving(statement: ast.AST) -> bool:
    """Say whether a statement releases a lock that this thread may not have."""
    return (
        isinstance(statement, ast.Try)
        and releases(statement.body)
        and [ast.unparse(handler) for handler in statement.handlers] == ["except RuntimeError:\n    pass"]
    )


def takes(body: list[ast.stmt]) -> bool:
    """Say whether a lock is taken in these statements."""
    called = {
        node.func.attr
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    return bool(called & {"acquire", "borrow", "__enter__"})


def test_a_release_after_a_signal_comes_first_and_covers_the_acquire() -> None:
    """The idiom of `core.atomic` is the same wherever it stands."""
    right, all_ = [], []
    for path in sorted(Path(actorflow.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if is_forgiving(node):
                all_.append((path.name, node.lineno))  # type: ignore[attr-defined]
            if isinstance(node, ast.Try) and takes(node.body):
                right += [
                    (path.name, handler.body[0].lineno)
                    for handler in node.handlers
                    if ast.unparse(handler.type or ast.Constant(None)) == "BaseException"
                    and is_forgiving(handler.body[0])
                ]
    assert sorted(right) == sorted(all_)
    assert len(all_) == 6


SHORTEST_BOUND = 10  # seconds: a busy machine may take a process off for some
WAITS = {"ask", "communicate", "drain", "get", "receive", "result"}


def ends_early(node: ast.AST) -> bool:
    """Say whether a wait is to fail: its error is caught around it."""
    if isinstance(node, ast.With | ast.AsyncWith):
        return any("raises" in ast.unparse(item.context_expr) for item in node.items)
    return isinstance(node, ast.Try) and any("Timeout" in ast.unparse(handler) for handler in node.handlers)


def short_waits(node: ast.AST) -> Iterator[ast.expr]:
    """Yield waits for an answer or an asserted event, and limits of time taken, that a busy machine is too slow for."""
    if ends_early(node):
        return
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) if name in WAITS:
            if any(is_short(word.value) for word in node.keywords if word.arg == "timeout"):
                yield node
        case ast.Assert(test=ast.Call(func=ast.Attribute(attr="wait"), args=bounds, keywords=words)):
            if any(map(is_short, [*bounds, *[word.value for word in words]])):
                yield node.test
        case ast.Assert(
            test=ast.Compare(left=ast.BinOp(op=ast.Sub()), ops=[ast.Lt() | ast.LtE()], comparators=[bound])
        ):
            if is_short(bound) and re.match(r"time\.\w+\(\) - ", ast.unparse(node.test)):
                yield node.test
    for child in ast.iter_child_nodes(node):
        yield from short_waits(child)


def is_short(bound: ast.expr) -> bool:
    """Say whether a bound is too short; with 0 the answer is to be there."""
    return isinstance(bound, ast.Constant) and isinstance(bound.value, int | float) and 0 < bound.value < SHORTEST_BOUND


def test_tests_wait_for_an_answer_as_long_as_a_busy_machine_takes() -> None:
    """Not in virtual time, which does not pass while the machine is busy, nor in what only type checkers read."""
    short, read = [], 0
    for path in sorted(HERE.rglob("*.py")):
        room = path.relative_to(HERE).parts[0]
        if room not in {"virtual", "sim", "typing", "benchmarks"}:
            read += 1
            waits = short_waits(ast.parse(path.read_text(encoding="utf-8")))
            short += [f"{path.relative_to(HERE)}:{wait.lineno}: {ast.unparse(wait)[:100]}" for wait in waits]
    assert read > 200
    assert short == []


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("assert ref.ask(1, timeout=2) == 1", 1),
        ("assert done.wait(0.5)", 1),
        ("job.result(timeout=9.9)", 1),
        ("job.result(timeout=10)", 0),
        ("job.result(timeout=0)", 0),
        ("assert time.monotonic() - start < 5", 1),
        ("assert time.monotonic() - start < 15", 0),
        ("assert not done.wait(0.1)", 0),
        ("with pytest.raises(af.AskTimeout):\n    ref.ask(1, timeout=0.1)", 0),
        ("try:\n    ref.ask(1, timeout=0.1)\nexcept af.AskTimeout:\n    pass", 0),
    ],
)
def test_a_wait_that_is_too_short_is_found(code: str, count: int) -> None:
    assert len(list(short_waits(ast.parse(code)))) == count


def test_no_test_swaps_the_imported_modules_for_a_copy() -> None:
    """Those of the package that it is the first to import are forgotten: later tests have their classes twice."""
    copied = re.compile(r'"modules", dict\(sys\.')
    paths = [path for path in sorted(HERE.rglob("*.py")) if path != Path(__file__)]
    assert [str(path.relative_to(HERE)) for path in paths if copied.search(path.read_text(encoding="utf-8"))] == []


def test_who_waits_for_a_future_looks_whether_it_was_done_before() -> None:
    """`_add_waiter` does not call when it answers False; a wait that missed that hung once in a hundred loaded runs."""
    unheard, read = [], 0
    for path in sorted(Path(actorflow.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            read += isinstance(node, ast.Attribute) and node.attr == "_add_waiter"
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                function = node.value.func
                if isinstance(function, ast.Attribute) and function.attr == "_add_waiter":
                    unheard.append(f"{path.name}:{node.lineno}: `_when_done` calls in any case")
    assert read > 10
    assert unheard == []


def test_a_name_of_pykka_says_where_it_is_and_a_misspelt_one_is_python_s_to_guess():
    with pytest.raises(AttributeError, match=r"pykka has it: import pykka .* derive actors from actorflow.Actor"):
        _ = actorflow.ThreadingActor
    with pytest.raises(AttributeError) as caught:
        _ = actorflow.Workflw
    assert caught.value.obj is actorflow
    assert "workflow" in dir(caught.value.obj)
