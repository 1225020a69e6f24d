"""Promises: what cannot be stored, or read again, is a failure of that message alone; all else goes on."""

import dataclasses

import pytest

import actorflow as af
from actorflow.durable.rows import ledger
from tests.durable.actors import Account
from tests.durable.test_messages import QUICK, rows, wait_for
from tests.durable.test_owners import sql
from tests.durable.test_state import named

STORES = ("sqlite",)


class Odd:
    """Cannot be stored, and says so in a way that no library expects."""

    def __init_subclass__(cls, **_):
        raise TypeError

    @property
    def __dataclass_fields__(self):
        raise SystemExit("no fields")


@dataclasses.dataclass
class Order:
    total: int = 0
    paid_at: float = dataclasses.field(init=False)

    def __post_init__(self):
        self.paid_at = 0.0


class Light(af.StateMachine, durable=True):
    off, on = af.State(initial=True), af.State(final=True)

    @off.to(on)
    def switch(self) -> None: ...


class Shop(af.Actor, durable=True):
    def __init__(self):
        super().__init__()
        self.state = Order()

    def reopen(self):
        del self.state.paid_at

    def forget(self):
        self.state = None

    def grow(self):
        self.state.total = 10**5000

    def keep_odd(self):
        self.state.total = Odd()

    def return_odd(self):
        self.state.total += 1
        return Odd()

    def later(self, name):
        self.state.total += 1
        self.ctx.after(0.001, getattr(self, name))

    def total(self):
        return self.state.total


BAD = ("reopen", "forget", "grow", "keep_odd")


def shop_and_neighbour(system):
    """Spawn two shops under a supervisor that restarts; what one does ends the other only if it ends the system."""
    options = {"retry": QUICK, "restart": "permanent"}
    system.spawn(
        af.child(af.Supervisor, named(Shop, "bad", **options), named(Shop, "good", **options)).options(name="all")
    )
    return system.find("/test/all/bad", Shop), system.find("/test/all/good", Shop)


@pytest.mark.parametrize("name", BAD)
def test_a_state_that_cannot_be_stored_is_a_failed_message_and_after_its_tries_a_dead_letter(start, name):
    crashes = []
    for cold in range(2):
        with start() as system:
            system.subscribe(af.Crashed, crashes.append)
            bad, good = shop_and_neighbour(system)
            if cold == 0:
                bad.cast(getattr(Shop, name))
                wait_for(lambda system=system: system.dead_mail.count() == 1)
                with pytest.raises((af.PayloadError, af.DefinitionError, af.Crash)):
                    bad.call(getattr(Shop, name)).get(timeout=30)
            assert bad.call(Shop.total).get(timeout=30) == 0
            assert good.call(Shop.total).get(timeout=30) == 0
            assert [letter.message for letter in system.dead_mail.messages()] == [f"{name}()"]
    assert crashes == []


def test_an_answer_that_cannot_be_stored_is_the_askers_error_and_the_message_is_undone(start):
    with start() as system:
        bad, _ = shop_and_neighbour(system)
        with pytest.raises((af.PayloadError, af.Crash)):
            bad.call(Shop.return_odd).get(timeout=30)
        assert bad.call(Shop.total).get(timeout=30) == 0


@pytest.mark.parametrize("name", BAD)
def test_a_timer_whose_state_cannot_be_stored_is_a_dead_letter(start, name):
    with start() as system:
        crashes = []
        system.subscribe(af.Crashed, crashes.append)
        bad, _ = shop_and_neighbour(system)
        bad.call(Shop.later, name).get(timeout=30)
        wait_for(lambda: system.dead_mail.count() == 1)
        assert bad.call(Shop.total).get(timeout=30) == 1
        assert crashes == []


class Gate(af.StateMachine, durable=True):
    shut, wide = af.State(initial=True), af.State(final=True)

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    @shut.stay
    def look(self) -> int:
        return self.seen

    @shut.stay
    def spoil(self) -> None:
        self.seen = Odd()

    @shut.to(wide)
    def open(self) -> None:
        self.seen = Odd()


def test_a_machine_whose_snapshot_cannot_be_stored_is_as_it_was(start):
    with start() as system:
        crashes = []
        system.subscribe(af.Crashed, crashes.append)
        ref = system.spawn(named(Gate, "gate", retry=QUICK, restart="permanent"))
        for event in (Gate.spoil, Gate.open):
            with pytest.raises((af.PayloadError, af.Crash)):
                ref.call(event).get(timeout=30)
            ref.cast(event)
        wait_for(lambda: system.dead_mail.count() == 2)
        assert ref.call(Gate.look).get(timeout=30) == 0
        assert ref.state == "shut"
        assert crashes == []


