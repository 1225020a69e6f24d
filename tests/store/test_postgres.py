"""Promises of the store on a server: it comes back, says what is lost, and processes do not stop each other."""

import contextlib
import itertools
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg
import pytest

import actorflow as af
from actorflow.app import stored
from actorflow.errors import DefinitionError, OutcomeUnknown, StoreError, StoreUnreachable
from actorflow.store.group_commit import TRIES
from actorflow.store.postgres import driver, presence, schema, session
from actorflow.store.postgres.connection import CHANGING, STATEMENTS
from actorflow.store.postgres.driver import shown
from actorflow.store.statements import PARAMETER, statements, with_percent
from actorflow.store.store import open_store
from actorflow.testing import LeakCheck
from tests.core.actors import until
from tests.durable.actors import Account
from tests.servers import Postgres, postgres
from tests.store.processes import ROOT, answer, line, program
from tests.store.rows import add, adding, ids

TERMINATE = (
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and application_name = 'actorflow'"
)


@pytest.fixture
def base(postgres_server: Postgres) -> Iterator[str]:
    with LeakCheck(), postgres_server.database() as url:
        yield url


@pytest.fixture(scope="module")
def own_server(testrun_uid: str, worker_id: str) -> Iterator[Postgres]:
    """A server that a test may stop."""
    with postgres(f"{testrun_uid[:12]}-{worker_id}", worker_id) as server:
        yield server


@contextlib.contextmanager
def opened(url, **options):
    store = open_store(url, **options)
    try:
        yield store
    finally:
        store.close()


# --- opening ---------------------------------------------------------------------------------------------------------


def test_without_psycopg_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "import actorflow as af\n"
        "from actorflow.store.store import open_store\n"
        "try: open_store('postgresql://nobody@nowhere/x')\n"
        "except af.DefinitionError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "pip install 'actorflow[postgres]'" in said


def test_actorflow_does_not_import_psycopg():
    code = "import sys, actorflow, actorflow.store.store; assert 'psycopg' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_server_that_is_not_there_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match="postgresql://me@"):
        open_store(f"postgresql://me:secret@/x?host={tmp_path}")


def test_a_database_that_is_not_there_is_a_store_error_with_the_cure(base):
    with pytest.raises(StoreError, match="createdb"):
        open_store(re.sub(r"test_\w+", "nowhere", base))


def test_a_url_that_psycopg_does_not_know_is_a_definition_error():
    with pytest.raises(DefinitionError, match="postgresql://user@host/database"):
        open_store("postgresql://localhost/x?colour=red")


def test_the_password_is_in_no_text(base):
    assert shown("postgresql://me:secret@host:5432/shop?x=1") == "postgresql://me@host:5432/shop?x=1"
    assert shown("postgresql://me@host/shop") == "postgresql://me@host/shop"
    assert shown("postgresql://host/shop") == "postgresql://host/shop"
    assert (
        shown("postgresql://host/shop?user=me&password=secret&x=1") == "postgresql://host/shop?user=me&password=...&x=1"
    )
    with opened(base.replace("postgres:@", "postgres:secret@")) as store:
        assert "secret" not in store.url


@pytest.mark.parametrize("wrong", ["postgresql://me:secret@[::1/shop", "postgresql+driver://me:secret@host/shop"])
def test_a_url_that_makes_no_sense_is_refused_without_its_password(wrong):
    with pytest.raises(af.DefinitionError) as refusal:
        open_store(wrong)
    assert "secret" not in str(refusal.value)
    assert "me@" in str(refusal.value)


def test_tables_newer_than_the_code_are_refused_with_both_versions(base):
    with opened(base):
        pass
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute("update actorflow.meta set value = 9999 where key = 'version'")
    with pytest.raises(StoreError, match=rf"version 9999, .* knows {schema.VERSION}: update actorflow"):
        open_store(base)


