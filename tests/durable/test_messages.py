"""Messages are rows: order, commits, failed tries, stash, replies, room."""

import threading

import pytest

import actorflow as af
from actorflow.durable.handling.after_commit import StoredUnit
from actorflow.testing import VirtualSystem
from tests.durable.actors import Account, Collector
from tests.durable.test_state import named

QUICK = af.Retry(3, af.Backoff(0.001, factor=1, jitter=0))


def rows(system, table):
    """Count the rows of a table."""

    def count(transaction):
        if system.store.dialect == "sqlite":
            return transaction._connection.execute(f"select count(*) from {table}").fetchone()[0]
        return transaction._session.execute(f"select count(*) from actorflow.{table[3:]}").fetchone()[0]

    return system.store.read(count)


def wait_for(condition, seconds=100.0):
    """Wait until something is so."""
    done = threading.Event()
    for _ in range(int(seconds * 200)):
        if condition():
            return
        done.wait(0.005)
    raise AssertionError("it did not come about")


def test_a_send_from_outside_is_stored_when_it_returns(start):
    with start() as system:
        gate = threading.Event()

        class Held(Account):
            def on_receive(self, message):
                gate.wait(30)
                self.state.seen.append(message)

        ref = system.spawn(named(Held))
        for message in range(3):
            ref.tell(message)
        assert rows(system, "af_mail") == 3
        gate.set()
        assert ref.call(Held.seen).get(timeout=100) == [0, 1, 2]
        assert rows(system, "af_mail") == 0


def test_what_was_not_handled_is_handled_by_the_next_process(start):
    with start() as system:

        class Never(Account):
            def on_receive(self, message):
                self.ctx.sleep(60)

        ref = system.spawn(named(Never, shutdown=0.1))
        for message in range(200):
            ref.tell(message)
        system.stop(grace=0.2)
    with start() as system:
        assert system.spawn(named(Account)).call(Account.seen).get(timeout=100) == list(range(200))


