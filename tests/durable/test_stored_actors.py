"""Promises: what the store has of durable actors can be seen and deleted; a name is enough to send to one."""

import pytest

import actorflow as af
from tests.durable.actors import Account, Collector
from tests.durable.test_messages import rows, wait_for
from tests.durable.test_state import named

SHORT = 0.3  # seconds that an ask is waited for of which nobody has the actor


class Timed(Account):
    def later(self) -> None:
        self.ctx.after(3600.0, self.add, 1)


@pytest.mark.parametrize("way", ["outside", "handler", "async handler"])
def test_an_ask_that_no_process_can_answer_says_so_when_its_time_is_up(url, way):
    class Asks(af.Actor):
        def wait(self, ref):
            return ref.call(Account.seen).get(timeout=SHORT)

        async def wait_async(self, ref):
            return await ref.call(Account.seen)

    with af.ActorSystem("test", store=url, settings=af.Settings(ask_timeout=SHORT)) as system:
        ann = system.durable("ann", Account)
        cure = (
            r"no answer from .*/ann within 0\.3 seconds; no process had this durable actor.* system\.spawn\(af\.child"
        )
        with pytest.raises(af.AskTimeout, match=cure):
            if way == "outside":
                ann.call(Account.seen).get(timeout=SHORT)
            else:
                method = Asks.wait if way == "handler" else Asks.wait_async
                system.spawn(Asks).call(method, ann).get(timeout=30)


def test_an_ask_of_an_actor_that_a_process_has_does_not_say_that_none_has_it(start):
    with start() as one, start() as other:
        one.spawn(named(Answers, "ann"))
        ann = other.durable("ann", Answers)
        with pytest.raises(af.AskTimeout, match="it may still come"):
            ann.call(Answers.never).get(timeout=0.3)


class Answers(Account):
    def never(self):
        self.ctx.reply_later()


def test_a_ref_by_name_reaches_an_actor_of_another_process_and_is_answered(start):
    with start() as one, start() as two:
        one.spawn(af.child(af.Supervisor, named(Account, "ann")).options(name="sales"))
        ref = two.durable("sales/ann", Account)
        assert ref.call(Account.add, 2).get(timeout=30) == 2
        ref.tell("x")
        assert ref.call(Account.seen).get(timeout=30) == ["x"]
        with pytest.raises(ValueError, match="no"):
            ref.call(Account.fail).get(timeout=30)
        assert two.deliver(ref, "y", id="1")
        assert ref.path == "/test/sales/ann"
        with pytest.raises(af.DefinitionError, match="only that one can stop it"):
            ref.stop()


def test_what_is_sent_by_name_waits_until_a_process_spawns_the_actor(start):
    with start() as system:
        ref = system.durable("ann", Account)
        ref.cast(Account.add, 3)
        asked = ref.call(Account.add, 4)
        ann = system.spawn(named(Account, "ann"))
        assert asked.get(timeout=30) == 7
        assert system.durable("ann", Account) is ann
        assert ref == ann


def test_a_ref_by_name_in_a_message_works(start):
    with start() as system:
        to = system.durable("to", Account)
        ref = system.spawn(named(Account, "from", to))
        ref.tell("on")
        there = system.spawn(named(Account, "to"))
        wait_for(lambda: there.call(Account.seen).get(timeout=30) == ["on"])


@pytest.mark.parametrize(
    ("name", "cls"), [("", Account), ("/ann", Account), ("a//b", Account), ("a\0", Account), (7, Account), ("a", int)]
)
def test_a_name_that_makes_no_sense_is_refused(name, cls):
    with af.ActorSystem("test") as system, pytest.raises(af.DefinitionError, match=r"durable\("):
        system.durable(name, cls)


