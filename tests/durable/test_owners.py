"""One owner for each name, over all nodes of a store."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import actorflow as af
from actorflow.durable.rows import ledger
from actorflow.store.sqlite.connection import STATEMENTS
from actorflow.store.store import open_store
from tests.durable.actors import Account, Collector
from tests.durable.test_messages import QUICK, rows, wait_for
from tests.durable.test_state import named


@af.task
def noop() -> None: ...


def test_a_name_that_another_node_has_gives_a_ref_that_reaches_it(start):
    with start() as one, start() as two:
        here = one.spawn(named(Account))
        there = two.spawn(named(Account))
        assert there.call(Account.add, 2).get(timeout=100) == 2
        there.tell("x")
        assert here.call(Account.add, 3).get(timeout=100) == 5
        assert here.call(Account.seen).get(timeout=100) == ["x"]
        assert there._actor.state.n == 0  # it only stands by
        with pytest.raises(ValueError, match="no"):
            there.call(Account.fail).get(timeout=100)
        wait_for(lambda: rows(one, "af_answer") == 0)


def test_it_is_taken_over_when_its_owner_stops(start):
    started = []

    class Loud(Account):
        def on_start(self):
            started.append(self.ctx._ref._scheduler.name)

    with start("two") as two:
        with start("one") as one:
            here = one.spawn(named(Loud))
            there = two.spawn(named(Loud))
            here.call(Loud.add, 2).get(timeout=100)
            assert started == ["one"]
        assert there.call(Loud.add, 1).get(timeout=100) == 3
        assert started == ["one", "two"]
        assert there._actor.state.n == 3


def lose_an_actor(start, on_crash=None, on_failure=None):
    """Have a node lose its actor in the middle of a message; returns what left it, and what the new owner knows."""
    gate, inside = threading.Event(), threading.Event()

    class Held(Account):
        def on_failure(self, kind, error, trace):
            if on_failure is not None:
                on_failure((self.ctx._ref._scheduler.name, str(error)))

        def on_receive(self, message):
            self.state.seen.append(message)
            if self.to is not None:
                self.to.tell(message)
            if self.ctx._ref._scheduler.name == "one":
                inside.set()
                gate.wait(20)

    with start("one") as one, start("two") as two:
        if on_crash is not None:
            one.subscribe(af.Crashed, on_crash)
        collector = one.spawn(Collector)
        here = one.spawn(named(Held, "a", collector))
        there = two.spawn(named(Held))
        here.tell("x")
        inside.wait(30)
        one.store.write(lambda tx: tx.run("nodes.beat", {"id": one.store.node.id, "beat": -1e9}))
        seen = [there.call(Held.seen).get(timeout=100)]  # handled again, by the new owner
        gate.set()
        wait_for(lambda: not here.is_alive() or collector.call(Collector.all).get(timeout=100))
        seen.append(there.call(Held.seen).get(timeout=100))
        return collector.call(Collector.all).get(timeout=100), seen


def test_it_is_taken_over_when_its_owner_has_not_beaten_for_a_lease_and_that_one_is_fenced(start):
    crashes, failures = [], []
    left, seen = lose_an_actor(start, crashes.append, failures.append)
    assert left == []  # the old owner ends, and what it did is refused
    assert seen == [["x"], ["x"]]
    assert ["taken over" in str(event.reason) for event in crashes] == [True]
    assert failures == [("one", "a was taken over by another node")]


def test_without_the_fence_that_shows(start, url, monkeypatch):
    if not url.startswith("sqlite"):
        pytest.skip("the statements are changed in one dialect")
    unfenced = (
        "update af_actor set state = :state, next = :next where name = :name and (:owner is not null or :epoch > 0)"
    )
    monkeypatch.setitem(STATEMENTS, "actors.save", unfenced)
    done = "insert into af_mark (receiver, id, at) values ('any', :id || random(), 0)"  # the mark would refuse it, too
    monkeypatch.setitem(STATEMENTS, "actors.done", done)
    left, _ = lose_an_actor(start)
    assert left == ["x"]


def test_a_restartable_owner_that_lost_its_actor_stands_by(start):
    with start("one") as one, start("two") as two:
        here = one.spawn(named(Account, restart="permanent"))
        there = two.spawn(named(Account))
        here.call(Account.add, 1).get(timeout=100)
        one.store.write(lambda tx: tx.run("nodes.beat", {"id": one.store.node.id, "beat": -1e9}))
        wait_for(lambda: there._box.is_owner)
        assert here.call(Account.add, 1).get(timeout=100) == 2
        wait_for(lambda: "a" in one.scheduler.durable.ownership.standbys or not here._box.is_owner)
        one.store.write(lambda tx: tx.run("nodes.beat", {"id": one.store.node.id, "beat": 1e12}))
        there.stop()
        assert here.call(Account.add, 1).get(timeout=100) == 3


def test_of_two_nodes_that_spawn_one_name_at_once_one_has_it(start):
    with start() as one, start() as two:
        for number in range(20):
            barrier = threading.Barrier(2)
            refs = []

            def spawn(system, number=number, barrier=barrier, refs=refs):
                barrier.wait(30)
                refs.append(system.spawn(named(Account, f"a{number}")))

            threads = [threading.Thread(target=spawn, args=(system,)) for system in (one, two)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert sorted(ref._box.is_owner for ref in refs) == [False, True]


def test_durable_actors_of_two_nodes_send_to_each_other(start):
    class Asker(Account):
        def ask(self, k):
            self.ctx.pipe(self.to.call(Account.add, k), self.got)

        def got(self, value):
            self.state.seen.append(value)

    with start() as one, start() as two:
        one.spawn(named(Account, "bank"))
        bank = two.spawn(named(Account, "bank"))
        asker = two.spawn(named(Asker, "asker", bank))
        for k in (1, 2, 3):
            asker.call(Asker.ask, k).get(timeout=100)
        wait_for(lambda: asker.call(Asker.seen).get(timeout=100) == [1, 3, 6])


def test_a_stopped_actor_is_free_for_others_and_its_rows_stay(start):
    with start() as one, start() as two:
        ref = one.spawn(named(Account, retry=QUICK))
        ref.call(Account.add, 4).get(timeout=100)
        ref.stop()
        with pytest.raises(af.ActorDeadError):
            ref.tell("x")
        there = two.spawn(named(Account))
        assert there.call(Account.total).get(timeout=100) == 4


def test_a_restarted_incarnation_reads_what_the_one_before_committed(start):
    class Restless(Account):
        def bye(self):
            self.stop()

    with start() as system:
        ref = system.spawn(named(Restless, restart="permanent"))
        ref.call(Restless.add, 1).get(timeout=100)
        ref.cast(Restless.bye)
        ref.tell("behind it")
        assert ref.call(Restless.total).get(timeout=100) == 1
        assert ref.call(Restless.seen).get(timeout=100) == ["behind it"]


class Lodger(af.Actor):
    """Lives in a process of its own, and knows a durable actor."""

    def ask(self, other: Any, k: int) -> Any:
        return other.call(Account.add, k).get(timeout=100)

    def tell(self, other: Any, message: Any) -> None:
        other.tell(message)

    def on_receive(self, message: Any) -> None:
        self.got = message

    def last(self) -> Any:
        return self.got


@pytest.mark.timeout(300)
def test_an_actor_in_a_process_of_its_own_and_a_durable_one_send_to_each_other(start):
    class Caller(Account):
        def on_receive(self, message):
            self.state.seen.append(message)
            self.ctx.sender.tell(message * 2)

    with start() as system:
        lodger = system.spawn(af.child(Lodger).options(host=af.Process()))
        ref = system.spawn(named(Caller))
        assert lodger.call(Lodger.ask, ref, 3).get(timeout=100) == 3
        lodger.call(Lodger.tell, ref, 21).get(timeout=100)
        wait_for(lambda: ref.call(Account.seen).get(timeout=100) == [21])
        wait_for(lambda: lodger.call(Lodger.last).get(timeout=100) == 42)


def test_dead_nodes_are_swept_out(start, monkeypatch):
    with start() as system:
        system.spawn(named(Account))
        node = {"id": "dead", "pid": 1, "host": "x", "boot": "x", "started": 0.0, "beat": 0.0}
        system.store.write(lambda tx: tx.run("nodes.add", node))
        monkeypatch.setattr(system.store.node, "dead", lambda: ["dead"])
        system.scheduler.durable.housekeeping.look_around()
        wait_for(lambda: rows(system, "af_node") == 1)


def test_a_system_without_a_queue_takes_the_jobs_of_a_dead_process_over_too(start, monkeypatch):
    with start() as one, start() as two:
        job = one.queue("q").enqueue(noop)
        claimed, _ = one.local_queues["q"].jobs.settle_and_claim([], 1)
        assert [str(one_.id) for one_ in claimed] == [job.id]
        two.spawn(named(Account))
        assert not two.local_queues
        monkeypatch.setattr(two.store.node, "dead", lambda: [one.store.node.id])
        two.store.members.bury_dead()
        assert job.status == "queued"
        assert rows(two, "af_node") == 1


def test_names_that_are_waited_for_are_not_looked_at_until_something_has_changed(start, monkeypatch):
    looks = []
    owners_of = ledger.owners_of
    monkeypatch.setattr(ledger, "owners_of", lambda *args, **options: looks.append(1) or owners_of(*args, **options))
    with start() as one, start() as two:
        here = [one.spawn(named(Account, f"a{n}")) for n in range(4)]
        for n in range(4):
            two.spawn(named(Account, f"a{n}"))
        ownership = two.scheduler.durable.ownership
        wait_for(lambda: looks and ownership._whole_look > 0 and len(ownership.standbys) == 4)
        ownership.look()
        looks.clear()
        for _ in range(3):
            ownership.look()
            here[0].call(Account.add, 1).get(timeout=100)
        assert looks == []
        here[0].stop()
        wait_for(lambda: len(ownership.standbys) == 3)
        assert looks


def sql(system, statement, *values):
    """Change rows behind the system's back."""

    def change(transaction):
        if system.store.dialect == "sqlite":
            transaction._connection.execute(statement, values)
        else:
            transaction._session.execute(statement.replace("af_", "actorflow.").replace("?", "%s"), values)

    system.store.write(change)


