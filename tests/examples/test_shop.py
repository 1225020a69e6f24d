"""`examples.shop`: the same outcome, orchestrated and choreographed, for any seed; the log comes out equal."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import pytest
from click.testing import CliRunner

import actorflow as af
from actorflow.cli import main as command_line
from actorflow.core.drivers.virtual import VirtualScheduler
from actorflow.core.drivers.world import World
from actorflow.testing import LeakCheck, VirtualSystem
from examples.orders.generate import generate
from examples.orders.log import expected as counted
from examples.orders.log import write
from examples.shop import choreographed, orchestrated
from examples.shop.chaos import quiet
from examples.shop.events import Line, OrderPlaced
from examples.shop.outcome import BY_CHANCE, books_of, broken, expected, happened
from examples.shop.outside import of_log, of_seed
from examples.shop.rules import OrderBook, ShippingBook, SoldOut, StockBook
from tests.examples.logs import REAL_LOG, ROOT, needs_real_log
from tests.examples.programs import PATIENCE
from tests.servers import empty_store

KILLS = 4
FORMS = {
    "choreographed": (choreographed.app, choreographed.follow),
    "orchestrated": (orchestrated.app, orchestrated.lead),
}


@pytest.fixture(params=sorted(FORMS))
def form(request):
    return FORMS[request.param]


def play(form, orders, seed):
    """Have a day pass on a virtual clock, and return the books at its end."""
    app, work = form
    with LeakCheck(), quiet(), app.system(scheduler=VirtualScheduler(name="shop", seed=seed)) as system:
        assert list(work(system, orders))[-1] == len(orders)
        system.sleep(1)  # for mails behind the end of the last order
        return books_of(system)


def order(*lines: Line, account: str = "ann:0") -> OrderPlaced:
    return OrderPlaced("order-1", account, list(lines))


def pen(number: int = 1, *, of: int = 1, product: str = "pen:1+1", address: str = "home:0") -> Line:
    return Line(f"item-{number}", product, "package-1", of, address)


# --- one order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("placed", "what"),
    [
        (order(pen()), {"pick item": 1, "pay order": 1, "package delivered": 1, "complete order": 1}),
        (
            order(pen(product="pen:0+1")),
            {"item out of stock": 1, "reorder item": 1, "pick item": 1, "complete order": 1},
        ),
        (order(pen(), account="ann:5"), {"payment reminder": 5, "pay order": 1, "complete order": 1}),
        (order(pen(address="home:3")), {"failed delivery": 3, "package delivered": 1, "complete order": 1}),
    ],
    ids=["nothing", "out of stock", "reminded", "not at home"],
)
def test_an_order_is_fulfilled_whatever_befalls_it(form, placed, what):
    books = play(form, [placed], seed=1)
    assert broken(books, [placed]) == []
    assert what.items() <= happened(books).items()


@pytest.mark.parametrize(
    ("placed", "undone"),
    [
        (order(pen(1, of=2), pen(2, of=2, product="gone:0+0")), {"return item": 1, "pay order": 0, "send package": 0}),
        (order(pen(), account="ann:6"), {"return item": 1, "pay order": 0, "send package": 0}),
        (order(pen(address="home:4")), {"return item": 1, "refund item": 1, "return package": 1}),
        (order(pen(address="home:5")), {"failed delivery": 4, "refund item": 1, "return package": 1}),
    ],
    ids=["sold out", "not paid", "not delivered", "not delivered for long"],
)
def test_an_order_that_fails_is_undone(form, placed, undone):
    books = play(form, [placed], seed=1)
    assert broken(books, [placed]) == []
    counts = happened(books)
    assert {activity: counts[activity] for activity in undone} == undone
    assert (counts["cancel order"], counts["complete order"], counts["mail: we are sorry"]) == (1, 0, 1)


# --- many orders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_every_order_ends_and_each_is_paid_and_shipped_at_most_once(form, seed):
    orders = of_seed(15, seed)
    assert broken(play(form, orders, seed), orders) == []


def test_the_log_of_the_choreography_is_the_one_that_it_was_given():
    events = generate(150, seed=1)
    orders = of_log(events)
    books = play(FORMS["choreographed"], orders, seed=1)
    assert broken(books, orders) == []
    counts, log = happened(books), counted(events)
    failures = Counter(name for event in events if event.activity == "failed delivery" for name in event.objects)
    given_up = [times for times in failures.values() if times > 3]
    assert counts["return package"] == len(given_up) > 0
    assert counts["failed delivery"] == log["failed delivery"] - sum(times - 4 for times in given_up)
    assert counts["package delivered"] == log["package delivered"] - len(given_up)
    same = log.keys() - {"failed delivery", "package delivered"}
    assert {activity: counts[activity] for activity in same} == {activity: log[activity] for activity in same}


def begin(form, world, store):
    """Start a node of the shop on a store that others may have, too."""
    system = VirtualSystem._within(world, "shop", store=store)
    for part in form[0]._declared.parts:
        system.spawn(part)
    return system


def play_with_kills(form, orders, seed):
    """Have a day pass on two nodes of a store, each of which is killed at times, in the midst of what it does.

    Returns the books, and how often it was in the midst.
    """
    chance = random.Random(seed)
    with LeakCheck(), quiet(), World(seed=seed) as world, af.open_store() as store:
        systems = [begin(form, world, store), begin(form, world, store)]
        try:
            cuts = 0
            for _ in range(KILLS):
                leading = chance.randrange(2)
                scheduler = systems[leading].scheduler.world
                limit, scheduler.step_limit = scheduler.step_limit, chance.randint(1, 25)
                try:
                    list(form[1](systems[leading], orders))
                except af.StuckError:
                    cuts += 1
                finally:
                    scheduler.step_limit = limit
                for place in chance.choice([[leading], [leading], [0, 1]]):
                    systems[place]._kill()
                    systems[place] = begin(form, world, store)
            assert list(form[1](systems[0], orders))[-1] == len(orders)
            systems[0].event_log.retry_all()
            systems[0].sleep(60)
            return books_of(systems[0]), cuts
        finally:
            for system in systems:
                system.stop()


def check_with_kills(form, seeds):
    """Check the books of days with kills; return how often a node was killed in the midst."""
    midst = 0
    for seed in seeds:
        orders = of_seed(10, seed)
        books, cuts = play_with_kills(form, orders, seed)
        assert broken(books, orders) == [], seed
        midst += cuts
    return midst


def test_every_order_ends_once_though_nodes_are_killed_in_virtual_time(form):
    assert check_with_kills(form, range(2)) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 108))
def test_every_order_ends_once_though_nodes_are_killed_in_virtual_time_with_more_seeds(form, seed):
    check_with_kills(form, [seed])


@needs_real_log
@pytest.mark.slow
def test_the_real_log_comes_out_equal_and_ten_packages_are_brought_back():
    result = CliRunner().invoke(command_line, ["run", "examples.shop.choreographed:app", "--log", str(REAL_LOG)])
    assert result.exit_code == 0, result.output
    lines = ([*map(str.strip, line.split("│")[1:-1])] for line in result.output.splitlines())
    rows = {name: numbers for name, *numbers in filter(None, lines)}
    assert rows["pick item"] == ["8,159", "8,159"]
    assert rows["item out of stock"] == rows["reorder item"] == ["1,664", "1,664"]
    assert rows["payment reminder"] == ["514", "514"]
    assert rows["pay order"] == ["2,000", "2,000"]
    assert rows["failed delivery"] == ["390", "391"]
    assert rows["package delivered"] == ["1,315", "1,325"]
    assert rows["return package"] == ["10", ""]


# --- what would be found ---------------------------------------------------------------------------------------------


def test_what_is_wrong_is_found():
    orders = of_seed(20, seed=1)
    books = play(FORMS["choreographed"], orders, seed=1)
    by_kind = {type(book): book for book in books}
    payments = next(book for book in books if "pay order" in book.counts)
    payments.counts["pay order"] += 1
    assert [fault.partition(":")[0] for fault in broken(books, orders)] == ["pay order"]
    payments.counts["pay order"] -= 1
    shelves = by_kind[StockBook].shelves
    shelves[next(iter(shelves))] -= 100
    faults = broken(books, orders)
    assert any(" pieces of " in fault for fault in faults)
    assert any("pieces came" in fault for fault in faults)
    by_kind[OrderBook].place("order-x", "ann:0", [])
    by_kind[ShippingBook].pack(pen(of=2), "order-x")
    assert sum("no end" in fault for fault in broken(books, orders)) == 2


def test_a_product_of_which_there_is_none_is_sold_out():
    stock = StockBook()
    with pytest.raises(SoldOut):
        stock.pick("gone", first=0, supply=0)
    assert stock.counts == {}


def test_the_expectation_counts_by_orders_and_packages():
    counts = expected([order(pen(1, of=2), pen(2, of=2), account="ann:1")])
    assert counts["create package"] == counts["pay order"] == counts["complete order"] == 1
    assert (counts["pick item"], counts["payment reminder"], counts["mail: please pay"]) == (2, 1, 1)
    assert not BY_CHANCE & counts.keys()


# --- programs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FORMS))
def test_the_check_of_the_app_finds_nothing(name):
    result = CliRunner().invoke(command_line, ["check", f"examples.shop.{name}:app"])
    assert result.exit_code == 0, result.output
    assert "actorflow:" not in result.output


def test_a_log_is_for_the_choreography(tmp_path):
    write(tmp_path / "log.csv", generate(5, seed=1))
    result = CliRunner().invoke(
        command_line, ["run", "examples.shop.orchestrated:app", "--log", str(tmp_path / "log.csv")]
    )
    assert result.exit_code == 2
    assert "--log is for examples.shop.choreographed" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("nodes", ["1", "2"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("name", sorted(FORMS))
def test_no_order_is_lost_or_paid_twice_though_services_crash_and_processes_are_killed(
    name, kind, nodes, request, tmp_path
):
    with empty_store(kind, request, tmp_path / "shop.db") as url:
        run_with_kills(f"examples.shop.{name}:app", "--nodes", nodes, "--chaos-store", url)


def run_with_kills(app, *options):
    """Have a day pass in processes that are killed, and see that all is well."""
    command = [sys.executable, "-m", "actorflow", "run", app, "--orders", "60", "--chaos", "4", *options]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 0, (result.stdout, result.stderr)
    assert "all is well" in result.stdout
    assert "Chaos: processes were killed" in result.stdout


@pytest.mark.parametrize("options", [["--nodes", "2"], ["--chaos-store", "sqlite:///shop.db"], ["--nodes", "0"]])
def test_options_of_chaos_without_it_are_refused(options):
    result = CliRunner().invoke(command_line, ["run", "examples.shop.choreographed:app", *options])
    assert result.exit_code == 2
    assert "--nodes" in result.output