@pytest.mark.slow
def test_processes_that_open_a_new_database_at_once_make_one_schema(postgres_server):
    with contextlib.ExitStack() as stack:
        databases = [stack.enter_context(postgres_server.database()) for _ in range(5)]
        name = re.search(r"test_\w+_(\d+)", databases[0])
        assert name is not None
        pattern = databases[0].replace(name[0], name[0].removesuffix(name[1]) + "{}")
        first_number = int(name[1])
        racers = [stack.enter_context(program("race", pattern, len(databases), first_number)) for _ in range(3)]
        for database in databases:
            assert [line(one) for one in racers] == ["ready"] * 3
            for one in racers:
                answer(one)
            assert [line(one) for one in racers] == ["fine"] * 3
            with opened(database) as store:
                assert len(ids(store)) == 3


def test_a_link_that_is_ended_twice_closes_and_rings_no_file_of_others(base):
    with opened(base) as store:
        link = presence.Presence(base, "a", store._watchers, threading.Event())
        link.close()
        pipes = [os.pipe() for _ in range(8)]  # they have the numbers that have become free
        try:
            link.announce()
            link.close()
            assert not select.select([heard for heard, _ in pipes], [], [], 0)[0]
        finally:
            for descriptor in itertools.chain(*pipes):
                os.close(descriptor)


# --- the dialects ----------------------------------------------------------------------------------------------------


def test_both_dialects_have_the_same_statements_with_the_same_parameters():
    ours, theirs = (
        {name: set(PARAMETER.findall(text)) for name, text in statements(f"actorflow.store.{dialect}").items()}
        for dialect in ("sqlite", "postgres")
    )
    theirs = {name: found for name, found in theirs.items() if not name.startswith("session.")}
    assert sorted(theirs) == sorted(ours)
    # A file commits in the order of its numbers: readers of the log go on from one; on a server, from one a partition.
    different = {name for name in ours if theirs[name] != ours[name]}
    assert different == {"events.fetch"}


def test_every_statement_is_understood_by_the_server(base):
    """The server reads each one, with its tables, columns and types, and runs none."""
    with opened(base), psycopg.connect(base, autocommit=True) as connection:
        for name, text in statements("actorflow.store.postgres").items():
            if name == "session.listen":
                continue
            order = list(dict.fromkeys(PARAMETER.findall(text)))
            numbered = PARAMETER.sub(lambda found: f"${order.index(found[1]) + 1}", text)  # noqa: B023
            try:
                connection.execute(f"prepare one as {numbered}".encode())
            except psycopg.Error as error:
                pytest.fail(f"{name}: {error}")
            connection.execute("deallocate one")


def test_casts_and_percents_are_no_parameters():
    assert with_percent("select :a::text, '5%', :b") == "select %(a)s::text, '5%%', %(b)s"


def test_statements_that_change_something_are_told_from_those_that_do_not():
    assert {"nodes.add", "nodes.remove", "session.rejoin"} <= CHANGING
    assert not {"nodes.others", "session.dead", "session.time"} & CHANGING


# --- a lost server ---------------------------------------------------------------------------------------------------


def terminate(server, url):
    """End all sessions of a database, as a restart of the server does."""
    name = re.search(r"test_\w+", url)
    assert name is not None
    return len(server.execute(TERMINATE.format(name[0])))


def test_a_write_after_lost_sessions_succeeds_and_the_log_says_so(base, postgres_server, caplog):
    with opened(base) as store:
        store.write(adding("a"))
        assert terminate(postgres_server, base) == 3
        store.write(adding("b"))
        assert ids(store) == {"a", "b"}
        assert "is lost; waiting for it" in caplog.text
        assert "is back" in caplog.text


def test_a_session_lost_within_the_work_undoes_it_and_says_so(base, postgres_server):
    def work(transaction):
        add(transaction, "a")
        terminate(postgres_server, base)
        add(transaction, "b")

    with opened(base) as store:
        with pytest.raises(StoreError):
            store.write(work)
        assert ids(store) == set()
        store.write(adding("c"))
        assert ids(store) == {"c"}


