"""A data pipeline over a log of orders: how long they take until they are paid, month by month.

    python -m examples.lead_times --log FILE     # an order log in CSV; without one, 2,000 orders that it makes up

The log is read and counted in processes, one share of the orders in each step; then the shares are merged, and a table
is written. Kill it with -9 in its midst, and start it again: shares that are counted are not counted again. A line that
is wrong fails the run, with its number. lead_times.db and lead_times.csv, in the current folder, are the state and the
table. The format is that of the object-centric event logs of RWTH Aachen, as `examples.orders` reads it.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import time
from pathlib import Path

import actorflow as af
from examples.orders.generate import generate
from examples.orders.log import LogError, read, write

SHARES = 8
PACE = float(os.environ.get("PACE", "0"))
DAY = 86_400


@af.task
def make_up(orders: int, to: str) -> str:
    """Write a log of orders that were made up, unless it is there; the same each time."""
    if not Path(to).exists():
        unfinished = Path(f"{to}.unfinished")
        write(unfinished, generate(orders, seed=1))
        unfinished.replace(to)
    return to


@af.task(cpu=True, raises=LogError, timeout=600)
def lead_times(log: str, share: int, shares: int) -> dict[str, list[float]]:
    """Return the days from each order to its payment, by the month of the order, for one share of all orders."""
    placed: dict[str, float] = {}
    days: dict[str, list[float]] = {}
    for event in read(Path(log)):
        for order in event.of("order"):
            if int("".join(filter(str.isdigit, order))) % shares != share:
                continue
            if event.activity == "place order":
                placed[order] = event.time.timestamp()
            elif event.activity == "pay order" and order in placed:
                begin = placed.pop(order)
                month = time.strftime("%Y-%m", time.gmtime(begin))
                days.setdefault(month, []).append((event.time.timestamp() - begin) / DAY)
    time.sleep(PACE)
    print(f"share {share + 1} of {shares} is counted", flush=True)
    return days


@af.task
def write_table(shares: list[dict[str, list[float]]], to: str) -> int:
    """Merge the shares into a table by month, and return the number of orders in it."""
    merged: dict[str, list[float]] = {}
    for share in shares:
        for month, days in share.items():
            merged.setdefault(month, []).extend(days)
    unfinished = Path(f"{to}.unfinished")
    with unfinished.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["month", "orders", "median days", "slowest"])
        for month, days in sorted(merged.items()):
            table.writerow([month, len(days), f"{statistics.median(days):.1f}", f"{max(days):.1f}"])
    unfinished.replace(to)
    return sum(len(days) for days in merged.values())


@af.workflow
def report(log: str | None, table: str, orders: int = 2000) -> int:
    """Make the table of a log, and return the number of its orders."""
    source = log if log is not None else make_up(orders, f"{table}.log.csv")
    shares = af.gather(lead_times.submit(source, share, SHARES) for share in range(SHARES)).get()
    return write_table(shares, table)


def main(arguments: list[str]) -> int:
    """Make the table, and print it."""
    parser = argparse.ArgumentParser(prog="python -m examples.lead_times", description=__doc__.partition("\n")[0])
    parser.add_argument("--log", type=Path, help="an order log in CSV")
    parser.add_argument("--to", type=Path, default=Path("lead_times.csv"), help="the table (lead_times.csv)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    options = parser.parse_args(arguments)
    log = None if options.log is None else str(options.log.resolve())
    with af.ActorSystem("lead-times", store=f"sqlite:///{options.to.with_suffix('.db')}") as system:
        system.pool("cpu", workers=options.workers)
        run = system.start(report.options(id=f"table of {log or 'made up orders'}"), log, str(options.to))
        try:
            orders = run.result()
        except af.RunFailed as failure:
            sys.exit(str(failure.__cause__ or failure))
        print(options.to.read_text(), end="")
        makespan = run.timeline().times.makespan
    print(f"{orders:,} orders in {makespan:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
