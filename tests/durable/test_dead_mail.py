"""Messages that no try could handle: listed with their causes, put back, removed."""

import time

import pytest

import actorflow as af
from actorflow.durable.node import dead_letters
from actorflow.durable.node.dead_letters import shown_message
from actorflow.durable.rows.payload import pack
from actorflow.store.store import open_store
from tests.durable.actors import Account
from tests.durable.test_messages import rows, wait_for
from tests.durable.test_state import named

ONCE = af.Retry(1)
BROKEN = []  # what makes a handler fail


class Fussy(Account):
    def on_receive(self, message):
        if BROKEN:
            raise ValueError(BROKEN[0])
        return super().on_receive(message)

    def add(self, k):
        if BROKEN:
            raise KeyError(BROKEN[0])
        return super().add(k)

    def later(self, k):
        self.ctx.after(0, self.add, k)


class Sender(Account):
    def on_receive(self, message):
        self.to.tell(message)


@pytest.fixture(autouse=True)
def broken():
    BROKEN[:] = ["out of ink"]
    yield
    BROKEN.clear()


def mended():
    BROKEN.clear()


def test_dead_letters_are_listed_with_what_they_were_and_why(start):
    with start() as system:
        began = time.time()
        ref = system.spawn(named(Fussy, "printer", retry=af.Retry(2, af.Backoff(0))))
        sender = system.spawn(named(Sender, "sender", ref))
        mail = system.dead_mail
        sender.tell("page 1")
        wait_for(lambda: mail.count() == 1)
        ref.cast(Fussy.add, 5)
        wait_for(lambda: mail.count() == 2)
        newest, oldest = mail.messages()
        assert (oldest.actor, oldest.message, oldest.sender) == ("printer", '"page 1"', "sender")
        assert (oldest.cause, oldest.attempt, oldest.crashes) == ("ValueError: out of ink", 2, 0)
        assert began <= oldest.time <= time.time()
        assert (newest.message, newest.sender, newest.cause) == ("add(5)", None, "KeyError: 'out of ink'")
        assert mail.messages("none") == mail.messages(sender) == []
        assert mail.messages(ref, limit=1) == mail.messages("/test/printer", limit=1) == [newest]
        assert mail.messages("printer", before=newest.id) == mail.messages(before=newest.id) == [oldest]
        assert (mail.count(ref), mail.count("sender")) == (2, 0)


def test_a_retry_goes_to_the_mailbox_with_all_its_tries(start):
    with start() as system:
        ref = system.spawn(named(Fussy, retry=af.Retry(2, af.Backoff(0))))
        sender = system.spawn(named(Sender, "sender", ref))
        mail = system.dead_mail
        sender.tell("page 1")
        wait_for(lambda: mail.count() == 1)
        (first,) = mail.messages()
        assert mail.retry(first.id) == 1
        wait_for(lambda: [message.id for message in mail.messages()] not in ([], [first.id]))
        (second,) = mail.messages()  # it failed twice again
        assert (second.attempt, second.message, second.sender) == (2, first.message, first.sender)
        mended()
        assert mail.retry(first.id) == 0
        assert mail.retry(second.id) == 1
        wait_for(lambda: ref.call(Account.seen).get(timeout=30) == ["page 1"])
        assert rows(system, "af_dead_mail") == rows(system, "af_mail") == 0


def test_retry_all_keeps_the_order(start, monkeypatch):
    monkeypatch.setattr(dead_letters, "BATCH", 2)
    with start() as system:
        ref, other = (system.spawn(named(Fussy, name, retry=ONCE)) for name in ("a", "b"))
        for number in range(5):
            ref.tell(number)
            other.tell(number)
        mail = system.dead_mail
        wait_for(lambda: mail.count() == 10)
        mended()
        assert mail.retry_all(ref) == 5
        wait_for(lambda: ref.call(Account.seen).get(timeout=30) == [0, 1, 2, 3, 4])
        assert mail.count() == 5
        assert mail.retry_all() == 5
        wait_for(lambda: other.call(Account.seen).get(timeout=30) == [0, 1, 2, 3, 4])
        assert mail.retry_all() == 0