def test_a_session_lost_before_the_commit_is_asked_for_when_it_is_back(base, postgres_server):
    def work(transaction):
        add(transaction, "a")
        terminate(postgres_server, base)

    with opened(base) as store:
        with pytest.raises(StoreError, match="the commit was not made") as caught:
            store.write(work)
        assert not isinstance(caught.value, OutcomeUnknown)
        store.write(adding("b"))
        assert ids(store) == {"b"}


def test_a_session_lost_within_a_read_is_read_again_by_another_but_not_for_ever(base, postgres_server):
    rounds = []

    def read(transaction, losses):
        if len(rounds) < losses:
            rounds.append(transaction)
            terminate(postgres_server, base)
        return {row[0] for row in transaction.all("nodes.others", {"id": ""})}

    with opened(base) as store:
        store.write(adding("a"))
        assert store.read(partial(read, losses=1)) == {"a"}
        with pytest.raises(StoreError, match="terminat"):
            store.read(partial(read, losses=9))
        assert len(rounds) == 3
        assert ids(store) == {"a"}


def test_a_session_that_the_server_has_ended_is_over_before_the_connection_says_so(base, monkeypatch):
    """psycopg raises the server's last words at once, and may read the end of the connection later."""
    with opened(base) as store:
        store.write(adding("a"))
        connection, said = store._reader.connection, []

        def execute(*_):
            said.append(1)
            raise psycopg.errors.AdminShutdown("terminating connection due to administrator command")

        def read(transaction):
            if not said:
                monkeypatch.setattr(connection, "execute", execute)
            return {row[0] for row in transaction.all("nodes.others", {"id": ""})}

        assert store.read(read) == {"a"}
        assert said == [1]
        assert connection.closed


def losing_answers(store, monkeypatch):
    """Have the session end after the server has committed, and before its answer comes."""
    session, real = store._writer.session, store._writer.session.execute

    def execute(sql, parameters=None):
        cursor = real(sql, parameters)
        if sql == "commit":
            session.connection.close()
            raise StoreError("lost") from psycopg.OperationalError("lost")
        return cursor

    monkeypatch.setattr(session, "execute", execute)


def test_a_commit_that_was_made_before_the_session_was_lost_is_acknowledged(base, monkeypatch):
    with opened(base) as store:
        with monkeypatch.context() as patch:
            losing_answers(store, patch)
            store.write(adding("a"))
        assert ids(store) == {"a"}


def test_a_commit_that_the_server_cannot_be_asked_for_is_an_unknown_outcome(base, monkeypatch):
    with opened(base, patience=0.2) as store:
        with monkeypatch.context() as patch:
            losing_answers(store, patch)
            patch.setattr(session, "connect", refuse)
            with pytest.raises(OutcomeUnknown, match="check whether its work is there"):
                store.write(adding("a"))
        assert ids(store) == {"a"}


def refuse(_url):
    raise StoreError("Connection refused")


@pytest.mark.parametrize(
    "histories",
    [
        [("00000001", "9:00", "9:00"), ("00000002", "9:00", "9:00")],  # a standby has taken over
        [("00000001", "9:00", "9:00"), ("00000001", "9:05", "9:05")],  # the server has started anew
        [("00000001", "9:00", "9:00"), ("00000001", "9:00", "9:05")],  # after the crash of a session
        [("00000001", "9:00", None), ("00000001", "9:00", None)],  # nobody may see that
    ],
)
def test_a_commit_is_not_asked_for_where_its_number_may_be_anothers(base, monkeypatch, histories):
    with opened(base, patience=0.2) as store:
        with monkeypatch.context() as patch:
            losing_answers(store, patch)
            patch.setattr(store._writer, "_ask_timeline", iter(histories).__next__)
            with pytest.raises(OutcomeUnknown):
                store.write(adding("a"))


