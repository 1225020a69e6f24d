"""When a durable actor tries a message again, and when not any more: `af.Permanent`, and `Retry(within=)`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import actorflow as af
from actorflow.durable.handling.timed_tries import TimedTries
from actorflow.testing import VirtualSystem
from tests.durable.actors import Account
from tests.durable.test_messages import wait_for
from tests.durable.test_state import named

TRIED: list[float] = []
STEADY = af.Backoff(10, factor=1, jitter=0)


@pytest.fixture(autouse=True)
def fresh():
    TRIED.clear()


class NoSuchCustomer(af.Permanent):
    def __init__(self, name: str, place: str) -> None:
        super().__init__(f"no customer {name} in {place}")


class Refusing(Account):
    def on_receive(self, message):
        TRIED.append(0.0)
        if message == "group":
            raise ExceptionGroup("no customer", [OSError(), af.Permanent("x")])
        raise NoSuchCustomer("ann", "Paris") if message == "subclass" else af.Permanent("no customer")


@pytest.mark.parametrize("message", ["plain", "subclass", "group"])
def test_a_message_whose_handler_raises_permanent_is_a_dead_letter_at_once(start, message):
    with start() as system:
        ref = system.spawn(named(Refusing, retry=af.Retry(9, af.Backoff(0.001))))
        ref.tell(message)
        wait_for(lambda: system.dead_mail.count() == 1)
        (dead,) = system.dead_mail.messages()
        assert dead.attempt == 1
        assert "no customer" in dead.cause
        assert ref.call(Account.seen).get(timeout=100) == []  # and it goes on
    assert len(TRIED) == 1


@pytest.fixture
def timed(url):
    with VirtualSystem("test", store=url) as system:
        yield system


def failing(system) -> type[Account]:
    """Return a class of actors that fail on a message after some seconds, and note when they began."""

    class Failing(Account):
        def on_receive(self, message):
            TRIED.append(system.now)
            if message:
                self.ctx.sleep(message)
            raise OSError(f"try {len(TRIED)}")

        def begin_timer(self):
            self.ctx.after(1.0, self.fire)

        def fire(self):
            TRIED.append(system.now)
            raise OSError(f"try {len(TRIED)}")

    return Failing


def test_no_try_of_a_message_begins_once_the_time_of_all_is_over(timed):
    ref = timed.spawn(named(failing(timed), retry=af.Retry(100, STEADY, within=35)))
    ref.tell(1.0)
    timed.sleep(40)  # the last try ends after 34 s, and no pause is waited for behind it
    assert pytest.approx([0, 11, 22, 33], abs=0.05) == TRIED
    (dead,) = timed.dead_mail.messages()
    assert (dead.cause, dead.attempt) == ("OSError: try 4", 4)


def test_each_message_has_its_own_time(timed):
    ref = timed.spawn(named(failing(timed), retry=af.Retry(100, STEADY, within=15)))
    ref.tell(0)
    ref.tell(0)
    timed.sleep(1000)
    assert len(TRIED) == 4
    assert timed.dead_mail.count() == 2
    assert timed.dead_mail.retry_all() == 2
    timed.sleep(1000)
    assert len(TRIED) == 8


def test_a_timer_of_an_actor_has_a_time_for_its_tries_too(timed):
    ref = timed.spawn(named(failing(timed), retry=af.Retry(100, STEADY, within=25)))
    ref.call(ref.actor_class.begin_timer).get()
    timed.sleep(1000)
    assert pytest.approx([1, 11, 21], abs=0.05) == TRIED
    assert timed.dead_mail.count() == 1


@pytest.mark.parametrize(("later", "tries"), [(0.0, 2), (1000.0, 1)])
def test_the_time_goes_on_in_another_process(start, monkeypatch, later, tries):
    class Failing(Account):
        def on_receive(self, message):
            TRIED.append(0.0)
            raise OSError(f"try {len(TRIED)}")

    retry = af.Retry(2, af.Backoff(20, jitter=0), within=60)
    with start() as system:
        system.spawn(named(Failing, retry=retry)).tell("bad")
        wait_for(lambda: TRIED)
    now = TimedTries._now
    monkeypatch.setattr(TimedTries, "_now", lambda self: now(self) + later)
    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        system.spawn(named(Failing, retry=retry))
        wait_for(lambda: letters and system.dead_mail.count() == 1)
        assert type(letters[0].reason) is (af.TaskTimeout if later else OSError)
        (dead,) = system.dead_mail.messages()
        assert (dead.cause, dead.attempt) == (f"OSError: try {tries}", tries)
    assert len(TRIED) == tries


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    attempts=st.integers(1, 8),
    first=st.floats(0.5, 50.0),
    factor=st.floats(1.0, 3.0),
    within=st.floats(0.5, 200.0),
    seconds=st.floats(0.0, 30.0),
)
def test_all_tries_begin_within_the_time_and_all_that_fit_are_made(attempts, first, factor, within, seconds):
    TRIED.clear()
    with VirtualSystem("test") as system:
        retry = af.Retry(attempts, af.Backoff(first, factor=factor, limit=1e6, jitter=0), within=within)
        system.spawn(named(failing(system), retry=retry)).tell(seconds)
        system.sleep(1e6)
        assert system.dead_mail.count() == 1
    assert 1 <= len(TRIED) <= attempts
    assert all(time - TRIED[0] <= within + 0.01 for time in TRIED)
    if len(TRIED) < attempts:
        pause = first * factor ** (len(TRIED) - 1)
        assert TRIED[-1] - TRIED[0] + seconds + pause > within - 0.1