def test_actors_are_taken_over_some_at_a_time_and_one_whose_row_is_damaged_stops_no_other(start, monkeypatch):
    class Begins(Account):
        def on_start(self):
            self.state.n += 1

    class Door(af.StateMachine, durable=True):
        shut, wide = af.State(initial=True), af.State(final=True)

        @shut.to(wide)
        def open(self) -> None: ...

    names = [f"a{n}" for n in range(70)]
    with start() as one:
        for name in names:
            one.spawn(named(Begins, name))
        one.spawn(named(Door, "bad"))
    with start() as two:
        node = {"id": "gone", "pid": 1, "host": "x", "boot": "x", "started": 0.0, "beat": 1e18}
        two.store.write(lambda tx: tx.run("nodes.add", node))
        sql(two, "update af_actor set owner = ?", "gone")
        sql(two, "update af_actor set state = ? where name = ?", b"{bad", "bad")
        dead = []
        monkeypatch.setattr(two.store.node, "dead", lambda: dead)
        there = [two.spawn(named(Begins, name)) for name in names]
        bad = two.spawn(named(Door, "bad"))
        assert len(two.scheduler.durable.ownership.standbys) == 71
        dead.append("gone")
        assert [ref.call(Begins.total).get(timeout=100) for ref in there] == [2] * 70
        wait_for(lambda: not bad.is_alive())
        assert there[0].call(Begins.add, 1).get(timeout=100) == 3


