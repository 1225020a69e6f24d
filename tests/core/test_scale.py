"""Scale: thousands that wait at once, and a hundred thousand that live."""

import pytest

import actorflow as af
from tests.core.actors import Echo, Held, hold, run_in_threads, until


class Asker(af.Actor):
    def ask(self, ref, message):
        return ref.ask(message)

    async def ask_async(self, ref, message):
        return await ref.ask(message, block=False)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", [Asker.ask, Asker.ask_async])
def test_a_thousand_askers_blocked_at_once_finish(any_system, method):
    held = any_system.spawn(Held)
    gate, _ = hold(held)
    askers = [any_system.spawn(Asker) for _ in range(1000)]
    answers = [asker.call(method, held, index) for index, asker in enumerate(askers)]
    echo = any_system.spawn(Echo)
    until(lambda: echo.ask(True, timeout=30) and sum(asker._waiting is not None for asker in askers) == 1000)
    gate.set()
    for answer in answers:
        answer.get(timeout=30)
    assert sorted(held.call(Held.read).get(timeout=30)) == list(range(1000))


@pytest.mark.timeout(300)
def test_threads_outside_may_ask_at_once(system):
    echo = system.spawn(Echo)

    def ask(index):
        for number in range(20):
            assert echo.ask((index, number), timeout=30) == (index, number)

    run_in_threads(100, ask)


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_a_hundred_thousand_actors_live_and_answer(system):
    refs = [system.spawn(Echo) for _ in range(100_000)]
    answers = [ref.ask(index, block=False) for index, ref in enumerate(refs)]
    assert [answer.get(timeout=20) for answer in answers] == list(range(100_000))
    assert system.find(refs[-1].path) is refs[-1]
    stopped = [ref.stop(block=False) for ref in refs[:50_000]]
    assert all(future.get(timeout=20) for future in stopped)
    assert sum(ref.is_alive() for ref in refs) == 50_000


def test_ten_thousand_messages_to_a_held_actor_are_kept(any_system):
    held = any_system.spawn(Held)
    gate, _ = hold(held)
    for number in range(10_000):
        held.tell(number)
    gate.set()
    assert held.call(Held.read).get(timeout=30) == list(range(10_000))
