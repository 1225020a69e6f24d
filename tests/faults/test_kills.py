"""Random SIGKILLs of workers and of hosts during a run: every future settles, and truthfully; nothing grows.

ACTORFLOW_KILLS=1000 makes it 1,000 kills in 50,000 tasks, and as many in 50,000 messages (`tox -e kills`);
ACTORFLOW_KILLS_SEED makes it another run of them.
"""

import concurrent.futures
import contextlib
import ctypes
import gc
import itertools
import logging
import os
import random
import threading
import time
from dataclasses import dataclass, field

import psutil
import pytest

import actorflow as af
from actorflow.testing import LeakCheck
from tests.faults import witness
from tests.faults.actors import Witnessed

KILLS = int(os.environ.get("ACTORFLOW_KILLS", "30"))
SEED = int(os.environ.get("ACTORFLOW_KILLS_SEED", "1"))
EACH = 50  # tasks for each kill
TASKS = KILLS * EACH
WORKERS = 2
WAVE = 250  # tasks submitted at once; a tenth of the waves, two at least, warm up
RETRIES = 30  # of every second task: so many deaths in a row happen to none
PATIENCE = 30.0  # seconds for a wave's last futures, and more for the kills in it
ANSWER = 30.0  # seconds for the answer to an ask
MEMORY = 5 * 2**19  # bytes that this process may grow by in each quarter of a run
LIMIT = 60 + KILLS  # seconds


