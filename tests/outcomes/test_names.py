"""Promises: a name, a key or an id that not all databases can hold is refused alike on each store, as it is given."""

import dataclasses

import pytest

import actorflow as af
from tests.servers import Postgres

BAD = {"NUL": "a\0b", "lone surrogate": "a\ud800", "megabyte": "a" * 1_000_000, "empty": "", "1001 bytes": "ä" * 501}
GOOD = {"1000 bytes": "ä" * 450, "odd": "a\u2028b 'c\" %s :d \U0001f600"}


@dataclasses.dataclass
class Seen:
    messages: list = dataclasses.field(default_factory=list)


class Account(af.Actor, durable=True):
    def __init__(self):
        super().__init__()
        self.state = Seen()

    def on_receive(self, message):
        self.state.messages.append(message)

    def seen(self):
        return self.state.messages


@af.task
def note(text: str) -> str:
    return text


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def system(request, tmp_path):
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres_server")
        with server.database() as url, af.ActorSystem("shop", store=url) as running:
            yield running
    else:
        url = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/shop.db"
        with af.ActorSystem("shop", store=url) as running:
            yield running


def uses(system):
    """All places where a user gives a name: each function takes one."""
    queue = system.queue("q")
    account = system.spawn(af.child(Account).options(name="account"))
    return {
        "queue": lambda name: system.queue(name.replace("/", "")),
        "actor": lambda name: system.spawn(af.child(Account).options(name=name)),
        "ref": lambda name: system.durable(name, Account),
        "key": lambda name: queue.enqueue(note.options(key=name), "x"),
        "unique": lambda name: queue.enqueue(note.options(unique=name), "x"),
        "unique, replaced": lambda name: queue.enqueue(note.options(unique=name, on_duplicate="replace"), "x"),
        "tag": lambda name: queue.enqueue(note.options(tags=[name]), "x"),
        "jobs by tag": lambda name: queue.count(tag=name),
        "jobs by task": lambda name: queue.count(task=name),
        "id": lambda name: system.deliver(account, "x", id=name),
        "schedule": lambda name: queue.cron("0 0 1 1 *", note, args=("x",), name=name),
    }


LINES = {"tag"}  # a tag is one line


def test_what_a_database_cannot_hold_is_refused_as_it_is_given(system):
    for place, use in uses(system).items():
        for what, name in BAD.items():
            with pytest.raises(af.DefinitionError) as caught:
                use(name)
            assert len(str(caught.value)) < 2000, (place, what)
        assert not system.error, place


def test_what_all_databases_can_hold_is_taken(system):
    for place, use in uses(system).items():
        for name in GOOD.values():
            use(name.replace("\u2028", "") if place in LINES else name)


def test_payloads_are_any_text_that_is_unicode(system):
    queue = system.queue("q", workers=1)
    account = system.spawn(af.child(Account).options(name="account"))
    for text in ("a\0b", "\U0001f600", "a" * 1_000_000, ""):
        assert queue.enqueue(note, text).result(timeout=30) == text
        (job,) = queue.enqueue_many(note, [(text,)])
        assert job.result(timeout=30) == text
        account.tell(text)
    assert account.call(Account.seen).get(timeout=30) == ["a\0b", "\U0001f600", "a" * 1_000_000, ""]
    for send in (
        lambda text: queue.enqueue(note, text),
        account.tell,
        lambda text: queue.enqueue_many(note, [(text,)]),
    ):
        with pytest.raises(af.PayloadError):
            send("a\ud800")