@pytest.mark.slow
def test_while_a_server_is_known_to_be_lost_new_work_fails_soon_and_the_end_is_soon(own_server):
    with LeakCheck(), own_server.database() as url, opened(url, patience=0.2) as store:
        store.write(adding("a"))
        assert store.node.id
        own_server.stop()
        try:
            until(lambda: store._link.lost)
            for verb in (lambda: store.write(adding("b")), lambda: ids(store), store.hold):
                began = time.monotonic()
                with pytest.raises(StoreUnreachable, match="nothing of this was done"):
                    verb()
                assert time.monotonic() - began < 15
            began = time.monotonic()
            store.close()
            assert time.monotonic() - began < 15
        finally:
            own_server.start()


def test_work_that_came_before_a_server_was_lost_waits_for_it(own_server):
    with LeakCheck(), own_server.database() as url, opened(url, patience=120.0) as store:
        store.write(adding("a"))
        own_server.stop()
        with ThreadPoolExecutor(2) as threads:
            try:
                until(lambda: store._link.lost)
                writes = [threads.submit(store.write, adding(id)) for id in "bc"]
            finally:
                own_server.start()
            assert [one.result(60) for one in writes] == ["b", "c"]
        assert ids(store) == {"a", "b", "c"}


def test_the_encoding_of_a_session_is_utf_8_whatever_the_environment_says(base, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with opened(base) as store:
        store.write(adding("\u20ac"))
        assert ids(store) == {"\u20ac"}


def test_durability_holds_after_a_lost_session(base, postgres_server):
    def level(store):
        seen = []
        store.write(lambda _: seen.append(store._writer.session.execute("show synchronous_commit").fetchone()[0]))
        return seen[0]

    with opened(base, durability="process") as store:
        assert level(store) == "off"
        terminate(postgres_server, base)
        assert level(store) == "off"
    with opened(base) as store:
        assert level(store) == "on"


def test_a_node_takes_its_lock_and_its_row_again_after_a_lost_session(base, postgres_server):
    with opened(base) as store, opened(base) as other:
        id = store.node.id
        assert other.node.dead() == []
        other.write(lambda transaction: transaction.run("nodes.remove", {"id": id}))  # somebody has buried it
        terminate(postgres_server, base)
        until(lambda: id in ids(other))
        assert other.node.dead() == []


def test_a_watcher_hears_again_after_a_lost_session(base, postgres_server, monkeypatch):
    monkeypatch.setattr(presence, "LOOK_SECONDS", 30.0)  # so that nothing but news is heard
    heard = threading.Event()
    with opened(base) as store, opened(base) as other:
        store.watch(heard.set)
        terminate(postgres_server, base)
        assert heard.wait(20)  # it may have missed something
        heard.clear()
        other.write(adding("a"))
        assert heard.wait(20)


def test_a_server_that_is_restarted_loses_nothing_acknowledged(own_server):
    with LeakCheck(), own_server.database() as url, opened(url) as store:
        node = store.node.id
        acknowledged, failed = set(), set()
        ended = threading.Event()

        def write(place):
            number = 0
            while not ended.is_set():
                number += 1
                name = f"{place}-{number}"
                try:
                    store.write(adding(name))
                    acknowledged.add(name)
                except StoreError:
                    failed.add(name)

        threads = [threading.Thread(target=write, args=(place,)) for place in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) > 20)
        own_server.stop()
        own_server.start()
        before = len(acknowledged)
        until(lambda: len(acknowledged) > before + 20)
        ended.set()
        for thread in threads:
            thread.join(30)
        found = ids(store)
        assert acknowledged <= found
        assert found - acknowledged <= failed | {node}
        assert store.node.dead() == []