class Killer:
    """Kills a random process below the zygote after every so many finished tasks, a little later or at once."""

    def __init__(self, choose):
        self.kills = 0
        self.truce = threading.Lock()  # who holds it, sees no kill
        self._choose = choose
        self._random = random.Random(SEED)
        self._finished = 0
        self._due = threading.Semaphore(0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._due.release()
        self._thread.join()

    def finished(self, _future=None):
        """Count a finished task."""
        self._finished += 1  # by threads of workers: a lost count does no harm
        if self._finished % EACH == 0:
            self._due.release()

    def _run(self):
        while True:
            self._due.acquire()
            if self._stop.wait(self._random.uniform(0, 0.005)):
                return
            with self.truce, contextlib.suppress(psutil.Error):
                if victims := self._choose():
                    self._random.choice(victims).kill()
                    self.kills += 1


@dataclass
class Outcome:
    """What the futures of a run came to."""

    delivered: int = 0
    died: int = 0
    unseen: int = 0  # killed after the worker had taken them up, before they could count their run
    wrong: list = field(default_factory=list)


def workers_of_this_process():
    """The children of the zygote that have not been killed."""
    found = []
    for worker in [worker for zygote in psutil.Process().children() for worker in zygote.children()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            if worker.status() != psutil.STATUS_ZOMBIE:
                found.append(worker)
    return found


def usage():
    """Descriptors, processes and bytes that this process has; what the allocator keeps for later does not count."""
    gc.collect()
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    process = psutil.Process()
    return process.num_fds(), len(process.children(recursive=True)), process.memory_info().rss


def random_task(rng):
    """Most tasks are short, and go in batches; some take a while, some have an answer that fills the socket."""
    seconds = rng.choice((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0002, 0.001, 0.004))
    size = rng.choice((1000, 100_000, 1_000_000)) if rng.random() < 0.05 else 0
    return seconds, size


def run_wave(pool, path, numbers, rng, killer, outcome):
    """Submit tasks and judge each future by what the witness saw."""
    seen = witness.runs(path)
    again = pool.options(retries=RETRIES)
    sent = {}
    for number in numbers:
        seconds, size = random_task(rng)
        function = witness.work if seconds or size else witness.quick
        future = (again if number % 2 else pool).submit(function, path, number, seconds, size)
        future.add_done_callback(killer.finished)
        sent[future] = number, size
    done, open_ones = concurrent.futures.wait(sent, PATIENCE + len(sent) / EACH)
    outcome.wrong += [f"task {sent[future][0]} never settled" for future in open_ones]
    for future in done:
        number, size = sent[future]
        if verdict := judge(future, number, size, seen[number]):
            outcome.wrong.append(f"task {number}, begun {seen[number]} times: {verdict}")
        outcome.delivered += future.exception() is None
        outcome.died += future.exception() is not None
        outcome.unseen += future.exception() is not None and not seen[number]


def judge(future, number, size, begun):
    """What is wrong with a task's future; None if it tells the truth."""
    error = future.exception()
    if error is None:
        if future.result() != witness.answer(number, size):
            return "wrong result"
        return None if begun == 1 or (begun and number % 2) else "delivered, but not begun once"
    if not isinstance(error, af.HostDied):
        return repr(error)
    if number % 2:
        return f"not retried: {error!r}"
    if not error.maybe_ran:
        return f"not run though it was safe to: {error!r}"
    return None if begun <= 1 else f"run twice: {error!r}"


@pytest.mark.slow
@pytest.mark.timeout(LIMIT)
def test_killed_workers_lose_only_what_they_ran_and_nothing_grows(tmp_path, caplog):
    caplog.set_level(
        logging.CRITICAL, "actorflow"
    )  # what pytest keeps of a log holds tracebacks, and so all of a worker
    rng = random.Random(SEED)
    path = str(tmp_path / "witness")
    witness.create(path, TASKS)
    outcome = Outcome()
    try:
        with LeakCheck(), opened_pool(path) as pool, Killer(workers_of_this_process) as killer:
            found = run_waves(
                killer,
                lambda wave: run_wave(pool, path, wave, rng, killer, outcome),
                lambda: [pool.submit(abs, -number) for number in range(20)],
            )
    finally:
        witness.runs.cache_clear()

    assert not caplog.records
    assert_truthful(outcome, killer)
    assert outcome.delivered + outcome.died == TASKS
    assert outcome.died <= killer.kills
    assert_not_grown(found)


@pytest.mark.slow
@pytest.mark.timeout(LIMIT)
def test_killed_hosts_say_which_messages_had_begun_and_nothing_grows(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL, "actorflow")
    rng = random.Random(SEED)
    path = str(tmp_path / "witness")
    witness.create(path, TASKS)
    outcome = Outcome()
    try:
        with LeakCheck(), af.ActorSystem("kills") as system, Killer(workers_of_this_process) as killer:
            actors = opened_hosts(system, path)
            found = run_waves(
                killer,
                lambda wave: run_messages(actors, path, wave, rng, killer, outcome),
                lambda: [actor.call(Witnessed.ping) for actor in actors],
            )
    finally:
        witness.runs.cache_clear()

    assert not caplog.records
    assert_truthful(outcome, killer)
    assert outcome.delivered > TASKS / 4
    assert_not_grown(found)


def run_messages(actors, path, numbers, rng, killer, outcome):
    """Ask in groups, and cast every fifth message; judge each answer by what the witness saw."""
    seen = witness.runs(path)
    for start in range(numbers.start, numbers.stop, EACH):
        sent = {}
        for number in range(start, min(start + EACH, numbers.stop)):
            seconds, size = random_task(rng)
            actor = rng.choice(actors)
            if number % 5 == 0:
                actor.cast(Witnessed.work, number, seconds, size)
            else:
                sent[number] = size, actor.call(Witnessed.work, number, seconds, size)
        for number, (size, future) in sent.items():
            answer, error = settled(future)
            if verdict := judge_answer(answer, error, witness.answer(number, size), seen[number]):
                outcome.wrong.append(f"message {number}, begun {seen[number]} times: {verdict}")
            outcome.delivered += error is None
            outcome.died += error is not None
            outcome.unseen += isinstance(error, af.HostDied) and error.maybe_ran and not seen[number]
            assert not isinstance(error, af.AskTimeout), f"message {number} was never answered"
            killer.finished()
    outcome.wrong += [f"message {number}: begun {seen[number]} times" for number in numbers if seen[number] > 1]


def settled(future):
    """The answer and the error of an ask."""
    try:
        return future.get(timeout=ANSWER), None
    except Exception as error:
        return None, error


def judge_answer(answer, error, expected, begun):
    """What is wrong with the answer to an ask; None if it tells the truth."""
    if error is None:
        if answer != expected:
            return "wrong answer"
        return None if begun == 1 else "answered, but not begun once"
    if not isinstance(error, af.HostDied):
        return repr(error)
    return f"said not to have begun: {error!r}" if begun and not error.maybe_ran else None


def run_waves(killer, run, probe):
    """Run all waves; give what this process has after the warm-up, and after each quarter, when it serves again."""
    waves = [range(start, min(start + WAVE, TASKS)) for start in range(0, TASKS, WAVE)]
    warm = max(2, len(waves) // 10)
    looks = {warm + quarter * (len(waves) - warm) // 4 for quarter in range(5)}
    found = []
    for count, wave in enumerate(waves, 1):
        run(wave)
        if count in looks:
            found.append(served(killer, probe))
    return found


def assert_truthful(outcome, killer):
    """No future was wrong, and few were said to perhaps have run that had not come to it."""
    assert not outcome.wrong, f"{len(outcome.wrong)} of {TASKS}: {outcome.wrong[:10]}"
    assert killer.kills >= KILLS * 0.7
    assert outcome.unseen <= 3 + killer.kills // 10, "said to have perhaps run, but had not begun"


def assert_not_grown(found):
    """What this process has at the end is what it had after the warm-up; memory that is lost is so in each quarter.

    In one of them, another arena of the allocator or a wave that breaks it up may take more than that, once.
    """
    warm, *_, end = found
    assert end[0] <= warm[0], f"descriptors: {warm[0]} -> {end[0]}"
    assert end[1] <= warm[1], f"processes: {warm[1]} -> {end[1]}"
    sizes = [look[2] for look in found]
    assert min(later - before for before, later in itertools.pairwise(sizes)) < MEMORY, f"memory: {sizes} bytes"


def opened_pool(path):
    """A pool whose workers open the witness before their first task: the import would count as begun."""
    return af.ProcessPool(workers=WORKERS, initializer=witness.runs, initargs=(path,))


def opened_hosts(system, path):
    """Actors in processes of their own, under a supervisor that always restarts them."""
    names = [f"w{number}" for number in range(WORKERS)]
    recipes = [af.child(Witnessed, path).options(name=name, host=af.Process()) for name in names]
    system.spawn(af.child(af.Supervisor, *recipes, intensity=10**9, period=1.0).options(name="top"))
    return [system.find(f"/kills/top/{name}", Witnessed) for name in names]


def served(killer, probe):
    """Wait until both processes serve again, and look at what this process has."""
    deadline = time.monotonic() + PATIENCE
    with killer.truce:
        while not both_serve(probe):
            assert time.monotonic() < deadline, "a process that was killed is not replaced"
            time.sleep(0.005)
        return usage()


def both_serve(probe):
    """Whether all processes are there, answer, and are the same as before."""
    before = workers_of_this_process()
    answered = not any(settled(future)[1] for future in probe())
    return answered and len(before) == WORKERS and workers_of_this_process() == before
