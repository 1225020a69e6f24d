"""What a durable actor is made of, and what a restart leaves of it."""

import dataclasses

import pytest

import actorflow as af
from tests.durable.actors import Account, Add, Collector, StructAccount, Total


def named(cls, name="a", *args, **options):
    return af.child(cls, *args).options(name=name, **options)


def test_the_state_is_there_after_the_system_was_started_anew(start):
    with start() as system:
        assert system.spawn(named(Account)).call(Account.add, 2).get(timeout=100) == 2
    with start() as system:
        assert system.spawn(named(Account)).call(Account.add, 3).get(timeout=100) == 5


def test_a_struct_is_a_state_too(start):
    with start() as system:
        system.spawn(named(StructAccount)).call(StructAccount.add, 2).get(timeout=100)
    with start() as system:
        assert system.spawn(named(StructAccount)).call(StructAccount.add, 1).get(timeout=100) == 3


def test_init_comes_first_then_the_stored_state_then_on_start(start):
    calls = []

    class Loud(Account):
        def __init__(self):
            super().__init__()
            calls.append(("init", self.state.n))

        def on_start(self):
            calls.append(("start", self.state.n))

    with start() as system:
        system.spawn(named(Loud)).call(Loud.add, 7).get(timeout=100)
    with start() as system:
        system.spawn(named(Loud))
    assert calls == [("init", 0), ("start", 0), ("init", 0), ("start", 7)]


def test_what_on_start_does_is_committed(start):
    class Starter(Account):
        def on_start(self):
            self.state.n += 10

    with start() as system:
        system.spawn(named(Starter))
    with start() as system:
        assert system.spawn(named(Account)).call(Account.total).get(timeout=100) == 10


def test_a_failed_on_start_leaves_nothing(start):
    class Broken(Account):
        def on_start(self):
            self.state.n += 10
            raise OSError("no")

    with start() as system:
        with pytest.raises(OSError, match="no"):
            system.spawn(named(Broken))
        assert system.spawn(named(Account)).call(Account.total).get(timeout=100) == 0


def test_an_async_on_start_and_async_handlers_commit(start):
    class Slow(Account):
        async def on_start(self):
            await af.timer(0.001)
            self.state.n = 5

        async def slow(self, k):
            self.state.n += k
            await af.timer(0.001)
            return self.state.n

    with start() as system:
        assert system.spawn(named(Slow)).call(Slow.slow, 2).get(timeout=100) == 7
    with start() as system:
        assert system.spawn(named(Account)).call(Account.total).get(timeout=100) == 7


def test_an_asyncio_handler_commits(start):
    class Looping(Account, loop=True):
        async def slow(self, k):
            import asyncio

            await asyncio.sleep(0.001)
            await af.timer(0.001)
            self.state.n += k
            return self.state.n

    with start() as system:
        assert system.spawn(named(Looping)).call(Looping.slow, 2).get(timeout=100) == 2
    with start() as system:
        assert system.spawn(named(Account)).call(Account.total).get(timeout=100) == 2


def test_an_actor_with_a_thread_of_its_own_commits(start):
    with start() as system:
        ref = system.spawn(named(Account, blocking=True))
        assert [ref.call(Account.add, 1).get(timeout=100) for _ in range(3)] == [1, 2, 3]


def test_without_a_name_it_is_refused(start):
    with start() as system:
        with pytest.raises(af.DefinitionError, match="no name"):
            system.spawn(Account)


def test_a_state_that_is_no_dataclass_is_refused(start):
    class Loose(af.Actor, durable=True):
        def __init__(self):
            super().__init__()
            self.state = {"n": 1}

    with start() as system:
        with pytest.raises(af.DefinitionError, match="self.state"):
            system.spawn(named(Loose))


@pytest.mark.parametrize(
    "options",
    [
        {"overflow": "drop_oldest", "capacity": 3},
        {"retry": 5},
        {"durability": "disk"},
        {"durable": 1},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(af.DefinitionError):
        af.child(Account).options(name="a", **options)


def test_retry_is_for_durable_actors():
    with pytest.raises(af.DefinitionError, match="durable=True"):
        af.child(Collector).options(retry=af.Retry(2))


def test_it_needs_a_system_with_a_store():
    with pytest.raises(af.DefinitionError, match="store"):
        Account.start()


def test_a_field_that_is_new_in_the_code_gets_its_default(start, monkeypatch):
    with start() as system:
        system.spawn(named(Account)).call(Account.add, 1).get(timeout=100)

    @dataclasses.dataclass
    class Newer(Total):
        more: int = 7

    from tests.durable import actors

    Newer.__module__, Newer.__qualname__ = actors.__name__, "Total"
    monkeypatch.setattr(actors, "Total", Newer)
    with start() as system:
        ref = system.spawn(named(Account))
        assert ref.proxy().state.get(timeout=100).more == 7


def test_what_cannot_be_stored_is_refused_at_the_sender_and_names_its_path(start):
    with start() as system:
        ref = system.spawn(named(Account))
        with pytest.raises(af.PayloadError, match=r"message\.to"):
            ref.tell(Add(1, to=object()))
        with pytest.raises(af.PayloadError, match="argument 0"):
            ref.call(Account.add, object())


def test_a_state_that_cannot_be_stored_fails_the_message_and_is_rolled_back(start):
    class Bad(Account):
        def spoil(self):
            self.state.seen.append(object())

    with start() as system:
        ref = system.spawn(named(Bad))
        with pytest.raises(af.PayloadError, match=r"self\.state\.seen\[0\]"):
            ref.call(Bad.spoil).get(timeout=100)
        assert ref.call(Account.seen).get(timeout=100) == []


def test_refs_travel_in_messages_and_in_the_state(start):
    class Payer(Account):
        def remember(self, to):
            self.state.seen.append(to)

        def pay(self, k):
            self.state.seen[0].call(Account.add, k)

    with start() as system:
        payee = system.spawn(named(Account, "payee"))
        payer = system.spawn(named(Payer, "payer"))
        payer.call(Payer.remember, payee).get(timeout=100)
        payer.call(Payer.pay, 3).get(timeout=100)
        assert payee.call(Account.total).get(timeout=100) == 3
        assert payer.proxy().state.get(timeout=100).seen == [payee]
    with start() as system:
        payer = system.spawn(named(Payer, "payer"))
        payer.call(Payer.pay, 4).get(timeout=100)  # the payee is not spawned yet: its row waits
        assert system.spawn(named(Account, "payee")).call(Account.total).get(timeout=100) == 7


def test_the_answer_is_a_copy_also_in_one_process(start):
    with start() as system:
        ref = system.spawn(named(Account))
        ref.call(Account.seen).get(timeout=100).append("mine")
        assert ref.call(Account.seen).get(timeout=100) == []


def test_pykkas_proxy_works(start):
    with start() as system:
        ref = system.spawn(named(Account))
        proxy = ref.proxy()
        assert proxy.add(2).get(timeout=100) == 2
        proxy.state = Total(9)
        assert proxy.total().get(timeout=100) == 9
        assert ref.ask("x", timeout=30) == "x"


def test_the_store_alone_makes_nothing_durable(start):
    with start() as system:
        assert system.scheduler.durable is None
        assert system.spawn(Collector).call(Collector.all).get(timeout=100) == []
        assert system.scheduler.durable is None