def test_messages_of_one_sender_keep_their_order_under_load(start):
    with start() as system:
        ref = system.spawn(named(Account))

        def send(who):
            for number in range(40):
                ref.tell((who, number))

        threads = [threading.Thread(target=send, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seen = ref.call(Account.seen).get(timeout=100)
        assert len(seen) == 160
        for who in range(4):
            assert [number for one, number in seen if one == who] == list(range(40))


def test_sends_between_durable_actors_keep_their_order(start):
    class Source(Account):
        def go(self, to, n):
            for number in range(n):
                to.tell(number)

    with start() as system:
        sink = system.spawn(named(Account, "sink"))
        source = system.spawn(named(Source, "source"))
        for _ in range(3):
            source.call(Source.go, sink, 50).get(timeout=100)
        assert sink.call(Account.seen).get(timeout=100) == list(range(50)) * 3


def test_stop_comes_behind_what_was_queued(start):
    with start() as system:
        ref = system.spawn(named(Account))
        for message in range(100):
            ref.tell(message)
        ref.stop()
        assert system.spawn(named(Account)).call(Account.seen).get(timeout=100) == list(range(100))


def test_a_message_to_an_ordinary_actor_leaves_after_the_commit_only(start):
    committed = []

    class Witness(af.Actor):
        def on_receive(self, message):
            committed.append(rows(system, "af_mail"))

    with start() as system:
        witness = system.spawn(Witness)
        ref = system.spawn(named(Account, "a", witness))
        ref.tell("x")
        wait_for(lambda: committed)
        assert committed == [0]  # the row of the message is gone: its commit was before


def test_sends_of_a_failed_handler_do_not_leave(start):
    with start() as system:
        collector = system.spawn(Collector)
        ref = system.spawn(named(Account, "a", collector, retry=QUICK))
        with pytest.raises(ValueError, match="no"):
            ref.call(Account.fail).get(timeout=100)
        ref.tell("fine")
        wait_for(lambda: collector.call(Collector.all).get(timeout=100) == ["fine"])


def test_the_sender_is_known_to_both_kinds(start):
    class Asker(Account):
        def go(self, durable, plain):
            durable.tell("who")
            plain.tell("who")

    class Plain(Collector):
        def on_receive(self, message):
            self.got.append(self.ctx.sender)

    class Durable(Account):
        def on_receive(self, message):
            self.state.seen.append(self.ctx.sender)

    with start() as system:
        plain = system.spawn(Plain)
        durable = system.spawn(named(Durable, "durable"))
        asker = system.spawn(named(Asker, "asker"))
        asker.call(Asker.go, durable, plain).get(timeout=100)
        wait_for(lambda: plain.call(Plain.all).get(timeout=100) == [asker])
        wait_for(lambda: durable.proxy().state.get(timeout=100).seen == [asker])


def test_a_failed_ask_is_answered_rolled_back_and_not_tried_again(start):
    with start() as system:
        ref = system.spawn(named(Account, retry=QUICK))
        with pytest.raises(ValueError, match="no"):
            ref.call(Account.fail, 100).get(timeout=100)
        assert ref.call(Account.total).get(timeout=100) == 0
        assert rows(system, "af_dead_mail") == 0
        assert ref.is_alive()


def test_a_failed_tell_is_tried_again_and_then_a_dead_letter(start):
    tries = []

    class Failing(Account):
        def on_receive(self, message):
            tries.append(self.state.n)
            self.state.n += 1
            raise ValueError(message)

    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        crashes = []
        system.subscribe(af.Crashed, crashes.append)
        ref = system.spawn(named(Failing, retry=QUICK))
        ref.tell("bad")
        wait_for(lambda: letters)
        assert tries == [0, 0, 0]  # each on the stored state
        assert [letter.message for letter in letters] == ["bad"]
        assert isinstance(letters[0].reason, ValueError)
        assert rows(system, "af_dead_mail") == 1
        assert rows(system, "af_mail") == 0
        assert ref.call(Account.add, 1).get(timeout=100) == 1  # it lives, and failures are no crashes
        assert crashes == []


def test_the_next_message_waits_for_the_tries_of_the_one_before(start):
    tried = []

    class Once(Account):
        def on_receive(self, message):
            tried.append(message)
            if message == "first" and len(tried) < 3:
                raise ValueError(message)
            self.state.seen.append(message)

    with start() as system:
        ref = system.spawn(named(Once, retry=QUICK))
        ref.tell("first")
        ref.tell("second")
        assert ref.call(Once.seen).get(timeout=100) == ["first", "second"]
        assert tried == ["first", "first", "first", "second"]


def test_tries_are_counted_over_processes(start):
    tries = []

    class Failing(Account):
        def on_receive(self, message):
            tries.append(message)
            raise ValueError(message)

    with start() as system:
        system.spawn(named(Failing, retry=af.Retry(2, af.Backoff(60)))).tell("bad")
        wait_for(lambda: tries)
    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        system.spawn(named(Failing, retry=af.Retry(2, af.Backoff(60))))
        wait_for(lambda: letters)
    assert tries == ["bad", "bad"]


@pytest.mark.parametrize("error", [SystemExit("no"), GeneratorExit()])
def test_base_exceptions_are_failed_tries_too(start, error):
    class Failing(Account):
        def on_receive(self, message):
            raise error

    with start() as system:
        ref = system.spawn(named(Failing, retry=QUICK))
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        ref.tell("bad")
        wait_for(lambda: letters)
        assert ref.call(Account.total).get(timeout=100) == 0


def test_waiting_for_an_answer_raises_at_once_with_the_cure(start):
    class Waiting(Account):
        def ask(self, other):
            return other.call(Collector.all).get(timeout=60)

        async def wait(self, other):
            return await other.call(Collector.all)

        def joined(self, other):
            return other.call(Collector.all).join(other.call(Collector.all)).get()

    with start() as system:
        other = system.spawn(Collector)
        ref = system.spawn(named(Waiting))
        for method in (Waiting.ask, Waiting.wait, Waiting.joined):
            with pytest.raises(af.DefinitionError, match=r"ctx\.pipe"):
                ref.call(method, other).get(timeout=100)


def test_sleep_is_allowed(start):
    class Sleeping(Account):
        def nap(self):
            self.ctx.sleep(0.001)
            return self.add(1)

    with start() as system:
        assert system.spawn(named(Sleeping)).call(Sleeping.nap).get(timeout=100) == 1


def test_an_answer_comes_as_a_message_by_pipe(start):
    class Curious(Account):
        def ask(self, other):
            self.ctx.pipe(other.call(Account.add, 5), self.got)

        def got(self, value):
            self.state.n += value

    with start() as system:
        other = system.spawn(named(Account, "other"))
        ref = system.spawn(named(Curious, "curious"))
        ref.call(Curious.ask, other).get(timeout=100)
        wait_for(lambda: ref.call(Account.total).get(timeout=100) == 5)


def test_a_stashed_message_stays_in_its_place_and_its_asker_waits(start):
    class Door(Account):
        def enter(self, who):
            if not self.state.n:
                self.ctx.stash()
                return None
            self.state.seen.append(who)
            return who

        def open(self):
            self.state.n = 1
            self.ctx.unstash()

    with start() as system:
        ref = system.spawn(named(Door))
        futures = [ref.call(Door.enter, who) for who in "ab"]
        ref.call(Door.total).get(timeout=100)
        assert rows(system, "af_mail") == 2
        ref.call(Door.open).get(timeout=100)
        assert [future.get(timeout=100) for future in futures] == ["a", "b"]
        assert ref.call(Door.seen).get(timeout=100) == ["a", "b"]


def test_a_stashed_message_is_there_after_a_restart_of_the_process(start):
    class Door(Account):
        def on_receive(self, message):
            if not self.state.n:
                self.ctx.stash()
            else:
                self.state.seen.append(message)

        def open(self):
            self.state.n = 1
            self.ctx.unstash()

    with start() as system:
        ref = system.spawn(named(Door))
        ref.tell("a")
        ref.tell("b")
        ref.call(Door.total).get(timeout=100)
    with start() as system:
        ref = system.spawn(named(Door))
        ref.tell("c")
        ref.call(Door.open).get(timeout=100)
        assert ref.call(Door.seen).get(timeout=100) == ["a", "b", "c"]


def test_a_promised_answer_is_kept_in_the_state_and_set_by_a_later_handler(start):
    class Later(Account):
        def ask_me(self):
            self.state.seen.append(self.ctx.reply_later())

        def answer(self, value):
            self.state.seen.pop().set(value)

        def refuse(self):
            self.state.seen.pop().fail(KeyError("no"))

    with start() as system:
        ref = system.spawn(named(Later))
        future = ref.call(Later.ask_me)
        ref.call(Later.total).get(timeout=100)
        assert not future.done()
        ref.call(Later.answer, 7).get(timeout=100)
        assert future.get(timeout=100) == 7
        future = ref.call(Later.ask_me)
        ref.call(Later.refuse).get(timeout=100)
        with pytest.raises(KeyError):
            future.get(timeout=100)
        assert rows(system, "af_mail") == 0


class Asking(Account):
    def ask_and_fail(self, other):
        self.ctx.pipe(other.call(Account.add, 1), self.got)
        raise ValueError("after the ask")

    def got(self, value):
        self.state.seen.append(value)


def test_an_ask_of_a_failed_handler_is_not_sent(start):
    with start() as system:
        other = system.spawn(named(Account, "other"))
        ref = system.spawn(named(Asking))
        for _ in range(2):
            with pytest.raises(ValueError, match="after the ask"):
                ref.call(Asking.ask_and_fail, other).get(timeout=100)
        assert other.call(Account.total).get(timeout=100) == 0
        assert system.scheduler.durable.asks.all() == []


def test_open_asks_are_answered_when_the_actor_stops(start):
    class Door(Account):
        def enter(self):
            self.ctx.stash()

    with start() as system:
        ref = system.spawn(named(Door))
        future = ref.call(Door.enter)
        ref.stop()
        with pytest.raises(af.ActorDeadError):
            future.get(timeout=100)


@pytest.mark.parametrize("overflow", ["fail", "block"])
def test_a_full_mailbox_fails_or_waits(start, overflow):
    gate = threading.Event()

    class Held(Account):
        def on_receive(self, message):
            gate.wait(30)
            self.state.seen.append(message)

    with start() as system:
        ref = system.spawn(named(Held, capacity=2, overflow=overflow))
        ref.tell(0)
        ref.tell(1)
        if overflow == "fail":
            with pytest.raises(af.MailboxFull):
                ref.tell(2)
            gate.set()
        else:
            sender = threading.Thread(target=ref.tell, args=(2,))
            sender.start()
            sender.join(0.05)
            assert sender.is_alive()
            gate.set()
            sender.join(30)
            assert ref.call(Held.seen).get(timeout=100) == [0, 1, 2]


def test_terminated_comes_as_a_committed_message(start):
    class Watching(Account):
        def watch(self, ref):
            self.ctx.watch(ref)

        def on_receive(self, message):
            assert isinstance(message, af.Terminated)
            self.state.n += 1

    with start() as system:
        other = system.spawn(Collector)
        ref = system.spawn(named(Watching))
        ref.call(Watching.watch, other).get(timeout=100)
        other.stop()
        wait_for(lambda: ref.call(Account.total).get(timeout=100) == 1)
    with start() as system:
        assert system.spawn(named(Account)).call(Account.total).get(timeout=100) == 1


def test_a_message_from_elsewhere_is_taken_once(start):
    with start() as system:
        ref = system.spawn(named(Account))
        for id_ in ("m1", "m2", "m1"):
            system.deliver(ref, id_, id=id_)
        assert ref.call(Account.seen).get(timeout=100) == ["m1", "m2"]
    with start() as system:
        ref = system.spawn(named(Account))
        system.deliver(ref, "m1", id="m1")
        assert ref.call(Account.seen).get(timeout=100) == ["m1", "m2"]


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_it_works_in_virtual_time_and_a_seed_repeats_it(seed):
    def once():
        with VirtualSystem("test", seed=seed) as system:
            record = system.record()
            sink = system.spawn(named(Account, "sink"))
            refs = [system.spawn(named(Account, f"a{n}", sink)) for n in range(3)]
            for number in range(5):
                for ref in refs:
                    ref.tell(number)
            system.sleep(1)
            return [(time, path) for time, path, _ in record], sink.call(Account.seen).get(timeout=100)

    first, second = once(), once()
    assert first == second
    assert sorted(first[1]) == sorted(list(range(5)) * 3)


def test_a_crash_by_hand_is_a_failed_try(start):
    class Crashing(Account):
        def on_receive(self, message):
            raise af.Crash from ValueError(message)

    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        ref = system.spawn(named(Crashing, retry=QUICK))
        ref.tell("bad")
        wait_for(lambda: letters)
        assert ref.is_alive()


class Meddler(Account):
    """Uses the context of another actor."""

    def meddle(self, what):
        other = self.others.pop()
        used = {"sender": lambda: other.ctx.sender, "stash": other.ctx.stash, "reply_later": other.ctx.reply_later}
        with pytest.raises(af.DefinitionError) as caught:
            used[what]()
        return str(caught.value)


@pytest.mark.parametrize("what", ["sender", "stash", "reply_later"])
def test_the_context_of_another_actor_in_a_handler_is_refused_with_the_cure(start, what):
    others = []

    class Plain(af.Actor):
        def on_start(self):
            others.append(self)

    Meddler.others = others
    with start() as system:
        system.spawn(Plain)
        said = system.spawn(named(Meddler)).call(Meddler.meddle, what).get(timeout=100)
        assert said == f"ctx.{what} concerns the current message: use it inside a handler of this actor"


def test_a_thread_that_is_slow_behind_its_commit_tells_nothing_that_counts_as_a_message(monkeypatch):
    """The holder of the baton has gone on with the actor meanwhile."""
    submit, settle = StoredUnit.submit, StoredUnit.settle
    settled = {}

    def submit_slowly(unit):
        (worker,) = [thread for thread in unit.scheduler.workers if thread.item[0] is unit.box.ref]
        settled[unit.box.ref] = over, _ = threading.Event(), worker
        outcome = submit(unit)
        assert over.wait(100)
        return outcome

    def settle_and_keep_the_baton(unit, error):
        settle(unit, error)
        over, worker = settled[unit.box.ref]
        over.set()
        wait_for(lambda: worker in unit.scheduler.spares)  # it has told all that it tells

    monkeypatch.setattr(StoredUnit, "submit", submit_slowly)
    monkeypatch.setattr(StoredUnit, "settle", settle_and_keep_the_baton)
    with af.ActorSystem("test", store="memory:") as system:
        ref = system.spawn(named(Account, "ann"))
        answers = [ref.call(Account.add, 1) for _ in range(20)]
        assert [answer.get(timeout=100) for answer in answers] == list(range(1, 21))
        assert ref.call(Account.seen).get(timeout=100) == []
        assert system.dead_letters == 0