@pytest.mark.timeout(300)
def test_so_is_an_actor_in_a_process_of_its_own(start):
    with start() as system:
        crashes = []
        system.subscribe(af.Crashed, crashes.append)
        ref = system.spawn(named(Shop, "shop", retry=QUICK, restart="permanent", host=af.Process()))
        for name in BAD:
            ref.cast(getattr(Shop, name))
        wait_for(lambda: system.dead_mail.count() == len(BAD))
        with pytest.raises((af.PayloadError, af.Crash)):
            ref.call(Shop.return_odd).get(timeout=30)
        assert ref.call(Shop.total).get(timeout=30) == 0
        assert crashes == []


def test_effects_that_can_never_be_written_are_a_failed_message_and_its_batch_goes_on(start, monkeypatch):
    class Sends(Account):
        def on_receive(self, message):
            self.state.n += 1
            if message == "bad":
                self.to.tell(message)

    row_of = ledger.row_of

    def refuse(letter):
        if b"bad" in letter.body and letter.sender is not None:
            msg = "no row can be like that"
            raise ValueError(msg)
        return row_of(letter)

    monkeypatch.setattr(ledger, "row_of", refuse)
    with start() as system:
        crashes = []
        system.subscribe(af.Crashed, crashes.append)
        to = system.spawn(named(Account, "to"))
        many = [system.spawn(named(Sends, f"s{n}", to, retry=QUICK)) for n in range(4)]
        for n, ref in enumerate(many):
            ref.tell("bad" if n == 1 else "good")
        assert [ref.call(Sends.total).get(timeout=30) for ref in many] == [1, 0, 1, 1]
        wait_for(lambda: system.dead_mail.count() == 1)
        assert "no row can be like that" in system.dead_mail.messages()[0].cause
        assert crashes == []


class Asked(af.Actor, durable=True):
    def __init__(self):
        super().__init__()
        self.state = [None]
        self.state = Held()

    def ask(self):
        self.state.reply = self.ctx.reply_later()

    def give(self, value):
        self.state.reply.set(Odd() if value == "odd" else value)
        self.state.reply = None


@dataclasses.dataclass
class Held:
    reply: object = None


def test_a_late_answer_that_cannot_be_stored_fails_who_sets_it_and_can_be_set_again(start):
    with start() as system:
        ref = system.spawn(named(Asked, retry=QUICK))
        asked = ref.call(Asked.ask)
        with pytest.raises(af.PayloadError):
            ref.call(Asked.give, "odd").get(timeout=30)
        ref.call(Asked.give, 3).get(timeout=30)
        assert asked.get(timeout=30) == 3


# --- rows that are damaged --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("body", b"{bad"),
        ("body", 7),
        ("body", "text"),
        ("sender", b"[bad"),
        ("sender", b'{"$actor":["a"]}'),
        ("sender", b'{"$actor":[1,2]}'),
    ],
)
def test_a_damaged_message_is_set_aside_and_the_others_are_handled(start, column, value):
    with start() as system:
        system.spawn(named(Account)).stop()
        letters = system.scheduler.durable
        ref = letters.ref_of("a", Account)
        for number in (1, 2, 3):
            ref.tell(number)
        sql(system, f"update af_mail set {column} = ? where id = 2", value)
        crashes = []
        system.subscribe(af.Crashed, crashes.append)
        ref = system.spawn(named(Account, retry=QUICK, restart="permanent"))
        assert ref.call(Account.seen).get(timeout=30) == [1, 3]
        assert system.dead_mail.count() == 1
        assert system.dead_mail.messages()[0].cause
        assert crashes == []
        assert rows(system, "af_mail") == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [("body", b"{bad"), ("due", "soon"), ("period", "often"), ("period", 0)],
)
def test_a_damaged_timer_is_set_aside_and_the_others_fire(start, column, value):
    class Ticks(Account):
        def begin(self):
            for number in (1, 2):
                self.ctx.every(0.001, self.on_receive, number)

    with start() as system:
        ref = system.spawn(named(Ticks))
        ref.call(Ticks.begin).get(timeout=30)
        ref.stop()
        sql(system, f"update af_actor_timer set {column} = ? where id = 1", value)
        sql(system, "update af_actor set state = null")
        crashes = []
        system.subscribe(af.Crashed, crashes.append)
        ref = system.spawn(named(Ticks, retry=QUICK, restart="permanent"))
        wait_for(lambda: 2 in ref.call(Ticks.seen).get(timeout=30))
        wait_for(lambda: system.dead_mail.count() >= 1)
        assert 1 not in ref.call(Ticks.seen).get(timeout=30)
        assert crashes == []