@pytest.mark.slow
def test_nodes_have_time_to_come_back_when_the_server_has_ended_all_sessions(own_server):
    with LeakCheck(), own_server.database() as url, opened(url) as store:
        assert store.node.id
        store.write(adding("lost"))  # a node without a lock
        until(lambda: store.node.dead() == ["lost"])  # it had its time after the start of the server
        for _ in range(5):
            own_server.kill_a_session()
            dead = store.node.dead()
            if own_server.age() < 5:
                break  # else a busy machine took longer than they have
        else:
            pytest.fail("no look was in time")
        assert dead == []
        until(lambda: store.node.dead() == ["lost"])


# --- a server that does not answer -----------------------------------------------------------------------------------


@contextlib.contextmanager
def frozen(server):
    """Have the server not answer, and that be noticed soon; before and after, a busy one may take its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presence, "LOOK_SECONDS", 0.1)
        patch.setattr(presence, "SILENT_SECONDS", 0.5)
        with server.frozen():
            yield


@pytest.mark.slow
def test_while_a_server_does_not_answer_calls_and_the_end_have_a_bound(own_server):
    with LeakCheck(), own_server.database() as url, opened(url, patience=0.2) as store:
        store.write(adding("a"))
        assert store.node.id
        with frozen(own_server):
            until(lambda: store._link.lost)
            for verb in (lambda: store.write(adding("b")), lambda: ids(store), store.hold):
                with pytest.raises(StoreUnreachable, match="does not answer.*nothing of this was done"):
                    verb()
            began = time.monotonic()
            store.close()
            assert time.monotonic() - began < 20


@pytest.mark.slow
def test_the_end_has_a_bound_though_nobody_has_noticed_yet_that_the_server_does_not_answer(own_server, monkeypatch):
    monkeypatch.setattr(presence, "SILENT_SECONDS", 600.0)
    with LeakCheck(), own_server.database() as url, af.ActorSystem("shop", store=url) as system:
        store = system.store
        assert store.node.id
        with own_server.frozen():
            began = time.monotonic()
            system.stop(grace=0.1)
            assert time.monotonic() - began < 20
            assert store._ended.is_set()


@pytest.mark.slow
def test_all_goes_on_when_a_server_answers_again_and_its_nodes_have_kept_their_locks(own_server, caplog):
    with LeakCheck(), own_server.database() as url, opened(url) as store, opened(url) as other:
        nodes = {store.node.id, other.node.id}
        with ThreadPoolExecutor(3) as threads:
            with frozen(own_server):
                early = [threads.submit(store.write, adding("a")), threads.submit(ids, other)]
                until(lambda: store._link.lost and other._link.lost)
            assert early[0].result(60) == "a"
            assert early[1].result(60) >= nodes
        store.write(adding("b"))
        assert ids(other) == {"a", "b"} | nodes
        assert not nodes & {*store.node.dead(), *other.node.dead()}
    assert "does not answer; waiting for it" in caplog.text
    assert "is back" in caplog.text


@pytest.mark.slow
def test_work_whose_statement_is_not_answered_is_undone_and_says_so(own_server):
    with LeakCheck(), own_server.database() as url, opened(url) as store, contextlib.ExitStack() as silence:

        def work(transaction, run):
            add(transaction, "a")
            silence.enter_context(frozen(own_server))
            run(transaction)

        beats = {"id": "a", "beat": 2.0}
        for run in (
            lambda transaction: transaction.run("nodes.beat", beats),
            lambda transaction: transaction.many("nodes.beat", [beats] * 3),
        ):
            with pytest.raises(StoreError, match="does not answer") as caught:
                store.write(partial(work, run=run))
            assert not isinstance(caught.value, (OutcomeUnknown, StoreUnreachable))
            silence.close()
            assert ids(store) == set()


@pytest.mark.slow
@pytest.mark.parametrize("patience", [0.1, 60.0])
def test_a_commit_that_is_not_answered_is_asked_for_or_unknown(own_server, patience):
    with LeakCheck(), own_server.database() as url, opened(url, patience=patience) as store:
        with ThreadPoolExecutor(1) as threads, contextlib.ExitStack() as silence:

            def work(transaction):
                add(transaction, "a")
                silence.enter_context(frozen(own_server))

            writing = threads.submit(store.write, work)
            until(lambda: store._link.lost)
            if patience < 1:
                with pytest.raises(OutcomeUnknown, match="does not answer.*check whether its work is there"):
                    writing.result(60)
            silence.close()
            if patience > 1:
                assert writing.result(60) is None
        until(lambda: store._link.lost is None)  # one that waits for a tenth of a second may find it lost
        store.write(adding("b"))
        until(lambda: ids(store) == {"a", "b"})


def test_a_statement_that_takes_long_is_waited_for_while_the_server_answers_others(base, monkeypatch):
    monkeypatch.setattr(presence, "LOOK_SECONDS", 0.05)
    with opened(base) as store, psycopg.connect(base) as other, ThreadPoolExecutor(1) as threads:
        store.write(adding("a"))
        other.execute("select * from actorflow.node for update")
        asked, ask = [], store._link._ask
        store._link._ask = lambda *question: asked.append(question) or ask(*question)
        writing = threads.submit(store.write, partial(transaction_beat, id="a"))
        until(lambda: len(asked) > 3)
        assert store._link.lost is None
        other.rollback()
        assert writing.result(30) is None


# --- a server that is not there yet ----------------------------------------------------------------------------------


def test_a_system_waits_for_a_server_that_starts_after_it_and_says_so_once(own_server, caplog, monkeypatch):
    monkeypatch.setattr(stored, "SERVER_SECONDS", 120.0)
    with LeakCheck(), own_server.database() as url:
        own_server.stop()
        try:
            with ThreadPoolExecutor(1) as threads, af.ActorSystem("early", store=url) as system:
                found = threads.submit(lambda: system.store)
                until(lambda: "waiting for it" in caplog.text)
                own_server.start()
                found.result(30).write(adding("a"))
                assert ids(system.store) == {"a"}
        finally:
            if not own_server.is_up():
                own_server.start()
    assert caplog.text.count("waiting for it") == 1
    assert caplog.text.count("is there") == 1


def test_the_end_of_a_system_ends_its_wait_for_a_server(own_server, caplog):
    with LeakCheck(), own_server.database() as url:
        own_server.stop()
        try:
            with ThreadPoolExecutor(1) as threads:
                system = af.ActorSystem("early", store=url)
                found = threads.submit(lambda: system.store)
                until(lambda: "waiting for it" in caplog.text)
                system.stop()
                with pytest.raises(StoreError, match="is the server running there"):
                    found.result(20)
        finally:
            own_server.start()


NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def test_other_systems_open_their_stores_while_one_waits_for_its_server(caplog):
    account = af.child(Account).options(name="ann")
    with LeakCheck(), ThreadPoolExecutor(2) as threads:
        early = af.ActorSystem("early", store=NOWHERE)
        waits = [threads.submit(early.queue, "jobs"), threads.submit(early.spawn, account)]
        until(lambda: "waiting for it" in caplog.text)
        with af.ActorSystem("other") as other:
            other.queue("jobs", workers=1)
            assert other.spawn(account).call(Account.add, 2).get(timeout=20) == 2
            assert not any(wait.done() for wait in waits)
        early.stop()
        for wait in waits:
            with pytest.raises(StoreError, match="is the server running there"):
                wait.result(20)


def test_those_that_wait_for_the_same_server_do_not_wait_one_after_the_other(monkeypatch):
    gate, asked, patience = threading.Event(), [], []

    def opens(_url, *, waits, **_):
        gate.wait(20)
        asked.append(waits())
        raise StoreError("no server")

    class System(af.ActorSystem):
        def _patience(self):
            patience.append(super()._patience())
            return patience[-1]

    monkeypatch.setattr(stored, "open_store", opens)
    monkeypatch.setattr(stored, "SERVER_SECONDS", 0.05)
    with System("early", store=NOWHERE) as system, ThreadPoolExecutor(3) as threads:
        waits = [threads.submit(lambda: system.store) for _ in range(3)]
        until(lambda: len(patience) == 3 and not any(waits() for waits in patience))
        gate.set()
        for wait in waits:
            with pytest.raises(StoreError, match="no server"):
                wait.result(20)
    assert asked == [False] * 3


def test_a_system_does_not_wait_for_a_server_that_refuses_it(base, caplog):
    with af.ActorSystem("early", store=re.sub(r"test_\w+", "nowhere", base)) as system:
        with pytest.raises(StoreError, match="createdb"):
            system.store
    assert "waiting" not in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        'connection to server at "db" (172.18.0.2), port 5432 failed: Connection refused',
        "FATAL:  the database system is starting up",
        "FATAL:  the database system is not yet accepting connections",
        "connection timeout expired",
    ],
)
def test_what_a_server_says_that_is_starting(text):
    assert driver.is_yet_to_come(StoreError(text))


@pytest.mark.parametrize(
    "text",
    [
        'FATAL:  password authentication failed for user "me"',
        'FATAL:  database "shop" does not exist',
        "FATAL:  sorry, too many clients already",
        'could not translate host name "dbb" to address: Name or service not known',
    ],
)
def test_what_a_server_says_that_will_not_have_us(text):
    assert not driver.is_yet_to_come(StoreError(text))


# --- several processes -----------------------------------------------------------------------------------------------


def crossing(first, second, met):
    """Write two rows; the barrier has two transactions hold one each and want the other's."""

    def work(transaction):
        for number, id in enumerate((first, second)):
            transaction.run("nodes.beat", {"id": id, "beat": 1.0})
            if number == 0 and not tries:
                tries.append(1)
                with contextlib.suppress(threading.BrokenBarrierError):
                    met.wait(20)
        runs.append(first)

    runs, tries = [], []
    return work, runs