def test_all_processes_take_over_in_one_order_of_names(start, monkeypatch):
    names, taken, dead = [f"a{n:03}" for n in range(70)], [], []  # in more than one transaction
    with start() as system:
        node = {"id": "gone", "pid": 1, "host": "x", "boot": "x", "started": 0.0, "beat": 1e18}
        system.store.write(lambda tx: tx.run("nodes.add", node))
        for name in names:
            sql(system, "insert into af_actor (name, owner) values (?, ?)", name, "gone")
        monkeypatch.setattr(system.store.node, "dead", lambda: dead)
        refs = [system.spawn(named(Account, name)) for name in reversed(names)]
        own = ledger.own
        monkeypatch.setattr(ledger, "own", lambda tx, name, *rest: taken.append(name) or own(tx, name, *rest))
        dead.append("gone")
        assert [ref.call(Account.add, 1).get(timeout=100) for ref in refs] == [1] * 70
    assert taken == names


def test_a_process_that_gives_an_actor_back_keeps_no_other_from_doing_so(postgres_server):
    with postgres_server.database() as url, contextlib.ExitStack() as stack:
        one, two = (stack.enter_context(contextlib.closing(open_store(url))) for _ in range(2))
        for store, name in ((one, "a"), (two, "b")):
            owner = {"name": name, "owner": store.node.id, "capacity": None, "overflow": None}
            store.write(lambda tx, name=name: tx.run("actors.add", {"name": name}))
            store.write(lambda tx, owner=owner: tx.one("actors.take", owner))
        is_given = threading.Event()

        def give_slowly(transaction):
            ledger.release(transaction, "a", one.node.id, 1)
            return is_given.wait(20)

        slow = stack.enter_context(ThreadPoolExecutor(1)).submit(one.write, give_slowly)
        two.write(lambda tx: ledger.release(tx, "b", two.node.id, 1))
        is_given.set()
        assert slow.result(timeout=30)
        assert one.read(lambda tx: tx.one("actors.releases")) == (2,)


