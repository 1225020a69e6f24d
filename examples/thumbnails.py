"""Thumbnails of a folder of images, through a queue: `python -m examples.thumbnails PHOTOS`.

Each image is a job; the work is done in processes, as it computes. The queue is a file, so that nothing is lost: end
the program as you like, also with kill -9, and start it again. With --chaos it kills its own processes while it works.
Needs Pillow: pip install '.[examples]' in a clone.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil
from PIL import Image

import actorflow as af
from actorflow.cli import progress_bar

SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"}


@af.task(cpu=True, timeout=60, retry=af.Retry(3, af.Backoff(0.1)))
def thumbnail(image: str, target: str, size: int) -> tuple[int, int]:
    """Write a small copy of an image. It is written beside its place first, so half of one is never seen."""
    with Image.open(image) as picture:
        picture.thumbnail((size, size))
        unfinished = Path(f"{target}.unfinished")
        picture.convert("RGB").save(unfinished, "PNG")
        unfinished.replace(target)
        return picture.size


def main(arguments: list[str] | None = None) -> int:
    """Make what is missing; return 1 if an image could not be read."""
    options = parsed(arguments)
    images = sorted(path for path in options.folder.iterdir() if path.suffix.lower() in SUFFIXES)
    options.into.mkdir(parents=True, exist_ok=True)
    with af.ActorSystem("thumbnails", store=f"sqlite:///{options.into / 'jobs.db'}") as system:
        system.pool("cpu", workers=options.workers)
        jobs = system.queue("thumbnails", workers=options.workers)
        work = [(image, options.into / f"{image.name}.png") for image in images]
        waiting = [
            jobs.enqueue(thumbnail.options(unique=str(image)), str(image), str(target), options.size)
            for image, target in work
            if not target.exists()
        ]
        chaos = Chaos(options.chaos)
        failed = []
        with progress_bar("thumbnails") as progress:
            for done, job in enumerate(waiting, 1):
                try:
                    job.result()
                except af.JobFailed as failure:
                    failed.append(str(failure))
                progress(done, len(waiting))
        chaos.stop()
        stats = jobs.stats()
    for text in failed:
        print(text, file=sys.stderr)
    print(f"{len(waiting) - len(failed)} made, {len(work) - len(waiting)} were there, {len(failed)} failed", end="")
    print(f"; {chaos.killed} processes killed, {stats.retried} jobs run again" if options.chaos else "")
    return 1 if failed else 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.thumbnails", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the images are")
    parser.add_argument("--into", type=Path, help="where the thumbnails go (FOLDER/thumbnails)")
    parser.add_argument("--size", type=int, default=128, help="the longer side, in pixels (128)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--chaos", type=float, default=0, metavar="SECONDS", help="kill a process that often")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is no folder")
    options.into = options.into or options.folder / "thumbnails"
    return options


class Chaos:
    """Kills a process of the pool now and then, twice at most: the third time could make a dead letter of a job."""

    def __init__(self, seconds: float) -> None:
        self.killed = 0
        self._random = random.Random()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(seconds,))
        if seconds:
            self._thread.start()

    def _run(self, seconds: float) -> None:
        while self.killed < 2 and not self._over.wait(seconds):
            workers = [child for child in psutil.Process().children(recursive=True) if not child.children()]
            if workers:
                with suppress(psutil.NoSuchProcess):
                    self._random.choice(workers).kill()
                    self.killed += 1

    def stop(self) -> None:
        """End it."""
        self._over.set()
        if self._thread.ident:
            self._thread.join()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; the jobs that are left are in the queue: start it again to go on")