@pytest.mark.slow
def test_a_deadlock_of_two_processes_is_broken_and_both_succeed(base):
    met = threading.Barrier(2)
    with opened(base) as one, opened(base) as two:
        one.write(adding("a"))
        one.write(adding("b"))
        first, second = crossing("a", "b", met), crossing("b", "a", met)
        threads = [
            threading.Thread(target=one.write, args=(first[0],)),
            threading.Thread(target=two.write, args=(second[0],)),
        ]
        for thread in threads:
            thread.start()
        threads[0].join(1.5)
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert first[1]
        assert second[1]


def test_work_that_others_are_always_in_the_way_of_fails_in_the_end(base):
    tries = []

    def work(transaction):
        tries.append(1)
        add(transaction, "a")

    with opened(base) as store:
        store.write(adding("a"))
        with pytest.raises(StoreError, match="duplicate key"):
            store.write(work)
        assert len(tries) <= TRIES + 1


def test_commits_that_change_nothing_are_not_told(base, monkeypatch):
    """Or two processes that find nothing to do would wake each other for ever."""
    with opened(base) as store:
        told = []
        monkeypatch.setattr(store._link, "announce", lambda: told.append(1))
        store.write(lambda transaction: transaction.run("nodes.remove", {"id": "nobody"}))
        store.write(lambda transaction: transaction.all("nodes.others", {"id": ""}))
        store.write(lambda transaction: transaction.many("nodes.remove", []))
        assert told == []
        store.write(adding("a"))
        store.write(lambda transaction: transaction.all("nodes.others", {"id": ""}))
        assert told == [1]


