"""What is too big for a store is refused where it is made, and the limit is named."""

import pytest

import actorflow as af
from tests.durable.actors import Account
from tests.durable.test_messages import rows, wait_for
from tests.durable.test_state import named

LIMIT = af.Settings(payload_limit="1M")
OVER = r": \d+\.\d MB, over Settings\(payload_limit=\) of 1\.0 MB"
BIG = 2_000_000


class Greedy(Account):
    def swallow(self, n):
        self.state.seen.append("x" * n)

    def answer(self, n):
        return "x" * n

    def pass_on(self, n):
        self.state.n += 1
        self.to.tell("x" * n)

    def later(self, n):
        self.state.n += 1
        self.ctx.after(60, self.add, "x" * n)

    def promise(self):
        reply = self.ctx.reply_later()
        with pytest.raises(af.PayloadError, match=f"the answer{OVER}"):
            reply.set("x" * BIG)
        reply.set("small")


@pytest.fixture
def limited(url):
    with af.ActorSystem("test", store=url, durability="process", settings=LIMIT) as system:
        yield system


def test_a_send_over_the_limit_is_refused_at_the_sender_and_nothing_is_stored(limited):
    ref = limited.spawn(named(Greedy))
    with pytest.raises(af.PayloadError, match=f"a message{OVER}"):
        ref.tell("x" * BIG)
    with pytest.raises(af.PayloadError, match=rf"a message for add\(\){OVER}"):
        ref.call(Greedy.add, "x" * BIG)
    assert rows(limited, "af_mail") == 0
    ref.tell("x" * 900_000)


def test_a_message_of_100_mb_is_refused_by_default(url):
    with af.ActorSystem("test", store=url, durability="process") as system:
        ref = system.spawn(named(Greedy))
        with pytest.raises(af.PayloadError, match=r": 100\.0 MB, over Settings\(payload_limit=\) of 16\.8 MB"):
            ref.tell("x" * 100_000_000)


@pytest.mark.parametrize(
    ("method", "what"),
    [
        (Greedy.swallow, "the state of /test/a"),
        (Greedy.answer, "the answer"),
        (Greedy.pass_on, "a message"),
        (Greedy.later, r"a message for add\(\)"),
    ],
)
def test_a_handler_that_makes_what_is_over_the_limit_fails_and_is_rolled_back(limited, method, what):
    other = limited.spawn(named(Account, "other"))
    ref = limited.spawn(named(Greedy, "a", other))
    with pytest.raises(af.PayloadError, match=f"^{what}{OVER}"):
        ref.call(method, BIG).get(timeout=30)
    assert ref.call(Greedy.seen).get(timeout=30) == []
    assert ref.call(Greedy.total).get(timeout=30) == 0
    assert rows(limited, "af_actor_timer") == 0
    assert other.call(Account.seen).get(timeout=30) == []


def test_a_promised_answer_over_the_limit_can_be_set_to_another(limited):
    ref = limited.spawn(named(Greedy))
    assert ref.call(Greedy.promise).get(timeout=30) == "small"


def test_a_cast_that_makes_the_state_too_big_is_a_dead_letter_that_says_so(limited):
    ref = limited.spawn(named(Greedy, retry=af.Retry(1)))
    ref.cast(Greedy.swallow, BIG)
    wait_for(lambda: limited.dead_mail.count() == 1)
    assert "over Settings(payload_limit=) of 1.0 MB" in limited.dead_mail.messages()[0].cause


def test_an_actor_whose_first_state_is_over_the_limit_does_not_start(limited):
    class Born(Account):
        def on_start(self):
            self.state.seen.append("x" * BIG)

    with pytest.raises(af.PayloadError, match=f"the state of /test/a{OVER}"):
        limited.spawn(named(Born))


def test_a_limit_of_the_system_holds_in_its_child_processes():
    class Inside(af.Actor):
        def limit(self):
            return self.actor_ref._scheduler.payload_limit

    with af.ActorSystem("test", settings=LIMIT) as system:
        ref = system.spawn(af.child(Inside).options(host=af.Process()))
        assert ref.call(Inside.limit).get(timeout=60) == 2**20