def test_an_own_ask_does_not_wait_for_a_look_at_the_actors_of_others(start, monkeypatch):
    with start() as one, start() as two:
        one.spawn(named(Account, "theirs"))
        two.spawn(named(Account, "theirs"))
        own = two.spawn(named(Account, "own"))
        inside, gate = threading.Event(), threading.Event()

        def look():
            inside.set()
            gate.wait(30)

        monkeypatch.setattr(two.scheduler.durable.ownership, "look", look)
        assert inside.wait(30)
        assert own.call(Account.add, 1).get(timeout=100) == 1
        assert not gate.is_set()
        gate.set()


class Slow(Account):
    """Handles one message a go."""

    gate = threading.Semaphore(0)

    def on_receive(self, message):
        self.gate.acquire(timeout=30)
        return super().on_receive(message)


class Passes(Account):
    def pass_on(self, count):
        for number in range(count):
            self.to.tell(number)
        self.state.n += 1


@pytest.fixture
def slow(start):
    """A ref to an actor of another node, of two messages at most, and to its `gate`."""
    Slow.gate = threading.Semaphore(0)
    with start() as one, start() as two:

        def spawn(overflow):
            there = one.spawn(named(Slow, "slow", capacity=2, overflow=overflow))
            return there, two.durable("slow", Slow), two

        yield spawn
        Slow.gate.release(100)


def test_a_full_mailbox_refuses_senders_on_other_nodes(slow):
    there, ref, two = slow("fail")
    with pytest.raises(af.MailboxFull, match="slow holds its 2 messages"):
        for number in range(10):
            ref.tell(number)
    with pytest.raises(af.MailboxFull):
        ref.call(Slow.total)
    with pytest.raises(af.MailboxFull):
        two.deliver(ref, "x", id="1")
    assert len(two.scheduler.durable.asks) == 0
    Slow.gate.release(2)
    wait_for(lambda: rows(two, "af_mail") == 0)
    assert two.deliver(ref, "y", id="1")  # its id is not known
    Slow.gate.release(100)
    wait_for(lambda: "y" in there.call(Slow.seen).get(timeout=100))


def test_a_full_mailbox_has_senders_on_other_nodes_wait(slow):
    there, ref, two = slow("block")
    sent = []

    def send():
        for number in range(5):
            ref.tell(number)
            sent.append(number)

    sender = threading.Thread(target=send)
    sender.start()
    wait_for(lambda: len(sent) == 2 and two.scheduler.durable._rooms)
    for count in (3, 4, 5):
        Slow.gate.release()
        wait_for(lambda count=count: len(sent) == count)
        assert rows(two, "af_mail") <= 2
    sender.join(30)
    Slow.gate.release(100)
    wait_for(lambda: there.call(Slow.seen).get(timeout=100) == [0, 1, 2, 3, 4])


def test_a_handler_that_sends_to_a_full_mailbox_of_another_node_is_rolled_back_and_tried_again(slow, monkeypatch):
    monkeypatch.setattr("actorflow.durable.handling.after_commit.STORE_SECONDS", 0.01)
    there, ref, two = slow("block")
    for number in (10, 11):
        ref.tell(number)
    passes = two.spawn(named(Passes, "passes", ref))
    passes.cast(Passes.pass_on, 1)
    asked = passes.call(Passes.total)
    with pytest.raises(af.AskTimeout):
        asked.get(timeout=0.1)
    wait_for(lambda: rows(two, "af_mail") == 4)  # two there, two here
    Slow.gate.release(100)
    assert asked.get(timeout=100) == 1
    wait_for(lambda: there.call(Slow.seen).get(timeout=100) == [10, 11, 0])