def test_many_commits_are_told_of_together(base, monkeypatch):
    with opened(base) as store:
        told = []
        tell = store._link._tell
        store._link._tell = lambda: (told.append(1), tell())
        monkeypatch.setattr(presence, "TELL_SECONDS", 0.2)
        began = time.monotonic()
        for number in range(300):
            store.write(adding(str(number)), durability="process")
        until(lambda: store._link._pressed == 0)
        assert 1 <= len(told) <= 3 + (time.monotonic() - began) / 0.2


def test_two_processes_that_take_turns_are_told_at_once(base, monkeypatch):
    monkeypatch.setattr(presence, "LOOK_SECONDS", 60.0)  # who waits for that waits for ever
    with opened(base) as one, opened(base) as other:
        monkeypatch.setattr(presence, "TELL_SECONDS", 60.0)
        for number in range(8):
            for writer, reader in ((one, other), (other, one)):
                heard = threading.Event()
                end = reader.watch(heard.set)
                writer.write(adding(f"{writer.node.id}-{number}"))
                assert heard.wait(20)
                end()


def test_news_that_comes_with_the_answer_to_a_tell_is_heard_at_once(base, monkeypatch):
    """The answer's reader has taken it from the socket, so a wait for the socket would be in vain."""
    monkeypatch.setattr(presence, "LOOK_SECONDS", 60.0)
    with opened(base) as one, psycopg.connect(base, autocommit=True) as other:
        real, told = one._link._session.execute, []

        def execute(sql, parameters=None):
            cursor = real(sql, parameters)
            if sql == STATEMENTS["session.tell"] and not told:
                told.append(other.execute("select pg_notify('actorflow', 'other')"))
                real("select pg_sleep(0.01)")  # whose answer comes behind the notice
            return cursor

        monkeypatch.setattr(one._link._session, "execute", execute)
        heard = threading.Event()
        one.watch(heard.set)
        one.write(adding("a"))
        assert heard.wait(20)
        assert told


