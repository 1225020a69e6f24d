"""A batch over a file of sales: the takings of each product, counted in processes: `python -m examples.batch FILE`.

The file has lines such as "2026-11-29,tea,250": day, product, cents. It is cut into parts, each of which is a job; the
last job adds them up and writes the totals. Kill it with -9 in its midst, and start it again: parts that are counted
are not counted again. A line that is wrong fails its part, with the number of its byte; mend it (in place: the parts
are cut by bytes), and start again with --retry. FILE.db has the state, FILE.totals the totals.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import actorflow as af


@af.task(cpu=True, timeout=600, raises=ValueError)
def count_part(sales: str, start: int, end: int) -> tuple[str, dict[str, int]]:
    """Return the file, and the cents of each product in the lines that begin within a part of the file."""
    cents: Counter[str] = Counter()
    for place, line in lines_of(sales, start, end):
        try:
            _day, product, amount = line.split(",")
            cents[product] += int(amount)
        except ValueError as error:
            raise ValueError(f"{sales}, byte {place}: {line!r} is no day,product,cents") from error
    print(f"bytes {start:,} to {end:,} are counted", flush=True)
    return sales, dict(cents)


def lines_of(sales: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Yield the lines that begin in a part, with their places."""
    with Path(sales).open("rb") as file:
        if start:
            file.seek(start - 1)
            file.readline()  # the rest of a line of the part before
        while (place := file.tell()) < end and (line := file.readline()):
            yield place, line.decode().rstrip("\r\n")


@af.task
def write_totals(parts: list[tuple[str, dict[str, int]]]) -> int:
    """Add up the parts, and write the totals beside their place first, so that half of them are never seen."""
    total: Counter[str] = Counter()
    for _, cents in parts:
        total.update(cents)
    sales, _ = parts[0]
    unfinished = Path(f"{sales}.totals.unfinished")
    unfinished.write_text("".join(f"{product},{cents}\n" for product, cents in sorted(total.items())))
    unfinished.replace(f"{sales}.totals")
    return total.total()


def main(arguments: list[str]) -> int:
    """Count the sales, or what is left of them; return 1 if a part is wrong."""
    parser = argparse.ArgumentParser(prog="python -m examples.batch", description=__doc__.partition("\n")[0])
    parser.add_argument("sales", type=Path, help="a file of day,product,cents")
    parser.add_argument("--parts", type=int, default=16, help="jobs that share the file (16)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--retry", action="store_true", help="count again what was wrong")
    options = parser.parse_args(arguments)
    sales, size = str(options.sales.resolve()), options.sales.stat().st_size
    with af.ActorSystem("batch", store=f"sqlite:///{sales}.db") as system:
        system.pool("cpu", workers=options.workers)
        jobs = system.queue("sales", workers=options.workers)
        if not jobs.count():  # the first start: all jobs are queued in one transaction
            bounds = [size * part // options.parts for part in range(options.parts + 1)]
            parts = [(count_part, sales, *ends) for ends in pairwise(bounds)]
            jobs.group(parts, then=write_totals)
        elif options.retry:
            jobs.retry_all("failed")
            jobs.retry_all("cancelled")
        (last,) = jobs.jobs(task=write_totals)
        try:
            print(f"{system.get_job(last.id).result():,} cents in all")
        except (af.JobFailed, af.JobCancelled):
            for failed in jobs.jobs("failed"):
                print(failed.error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
