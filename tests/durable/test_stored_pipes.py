"""`ctx.pipe` of an ask to another durable actor: the answer is a row, so it comes once, whatever dies meanwhile."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import actorflow as af
from actorflow.core.messages.messages import Call
from actorflow.durable.rows.answers import PipedAnswer, TimerRows
from actorflow.durable.rows.payload import pack
from actorflow.durable.rows.records import TimerRow
from actorflow.testing import VirtualSystem
from tests.durable.actors import Account
from tests.durable.asking import Answerer, Asker, Patient
from tests.durable.test_messages import QUICK, rows, wait_for
from tests.durable.test_owners import sql
from tests.durable.test_state import named

ROOT = Path(__file__).parents[2]


def died(url, act, timeout=0.0):
    """Run a process that asks and dies."""
    command = [sys.executable, "-m", "tests.durable.asking", url, act, str(timeout), "dies"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def seen(ref):
    return ref.call(Account.seen).get(timeout=30)


def heard(ref, *expected):
    """Wait until an asker has noted so many; they are these."""
    wait_for(lambda: len(seen(ref)) >= len(expected))
    assert seen(ref) == [list(one) for one in expected]


@pytest.mark.parametrize(
    ("act", "expected"), [("say", ("got", "say 1")), ("fail", ("missed", "ValueError"))], ids=["value", "error"]
)
def test_the_answer_comes_after_the_askers_process_was_killed(start, url, act, expected):
    died(url, act)
    with start() as system:
        asker = system.spawn(named(Asker, "asker"))
        system.spawn(named(Answerer, "other"))
        heard(asker, expected)
        wait_for(lambda: rows(system, "af_mail") == 0)


def test_a_message_that_kills_its_processes_is_answered_with_that_error(start, url):
    for _ in range(3):  # the second and the third have no time to ask
        died(url, "say")
    with start() as system:
        system.spawn(named(Answerer, "other"))
        wait_for(lambda: system.dead_mail.count("other") == 1)
        asker = system.spawn(named(Asker, "asker"))
        wait_for(lambda: ["missed", "HostDied"] in seen(asker))


def test_a_timeout_is_kept_by_a_process_that_comes_after(start, url):
    died(url, "nobody", 0.1)
    with start() as system:
        asker = system.spawn(named(Asker, "asker"))
        heard(asker, ("missed", "AskTimeout"))
        other = system.spawn(named(Answerer, "other"))
        assert other.call(Account.add, 0).get(timeout=30) == 1  # the ask was handled all the same
        heard(asker, ("missed", "AskTimeout"))
        wait_for(lambda: rows(system, "af_mail") == rows(system, "af_actor_timer") == 0)
        heard(asker, ("missed", "AskTimeout"))


def test_an_answer_in_time_ends_the_timer(start):
    with start() as system:
        asker, other = system.spawn(named(Asker, "asker")), system.spawn(named(Answerer, "other"))
        asker.call(Asker.ask_for, other, "say", 60.0).get(timeout=30)
        heard(asker, ("got", "say 1"))
        wait_for(lambda: rows(system, "af_actor_timer") == 0)


def test_an_error_that_no_method_takes_makes_the_answer_a_dead_letter(start):
    with start() as system:
        asker = system.spawn(named(Asker, "asker", retry=af.Retry(1)))
        asker.call(Asker.ask_bare, system.spawn(named(Answerer, "other")), "fail").get(timeout=30)
        wait_for(lambda: system.dead_mail.count("asker") == 1)
        (letter,) = system.dead_mail.messages("asker")
        assert (letter.message, letter.cause) == ("got(not today)", "ValueError: not today")
        assert asker.call(Account.total).get(timeout=30) == 0


def test_a_promised_answer_comes_to_the_method_too(start):
    with start() as system:
        asker, other = system.spawn(named(Asker, "asker")), system.spawn(named(Answerer, "other"))
        asker.call(Asker.ask_for, other, "promise").get(timeout=30)
        wait_for(lambda: len(seen(other)) == 1)
        other.call(Answerer.keep_promise).get(timeout=30)
        heard(asker, ("got", "as promised"))
        asker.call(Asker.ask_for, other, "promise").get(timeout=30)
        wait_for(lambda: len(seen(other)) == 1)
        other.call(Answerer.promised).get(timeout=30).set("from outside")
        heard(asker, ("got", "as promised"), ("got", "from outside"))


def test_a_message_that_an_operator_removes_is_answered(start):
    with start() as system:
        asker = system.spawn(named(Asker, "asker"))
        asker.call(Asker.ask_for, system.durable("nobody", Answerer), "say").get(timeout=30)
        assert system.stored_actors.drop_mail_of("nobody") == 1
        heard(asker, ("missed", "ActorDeadError"))


def test_actors_of_two_nodes_answer_each_other(start):
    with start() as one, start() as two:
        two.spawn(named(Answerer, "other"))
        asker = one.spawn(named(Asker, "asker"))
        asker.call(Asker.ask_for, one.durable("other", Answerer), "say").get(timeout=30)
        heard(asker, ("got", "say 1"))


def test_an_answer_finds_room_in_a_full_mailbox(start):
    with start() as system:
        asker = system.spawn(named(Asker, "asker", capacity=1, overflow="fail"))
        other = system.spawn(named(Answerer, "other"))
        asker.call(Asker.ask_often, other, 5).get(timeout=30)
        wait_for(lambda: rows(system, "af_mail") == 0)
        assert len(seen(asker)) == 5


def test_a_future_that_is_used_otherwise_stays_in_memory_and_works(start):
    with start() as system:
        asker, other = system.spawn(named(Asker, "asker")), system.spawn(named(Answerer, "other"))
        asker.call(Asker.ask_all, other).get(timeout=30)
        heard(asker, ("got", ["say 1", "say 2"]))


def test_a_future_that_is_piped_twice_says_so(start):
    with start() as system:
        asker, other = system.spawn(named(Asker, "asker")), system.spawn(named(Answerer, "other"))
        asker.call(Asker.ask_twice, other).get(timeout=30)
        wait_for(lambda: len(seen(asker)) == 2)
        assert sorted(seen(asker)) == [["got", "say 1"], ["missed", "DefinitionError"]]


def test_a_timeout_holds_for_a_future_in_memory_too(start):
    with start() as system:
        asker = system.spawn(named(Asker, "asker"))
        asker.call(Asker.ask_mapped, system.durable("nobody", Answerer), 0.05).get(timeout=30)
        heard(asker, ("missed", "AskTimeout"))


@pytest.mark.parametrize("host", [None, af.Process()], ids=["here", "virtual host"])
@pytest.mark.parametrize("act", ["fail", "say"])
def test_an_answer_that_fails_without_a_method_for_errors_is_one_dead_letter_and_ends_its_timeout(act, host):
    ready = []

    class Unready(Asker):
        def got(self, value):
            if not ready:
                raise LookupError("not ready")
            super().got(value)

    with VirtualSystem("test", seed=1) as system:
        asker = system.spawn(named(Unready, "asker", retry=af.Retry(2), host=host))
        asker.call(Asker.ask_bare_within, system.spawn(named(Answerer, "other")), act, 600.0).get(timeout=30)
        system.sleep(60)
        assert system.dead_mail.count("asker") == 1
        assert rows(system, "af_actor_timer") == 0
        system.sleep(1200)
        (letter,) = system.dead_mail.messages("asker")
        assert ("not today" if act == "fail" else "not ready") in letter.cause
        ready.append(1)
        assert system.dead_mail.retry_all("asker") == 1  # no late answer, though its timer is gone
        system.sleep(60)
        assert seen(asker) == ([] if act == "fail" else [["got", "say 1"]])
        assert system.dead_mail.count("asker") == (act == "fail")


def test_an_answer_that_fails_with_a_method_for_errors_is_followed_by_its_timeout():
    class Unready(Asker):
        def got(self, value):
            raise LookupError("not ready")

    with VirtualSystem("test", seed=1) as system:
        asker = system.spawn(named(Unready, "asker", retry=af.Retry(2)))
        asker.call(Asker.ask_for, system.spawn(named(Answerer, "other")), "say", 600.0).get(timeout=30)
        system.sleep(1200)
        assert seen(asker) == [["missed", "AskTimeout"]]
        assert system.dead_mail.count("asker") == 1


def test_the_timer_of_an_answer_is_found_by_its_token_and_not_among_all_timers():
    class Unscanned(TimerRows):
        def values(self):
            pytest.fail("all timers were looked at")

        items = __iter__ = values

    late = [PipedAnswer("got", None, None, f"7-{n:x}", b'{"type": "x"}') for n in range(100)]
    timers = Unscanned(TimerRow(n + 1, 0.0, None, 0, pack(one, 10_000)) for n, one in enumerate(late))
    timers.add(TimerRow(200, 0.0, None, 0, b'["answer", damaged'))
    timers.add(TimerRow(201, 0.0, None, 0, pack(Call("got", (1,), {}), 10_000)))
    assert PipedAnswer("got", None, "7-63").timer_in(timers) == 100
    assert timers.drop(100)
    assert not timers.drop(100)
    assert timers.drop(200)
    assert PipedAnswer("got", None, "7-63").timer_in(timers) is None
    assert PipedAnswer("got", None, None).timer_in(timers) is None


def test_a_timeout_that_is_a_dead_letter_is_handled_when_it_is_retried(start):
    """Its timer is gone; it is no late answer for that."""
    ready = []

    class Unready(Asker):
        def missed(self, error):
            if not ready:
                raise LookupError("not ready")
            super().missed(error)

    with start() as system:
        asker = system.spawn(named(Unready, "asker", retry=QUICK))
        asker.call(Unready.ask_for, system.durable("nobody", Answerer), "say", 0.01).get(timeout=30)
        wait_for(lambda: system.dead_mail.count("asker") == 1)
        ready.append(True)
        assert system.dead_mail.retry_all("asker") == 1
        heard(asker, ("missed", "AskTimeout"))


@pytest.mark.parametrize("host", [None, af.Process()], ids=["here", "hosted"])
def test_an_answer_that_is_stashed_is_handled_afterwards_in_spite_of_its_timeout(start, host):
    with start() as system:
        asker, other = system.spawn(named(Patient, "asker", host=host)), system.spawn(named(Answerer, "other"))
        asker.call(Patient.ask_for, other, "say", 60.0).get(timeout=30)
        wait_for(lambda: len(asker._box.stash) == 1)
        assert rows(system, "af_actor_timer") == 1
        asker.call(Patient.open).get(timeout=30)
        wait_for(lambda: rows(system, "af_mail") == rows(system, "af_actor_timer") == 0)
        heard(asker, ("got", "say 1"))


def test_a_promise_that_is_kept_by_on_start_comes_at_once(start):
    class Keeper(Answerer):
        def on_start(self):
            if self.state.seen:
                self.keep_promise()

    with start() as system:
        asker, other = system.spawn(named(Asker, "asker")), system.spawn(named(Keeper, "other"))
        asker.call(Asker.ask_for, other, "promise").get(timeout=30)
        wait_for(lambda: len(seen(other)) == 1)
        other.stop(timeout=30)
        system.spawn(named(Keeper, "other"))
        wait_for(lambda: rows(system, "af_mail") == 0)
        heard(asker, ("got", "as promised"))


@pytest.mark.parametrize("address", ["@x", "@[]", "@5", "@[1, 2]"])
def test_a_damaged_address_of_an_answer_holds_up_nobody(start, address):
    with start() as system:
        asker = system.spawn(named(Asker, "asker"))
        for name in ("other", "nobody"):
            asker.call(Asker.ask_for, system.durable(name, Answerer), "say").get(timeout=30)
        sql(system, "UPDATE af_mail SET asker = ?", address)
        other = system.spawn(named(Answerer, "other"))
        assert other.call(Account.add, 1).get(timeout=30) == 2
        assert system.stored_actors.drop_mail_of("nobody") == 1


@pytest.mark.parametrize("seed", range(20))
def test_of_an_answer_and_its_timeout_one_comes(seed):
    """Both at once, on a virtual clock: each order is met."""

    class Slow(Answerer):
        async def act(self, act):
            await af.timer(float(act))
            return act

    with VirtualSystem("test", seed=seed) as system:
        asker, other = system.spawn(named(Asker, "asker")), system.spawn(named(Slow, "other"))
        for seconds in ("1", "1.0", "2.0"):
            asker.call(Asker.ask_for, other, seconds, 2.0).get()
        system.sleep(100)
        assert len(seen(asker)) == 3
        assert ["missed", "AskTimeout"] in seen(asker)
        assert rows(system, "af_actor_timer") == rows(system, "af_mail") == 0


def test_timeouts_of_two_lives_are_told_apart_in_virtual_time_too(tmp_path):
    """Both draw the same random numbers."""
    url = f"sqlite:///{tmp_path / 'test.db'}"
    with VirtualSystem("test", seed=7, store=url) as system:
        asker = system.spawn(named(Asker, "asker"))
        asker.call(Asker.ask_for, system.durable("slow", Answerer), "say", 10.0).get()
    with VirtualSystem("test", seed=7, store=url) as system:
        asker = system.spawn(named(Asker, "asker"))
        asker.call(Asker.ask_for, system.durable("nobody", Answerer), "say", 1000.0).get()
        system.sleep(100)
        system.spawn(named(Answerer, "slow"))
        system.sleep(100)
        assert seen(asker) == [["missed", "AskTimeout"]]
        assert rows(system, "af_actor_timer") == 1