def test_retry_all_ends_though_the_messages_die_again(start):
    with start() as system:
        ref = system.spawn(named(Fussy, retry=ONCE))
        ref.tell("x")
        mail = system.dead_mail
        for _ in range(3):
            wait_for(lambda: mail.count() == 1)
            assert mail.retry_all() == 1


def test_a_timers_message_is_put_back_as_a_message(start):
    with start() as system:
        ref = system.spawn(named(Fussy, retry=ONCE))
        ref.call(Fussy.later, 3).get(timeout=30)
        mail = system.dead_mail
        wait_for(lambda: mail.count() == 1)
        mended()
        mail.retry_all()
        wait_for(lambda: ref.call(Account.total).get(timeout=30) == 3)
        assert rows(system, "af_actor_timer") == 0


def test_a_store_that_no_system_runs_on_is_enough(start, url):
    with start() as system:
        ref = system.spawn(named(Fussy, retry=ONCE))
        ref.tell("x")
        ref.tell("y")
        wait_for(lambda: system.dead_mail.count() == 2)
    store = open_store(url)
    mail = dead_letters.DeadMail(store)
    newest, oldest = mail.messages()
    assert mail.purge(newest.id) == 1
    assert mail.retry(oldest.id) == 1
    store.close()
    mended()
    with start() as system:
        assert system.dead_mail.messages() == []
        ref = system.spawn(named(Fussy, retry=ONCE))
        wait_for(lambda: ref.call(Account.seen).get(timeout=30) == ["x"])


def test_another_process_puts_a_message_back_into_the_mailbox_of_an_actor_that_lives(start, url):
    with start() as system:
        ref = system.spawn(named(Fussy, retry=ONCE))
        ref.tell("x")
        wait_for(lambda: system.dead_mail.count() == 1)
        mended()
        store = open_store(url)
        assert dead_letters.DeadMail(store).retry_all() == 1
        store.close()
        wait_for(lambda: ref.call(Account.seen).get(timeout=30) == ["x"])


def test_purge_removes_them(start):
    with start() as system:
        refs = [system.spawn(named(Fussy, name, retry=ONCE)) for name in "ab"]
        for ref in refs:
            ref.tell("x")
        mail = system.dead_mail
        wait_for(lambda: mail.count() == 2)
        assert mail.purge_all("a") == 1
        assert mail.purge_all() == 1
        assert mail.purge("1") == mail.count() == 0


def test_a_retry_of_a_message_from_elsewhere_is_taken_and_its_id_stays_known(start):
    with start() as system:
        ref = system.spawn(named(Fussy, retry=ONCE))
        system.deliver(ref, "m", id="m1")
        wait_for(lambda: system.dead_mail.count() == 1)
        mended()
        assert system.dead_mail.retry_all() == 1
        system.deliver(ref, "m", id="m1")
        wait_for(lambda: ref.call(Account.seen).get(timeout=30) == ["m"])
        assert ref.call(Account.seen).get(timeout=30) == ["m"]


def test_an_actor_that_is_not_durable_has_no_dead_mail(start):
    class Plain(af.Actor):
        pass

    with start() as system:
        ref = system.spawn(Plain)
        with pytest.raises(af.DefinitionError, match="not durable"):
            system.dead_mail.messages(ref)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("x" * 500, '"' + "x" * 199 + "..."),
        ("y" * 5000, '["tell","' + "y" * 191 + "..."),
        ({"a": [1, 2]}, '{"a": [1, 2]}'),
    ],
)
def test_a_message_is_shown_as_text(message, text):
    assert shown_message(pack(message, 10_000)[:1000]) == text


def test_a_damaged_message_is_shown_all_the_same():
    assert shown_message(b"\xff{") == "\ufffd{"
    assert shown_message(b"[]") == "[]"
    assert shown_message(b"7") == "7"