@pytest.mark.parametrize("column", ["attempt", "crashes"])
def test_a_count_that_is_damaged_begins_anew(start, column):
    with start() as system:
        system.spawn(named(Account)).stop()
        system.scheduler.durable.ref_of("a", Account).tell(1)
        sql(system, f"update af_mail set {column} = 'many'")
        ref = system.spawn(named(Account, retry=QUICK, restart="permanent"))
        assert ref.call(Account.seen).get(timeout=30) == [1]
        assert system.dead_mail.count() == 0


def test_a_damaged_answer_of_another_node_is_its_askers_error_and_the_others_get_theirs(start):
    answer = "insert into af_answer (id, asker, value, error, keep_until) values (?, ?, ?, ?, 1e18)"
    with start() as system:
        ref = system.spawn(named(Asked))
        asked = [ref.call(Asked.ask) for _ in range(3)]
        runtime = system.scheduler.durable
        wait_for(lambda: system.store.read(lambda tx: tx.one("actors.count", {"receiver": "a", "limit": 9}))[0] == 0)
        for number, value, error in zip(
            sorted(number for number, _ in runtime.asks.all()),
            (b"{bad", None, b"7"),
            (None, b"{bad", None),
            strict=True,
        ):
            sql(system, answer, number, system.store.node.id, value, error)
        runtime.asks.fetch()
        with pytest.raises(af.PayloadError, match="cannot be read"):
            asked[0].get(timeout=30)
        with pytest.raises(af.ActorflowError, match="damaged"):
            asked[1].get(timeout=30)
        assert asked[2].get(timeout=30) == 7


def test_an_actor_whose_state_cannot_be_read_stands_aside_and_all_others_go_on(start, caplog):
    with start() as system:
        bad, good = shop_and_neighbour(system)
        bad.call(Shop.total).get(timeout=30)
    with start() as system:
        system.spawn(named(Account))
        sql(system, "update af_actor set state = ? where name = ?", b"{bad", "all/bad")
        bad, good = shop_and_neighbour(system)
        assert good.call(Shop.total).get(timeout=30) == 0
        with pytest.raises(af.PayloadError, match="/test/all/bad handles nothing"):
            bad.call(Shop.total).get(timeout=30)
        bad.cast(Shop.grow)
        assert rows(system, "af_mail") == 1  # it stays
        assert "actorflow store actors delete" in caplog.text
        with pytest.raises(af.PayloadError):  # whoever spawns one that nobody restarts hears so
            sql(system, "insert into af_actor (name, state) values (?, ?)", "single", b"{bad")
            system.spawn(named(Shop, "single"))
        assert good.call(Shop.total).get(timeout=30) == 0


@pytest.mark.parametrize(
    "state", [b"{bad", b"3", b'{"timers": [{}]}', b'{"timers": [], "data": {"$type": "no.Such", "fields": {}}}']
)
def test_so_does_a_machine_whose_process_has_died(start, state):
    with start() as system:
        system.spawn(named(Account))
        sql(system, "insert into af_actor (name, owner, state) values (?, ?, ?)", "all/bad", "dead", state)
        children = named(Light, "bad", restart="permanent"), named(Shop, "good", restart="permanent")
        system.spawn(af.child(af.Supervisor, *children).options(name="all"))
        bad, good = system.find("/test/all/bad", Light), system.find("/test/all/good", Shop)
        with pytest.raises(af.PayloadError, match="/test/all/bad handles nothing"):
            bad.call(Light.switch).get(timeout=30)
        assert good.call(Shop.total).get(timeout=30) == 0


@pytest.mark.timeout(300)
def test_so_does_one_in_a_process_of_its_own(start):
    with start() as system:
        system.spawn(named(Account))
        sql(system, "insert into af_actor (name, state) values (?, ?)", "shop", b"{bad")
        ref = system.spawn(named(Shop, "shop", host=af.Process(), restart="permanent"))
        with pytest.raises(af.PayloadError, match="handles nothing"):
            ref.call(Shop.total).get(timeout=30)