def test_names_are_listed_with_their_owner_state_mail_and_timers(start):
    with start() as system:
        ann = system.spawn(named(Timed, "ann"))
        ann.call(Timed.later).get(timeout=30)
        for n in range(3):
            system.durable("nobody", Account).tell(n)
        stored = system.stored_actors
        found = {actor.name: actor for actor in stored.list()}
        assert list(found) == ["ann", "nobody"]
        assert found["ann"].node == system.store.node.id
        assert (found["ann"].messages, found["ann"].timers, found["ann"].state > 10) == (0, 1, True)
        assert found["nobody"] == type(found["ann"])("nobody", None, None, 3, 0)
        assert [actor.name for actor in stored.list(alone=True)] == ["nobody"]
        assert [actor.name for actor in stored.list(after="ann", limit=1)] == ["nobody"]
        assert [message.message for message in stored.mail("nobody")] == ["2", "1", "0"]
        older = stored.mail(before=stored.mail()[0].id, limit=1)
        assert [(one.actor, one.message, one.sender, one.promised) for one in older] == [("nobody", "1", None, False)]


def test_an_actor_whose_process_has_died_is_alone_before_anybody_has_taken_it_over(start, url, monkeypatch):
    with start() as system:
        system.spawn(named(Account, "ann"))
        monkeypatch.setattr(system.store, "dead", lambda: [system.store.node.id])
        assert [(actor.name, actor.node) for actor in system.stored_actors.list(alone=True)] == [("ann", None)]
        monkeypatch.undo()
        assert system.stored_actors.list(alone=True) == []


@pytest.mark.parametrize("id", ["abc", "", "-1", "1.5", "9" * 30, "\u0661"])
def test_what_is_no_id_of_a_message_is_refused(start, id):
    with start() as system:
        for act in (system.stored_actors.drop_mail, system.dead_mail.retry, system.dead_mail.purge):
            with pytest.raises(af.DefinitionError, match="is no id of a message"):
                act(id)
        for look in (system.stored_actors.mail, system.dead_mail.messages):
            with pytest.raises(af.DefinitionError, match="is no id of a message"):
                look(before=id)


def test_mail_is_dropped_one_by_one_or_all_of_an_actor_and_who_asks_hears_so(start):
    with start() as system:
        ref, stored = system.durable("nobody", Account), system.stored_actors
        for n in range(1200):
            ref.tell(n)
        asked = ref.call(Account.total)
        newest = stored.mail(limit=2)
        assert newest[0].message == "total()"
        assert stored.drop_mail(newest[0].id, newest[1].id, "999999") == 2
        with pytest.raises(af.ActorDeadError, match="removed before it was handled"):
            asked.get(timeout=30)
        assert stored.drop_mail_of("nobody") == 1199
        assert stored.drop_mail_of(ref) == 0
        assert stored.list() == []


def test_who_asks_on_another_node_hears_of_mail_that_is_dropped_here(start):
    with start() as one, start() as two:
        asked = two.durable("nobody", Account).call(Account.total)
        assert one.stored_actors.drop_mail_of("nobody") == 1
        with pytest.raises(af.ActorDeadError, match="removed"):
            asked.get(timeout=30)


def test_a_deleted_actor_begins_anew_and_nothing_is_left_of_it(start):
    with start() as system:
        ann = system.spawn(named(Timed, "ann"))
        ann.call(Timed.later).get(timeout=30)
        assert system.deliver(ann, "x", id="1")
        stored = system.stored_actors
        with pytest.raises(af.DefinitionError, match="stop it there"):
            stored.delete("ann")
        ann.call(Timed.add, 5).get(timeout=30)
        ann.stop()
        wait_for(lambda: stored.list()[0].node is None)
        ann = system.durable("ann", Timed)
        ann.tell("never handled")
        assert stored.delete(ann)
        assert not stored.delete("ann")
        assert [rows(system, table) for table in ("af_actor", "af_actor_timer", "af_mail", "af_mark")] == [0] * 4
        assert system.spawn(named(Timed, "ann")).call(Timed.total).get(timeout=30) == 0


def test_an_ordinary_actor_has_nothing_stored():
    with af.ActorSystem("test") as system:
        ref = system.spawn(Collector)
        with pytest.raises(af.DefinitionError, match="is not durable"):
            system.stored_actors.mail(ref)