def test_the_servers_clock_is_the_stores(base, postgres_server):
    with opened(base) as store:
        row = postgres_server.execute("select extract(epoch from clock_timestamp())::double precision")
        assert abs(store.now() - row[0][0]) < 20  # a busy machine takes its time between the two


def test_a_statement_that_waits_for_others_for_long_is_a_store_error_with_the_cure(base):
    with opened(base) as store, psycopg.connect(base) as other:
        store.write(adding("a"))
        other.execute("select * from actorflow.node for update")
        store._writer.session.execute("set lock_timeout = '50ms'")
        with pytest.raises(StoreError, match="another process has held rows that this work needs"):
            store.write(partial(transaction_beat, id="a"))
        other.rollback()
        store.write(partial(transaction_beat, id="a"))


def transaction_beat(transaction, id):
    transaction.run("nodes.beat", {"id": id, "beat": 2.0})


def test_sql_of_the_dialect_is_in_files_only():
    """Each table is named with its schema, so a search path changes nothing."""
    for text in statements("actorflow.store.postgres").values():
        for table in re.findall(r"\b(?:from|into|update|join) (\w+)(?!\w|\.|\()", text):
            assert table not in {"job", "node", "queue", "key", "need", "schedule", "meta"}, text
    assert Path(schema.__file__).with_name("migrations").is_dir()


def test_a_transaction_that_stands_still_is_ended_by_the_server(base, monkeypatch):
    """As that of a process that was stopped in it: the others would wait for its locks."""
    option = "idle_in_transaction_session_timeout"
    assert f"set {option} = '10s'" in session.OPTIONS  # for this test 100 ms, of this session: others are slow, too
    ended = "select count(*) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'"

    def stand_still(transaction):
        store._writer.session.execute(f"set local {option} = '100ms'")
        add(transaction, "half")
        with psycopg.connect(base, autocommit=True) as other:
            until(lambda: other.execute(ended).fetchone() == (0,))
        add(transaction, "done")

    with opened(base) as store:
        with pytest.raises(StoreError, match="was it stopped"):
            store.write(stand_still)
        store.write(adding("later"))
        assert ids(store) == {"later"}
