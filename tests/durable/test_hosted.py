"""Durable actors in child processes: handlers there, rows and commits here."""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

import actorflow as af
from actorflow.process.hosts.parent.hosts import WARM
from actorflow.process.launch.launcher import Launch, acquire
from actorflow.testing import VirtualSystem
from tests.durable import test_machines, test_messages, test_owners, test_state, test_stored_pipes, test_timers
from tests.durable.actors import Account, Collector
from tests.durable.test_machines import Order, Slow, door
from tests.durable.test_messages import QUICK, rows, wait_for
from tests.durable.test_store_errors import Disk
from tests.durable.test_timers import Clock
from tests.processes import stop_process

pytestmark = pytest.mark.timeout(300)
STORES = ("sqlite",)  # what differs on a server is not the way to the child: the last test here has one


@pytest.fixture(scope="module", autouse=True)
def _warm_zygote():
    """One zygote for all of them: a cold start takes 250 ms."""
    launcher = acquire(Launch())
    launcher.launch("os:_exit", 0, warm=WARM).wait(30)
    yield
    launcher.release()


def hosted(cls, name="a", *args, host=None, **options):
    return af.child(cls, *args).options(name=name, host=host or af.Process(), **options)


def supervised(system, *children):
    """Spawn them where they are restarted as often as it takes; returns their refs."""
    tree = system.spawn(af.child(af.Supervisor, *children, intensity=1000, period=1.0).options(name="tree"))
    return [system.find(f"{tree.path}/{child.traits.options.name}") for child in children]


AS_HERE = [
    test_messages.test_what_was_not_handled_is_handled_by_the_next_process,
    test_messages.test_messages_of_one_sender_keep_their_order_under_load,
    test_messages.test_sends_between_durable_actors_keep_their_order,
    test_messages.test_stop_comes_behind_what_was_queued,
    test_messages.test_sends_of_a_failed_handler_do_not_leave,
    test_messages.test_the_sender_is_known_to_both_kinds,
    test_messages.test_a_failed_ask_is_answered_rolled_back_and_not_tried_again,
    test_messages.test_waiting_for_an_answer_raises_at_once_with_the_cure,
    test_messages.test_sleep_is_allowed,
    test_messages.test_an_answer_comes_as_a_message_by_pipe,
    test_messages.test_a_stashed_message_stays_in_its_place_and_its_asker_waits,
    test_messages.test_a_stashed_message_is_there_after_a_restart_of_the_process,
    test_messages.test_a_promised_answer_is_kept_in_the_state_and_set_by_a_later_handler,
    test_messages.test_an_ask_of_a_failed_handler_is_not_sent,
    test_messages.test_open_asks_are_answered_when_the_actor_stops,
    test_messages.test_terminated_comes_as_a_committed_message,
    test_messages.test_a_message_from_elsewhere_is_taken_once,
    test_messages.test_a_crash_by_hand_is_a_failed_try,
    test_state.test_the_state_is_there_after_the_system_was_started_anew,
    test_state.test_a_struct_is_a_state_too,
    test_state.test_what_on_start_does_is_committed,
    test_state.test_a_failed_on_start_leaves_nothing,
    test_state.test_an_async_on_start_and_async_handlers_commit,
    test_state.test_an_asyncio_handler_commits,
    test_state.test_an_actor_with_a_thread_of_its_own_commits,
    test_state.test_a_state_that_is_no_dataclass_is_refused,
    test_state.test_what_cannot_be_stored_is_refused_at_the_sender_and_names_its_path,
    test_state.test_a_state_that_cannot_be_stored_fails_the_message_and_is_rolled_back,
    test_state.test_refs_travel_in_messages_and_in_the_state,
    test_state.test_the_answer_is_a_copy_also_in_one_process,
    test_state.test_pykkas_proxy_works,
    test_timers.test_a_timer_fires_once_and_its_row_is_gone,
    test_timers.test_a_timer_of_a_failed_handler_is_not_there,
    test_timers.test_timers_outlive_the_process,
    test_timers.test_a_timer_that_on_start_makes_is_not_doubled_by_a_restart,
    test_machines.test_a_machine_goes_on_where_it_was,
    test_machines.test_a_failed_event_leaves_the_machine_as_it_was,
    test_machines.test_a_deferred_event_is_answered_when_it_is_handled,
    test_machines.test_a_refused_cast_is_a_dead_letter_and_not_tried_again,
    test_machines.test_a_piped_result_that_no_try_could_handle_is_a_dead_letter_and_the_machine_goes_on,
    test_stored_pipes.test_an_answer_in_time_ends_the_timer,
    test_stored_pipes.test_an_error_that_no_method_takes_makes_the_answer_a_dead_letter,
    test_stored_pipes.test_a_promised_answer_comes_to_the_method_too,
    test_stored_pipes.test_actors_of_two_nodes_answer_each_other,
    test_stored_pipes.test_a_future_that_is_used_otherwise_stays_in_memory_and_works,
    test_stored_pipes.test_a_future_that_is_piped_twice_says_so,
    test_owners.test_of_two_nodes_that_spawn_one_name_at_once_one_has_it,
    test_owners.test_durable_actors_of_two_nodes_send_to_each_other,
    test_owners.test_a_stopped_actor_is_free_for_others_and_its_rows_stay,
    test_owners.test_a_restarted_incarnation_reads_what_the_one_before_committed,
    test_owners.test_a_restartable_owner_that_lost_its_actor_stands_by,
]


@pytest.mark.parametrize("test", AS_HERE, ids=lambda test: test.__name__[5:])
def test_as_in_one_process(test, start, monkeypatch):
    shared = af.Process(name="shared")
    monkeypatch.setitem(test.__globals__, "named", lambda *args, **options: hosted(*args, host=shared, **options))
    test(start)


# --- where it is -----------------------------------------------------------------------------------------------------


class Here(Clock):
    """Says where it is, and waits for files, so that the test can do things meanwhile."""

    def pid(self):
        return os.getpid()

    def files(self):
        return [os.path.realpath(file) for file in Path("/proc/self/fd").iterdir()]

    def hold(self, folder, k=1):
        """Add, say so, and wait for leave to end."""
        self.state.n += k
        if self.to is not None:
            self.to.tell(k)
        with (folder / "begun").open("a") as file:
            file.write(f"{os.getpid()}\n")
        while not (folder / "leave").exists():
            self.ctx.sleep(0.005)
        return self.state.n

    def current(self):
        return af.current().transaction()

    def spawn_durable(self):
        return self.ctx.spawn(af.child(Account).options(name="below"))

    def exit(self):
        os._exit(3)


def begun(folder):
    """Return the processes that have begun to hold."""
    return [int(line) for line in (folder / "begun").read_text().split()] if (folder / "begun").exists() else []


@pytest.mark.parametrize("store", ["memory:", "sqlite"])
def test_handlers_run_in_another_process_which_has_no_store(tmp_path, store):
    url = store if store == "memory:" else f"sqlite:///{tmp_path / 'x.db'}"
    with af.ActorSystem("test", store=url, durability="process") as system:
        ref = system.spawn(hosted(Here))
        assert ref.call(Here.add, 2).get(timeout=100) == 2
        assert ref.call(Here.pid).get(timeout=100) != os.getpid()
        if sys.platform == "linux":
            assert not [name for name in ref.call(Here.files).get(timeout=100) if "x.db" in name]


def test_what_needs_the_store_is_refused_there_with_the_cure(start):
    with start() as system:
        ref = system.spawn(hosted(Here))
        with pytest.raises(af.DefinitionError, match="plain task of a queue"):
            ref.call(Here.current).get(timeout=100)
        with pytest.raises(af.DefinitionError, match="child process has no store"):
            ref.call(Here.spawn_durable).get(timeout=100)


def test_its_tree_and_its_ref_in_other_processes_are_as_of_any_hosted_actor(start):
    with start() as system:
        ref = system.spawn(hosted(Here))
        other = system.spawn(af.child(test_owners.Lodger).options(host=af.Process()))
        assert "a  Here (idle)" in str(system.tree())
        assert other.call(test_owners.Lodger.ask, ref, 3).get(timeout=100) == 3
        other.call(test_owners.Lodger.tell, ref, "x").get(timeout=100)
        wait_for(lambda: ref.call(Here.seen).get(timeout=100) == ["x"])


def test_a_ref_of_an_actor_that_is_not_spawned_works_in_a_child_process(start):
    class Holder(Here):
        def keep(self, ref):
            self.state.seen.append(ref)

        def send(self, message):
            self.state.seen[0].tell(message)

    with start() as system:
        payee = system.spawn(test_state.named(Account, "payee"))
        system.spawn(hosted(Holder)).call(Holder.keep, payee).get(timeout=100)
    with start() as system:
        holder = system.spawn(hosted(Holder))
        holder.call(Holder.send, "in the commit").get(timeout=100)
        lodger = system.spawn(af.child(test_owners.Lodger).options(host=af.Process()))
        (ref,) = holder.call(Holder.seen).get(timeout=100)
        lodger.call(test_owners.Lodger.tell, ref, "by name").get(timeout=100)
        wait_for(lambda: rows(system, "af_mail") == 2)
        asked = lodger.call(test_owners.Lodger.ask, ref, 5)
        wait_for(lambda: rows(system, "af_mail") == 3)
        payee = system.spawn(test_state.named(Account, "payee"))
        assert asked.get(timeout=100) == 5
        assert payee.call(Account.seen).get(timeout=100) == ["in the commit", "by name"]


class Stopper(Here):
    def end(self, ref, *, block):
        ref.stop(block=block)


@pytest.mark.parametrize("stopper", ["here", "hosted"])
@pytest.mark.parametrize("kind", ["plain", "durable", "hosted", "both"])
def test_a_durable_handler_stops_others_with_its_commit_and_cannot_wait_for_that(start, stopper, kind):
    with start() as system:
        make = hosted if stopper == "hosted" else test_state.named
        ref = system.spawn(make(Stopper))
        options = {"host": af.Process()} if kind in ("hosted", "both") else {}
        cls = Account if kind in ("durable", "both") else Collector
        other = system.spawn(af.child(cls).options(name="other", **options))
        with pytest.raises(af.DefinitionError, match=r"ctx\.pipe"):
            ref.call(Stopper.end, other, block=True).get(timeout=100)
        assert other.is_alive()
        ref.call(Stopper.end, other, block=False).get(timeout=100)
        wait_for(lambda: not other.is_alive())


# --- failures --------------------------------------------------------------------------------------------------------


class Failing(Here):
    def on_receive(self, message):
        self.state.n += 1
        self.to.tell(("leaves never", self.state.n))
        raise ValueError(message)


def test_a_failed_tell_is_rolled_back_tried_again_and_then_a_dead_letter(start):
    with start() as system:
        letters, crashes = [], []
        system.subscribe(af.DeadLetter, letters.append)
        system.subscribe(af.Crashed, crashes.append)
        collector = system.spawn(Collector)
        ref = system.spawn(hosted(Failing, "a", collector, retry=QUICK))
        ref.tell("bad")
        wait_for(lambda: letters)
        assert [letter.message for letter in letters] == ["bad"]
        assert isinstance(letters[0].reason, ValueError)
        assert rows(system, "af_dead_mail") == 1
        assert rows(system, "af_mail") == 0
        assert ref.call(Failing.add, 1).get(timeout=100) == 1
        assert collector.call(Collector.all).get(timeout=100) == []
        assert crashes == []


def test_a_commit_that_fails_rolls_the_child_back_and_nothing_leaves_twice(start, tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    with start() as system:
        collector = system.spawn(Collector)
        ref = system.spawn(hosted(Here, "a", collector))
        future = ref.call(Here.hold, tmp_path)
        wait_for(lambda: begun(tmp_path))
        disk.failing = 3
        (tmp_path / "leave").touch()
        assert future.get(timeout=100) == 1
        assert disk.refused == 3
        assert len(begun(tmp_path)) > 1
        assert ref.call(Here.total).get(timeout=100) == 1
        wait_for(lambda: collector.call(Collector.all).get(timeout=100))
        assert collector.call(Collector.all).get(timeout=100) == [1]


# --- deaths ----------------------------------------------------------------------------------------------------------


def test_a_message_whose_process_is_killed_is_handled_again_on_the_old_state(start, tmp_path):
    with start() as system:
        collector = system.spawn(Collector)
        (ref,) = supervised(system, hosted(Here, "a", collector))
        ref.call(Here.add, 10).get(timeout=100)
        future = ref.call(Here.hold, tmp_path)
        ref.tell("behind it")
        for count in (1, 2):
            wait_for(lambda count=count: len(begun(tmp_path)) == count)
            os.kill(begun(tmp_path)[-1], signal.SIGKILL)
        wait_for(lambda: len(begun(tmp_path)) == 3)
        (tmp_path / "leave").touch()
        assert future.get(timeout=100) == 11
        assert ref.call(Here.seen).get(timeout=100) == ["behind it"]
        assert len(set(begun(tmp_path))) == 3
        wait_for(lambda: collector.call(Collector.all).get(timeout=100) == [1, "behind it"])


def test_a_temporary_actor_ends_with_its_process_and_its_rows_stay(start, tmp_path):
    with start() as system:
        ref = system.spawn(hosted(Here))
        future = ref.call(Here.hold, tmp_path)
        wait_for(lambda: begun(tmp_path))
        os.kill(begun(tmp_path)[0], signal.SIGKILL)
        with pytest.raises(af.ActorDeadError):
            future.get(timeout=100)
        (tmp_path / "leave").touch()
        wait_for(lambda: not ref.is_alive())
        assert system.spawn(hosted(Here)).call(Here.total).get(timeout=100) == 1


@pytest.mark.slow(quick=["memory"])
def test_a_message_that_kills_its_process_three_times_is_a_dead_letter(start, tmp_path):
    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        (ref,) = supervised(system, hosted(Here))
        ref.call(Here.add, 1).get(timeout=100)
        ref.cast(Here.exit)
        asked = ref.call(Here.exit)
        ref.tell("behind them")
        assert ref.call(Here.seen).get(timeout=100) == ["behind them"]
        with pytest.raises(af.HostDied, match="3 processes"):
            asked.get(timeout=100)
        wait_for(lambda: letters)
        assert "3 processes" in str(letters[0].reason)
        assert ref.call(Here.total).get(timeout=100) == 1


@pytest.mark.slow(quick=["memory"])
def test_a_timer_that_kills_its_process_three_times_is_a_dead_letter(start):
    class Doomed(Here):
        def begin(self):
            self.ctx.after(0.05, self.exit)

    with start() as system:
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        (ref,) = supervised(system, hosted(Doomed))
        ref.call(Doomed.begin).get(timeout=100)
        wait_for(lambda: letters)
        assert "3 processes" in str(letters[0].reason)
        assert ref.call(Doomed.add, 1).get(timeout=100) == 1
        assert rows(system, "af_actor_timer") == 0
        assert [letter.crashes for letter in system.dead_mail.messages()] == [3]


def test_a_state_over_the_limit_fails_in_the_child_and_is_rolled_back(url):
    class Growing(Here):
        def grow(self, size):
            self.state.seen.append("x" * size)
            return "x" * (size // 2)

    with af.ActorSystem("test", store=url, settings=af.Settings(payload_limit=100_000)) as system:
        (ref,) = supervised(system, hosted(Growing, retry=QUICK))
        with pytest.raises(af.PayloadError, match=r"the state of .*: 0\.2 MB, over Settings"):
            ref.call(Growing.grow, 150_000).get(timeout=100)
        assert ref.call(Growing.seen).get(timeout=100) == []


def test_the_death_of_a_shared_process_is_one_restart_and_blames_only_what_was_handled(start, tmp_path):
    shared = af.Process(name="shared")
    with start() as system:
        children = [hosted(Here, name, host=shared) for name in "abc"]
        tree = af.child(af.Supervisor, *children, intensity=1, period=60.0).options(name="tree")
        system.spawn(tree)
        refs = [system.find(f"/test/tree/{name}") for name in "abc"]
        futures = [ref.call(Here.hold, tmp_path) for ref in refs[:2]]
        wait_for(lambda: len(begun(tmp_path)) == 2)
        os.kill(begun(tmp_path)[0], signal.SIGKILL)
        (tmp_path / "leave").touch()
        assert [future.get(timeout=100) for future in futures] == [1, 1]
        assert refs[2].call(Here.total).get(timeout=100) == 0


def test_timers_and_promised_answers_outlive_the_process(start):
    class Later(Here):
        def ask_me(self):
            self.state.seen.append(self.ctx.reply_later())
            self.ctx.after(0.5, self.answer, 7)

        def answer(self, value):
            self.state.seen.pop().set(value)

    with start() as system:
        (ref,) = supervised(system, hosted(Later))
        future = ref.call(Later.ask_me)
        os.kill(ref.call(Later.pid).get(timeout=100), signal.SIGKILL)
        assert future.get(timeout=100) == 7
        assert rows(system, "af_actor_timer") == 0


# --- timers ----------------------------------------------------------------------------------------------------------


class Fickle(Here):
    def begin(self):
        self.timer = self.ctx.after(60, self.add, 1)

    def give_up(self):
        return self.timer.cancel()

    def beside(self):
        """Start one timer and cancel another outside of a handler."""
        kept, dropped = [self.ctx.after(0, self.add, 5)], self.timer
        thread = threading.Thread(target=lambda: (kept.append(self.ctx.after(0, self.add, 20)), dropped.cancel()))
        thread.start()
        while thread.is_alive():
            self.ctx.sleep(0.001)


def test_a_timer_is_cancelled_by_a_later_handler(start):
    with start() as system:
        ref = system.spawn(hosted(Fickle))
        ref.call(Fickle.begin).get(timeout=100)
        assert rows(system, "af_actor_timer") == 1
        assert ref.call(Fickle.give_up).get(timeout=100)
        assert rows(system, "af_actor_timer") == 0
        assert not ref.call(Fickle.give_up).get(timeout=100)


def test_a_timer_made_and_cancelled_outside_of_handlers_is_a_row_too(start):
    with start() as system:
        ref = system.spawn(hosted(Fickle))
        ref.call(Fickle.begin).get(timeout=100)
        ref.call(Fickle.beside).get(timeout=100)
        wait_for(lambda: ref.call(Fickle.total).get(timeout=100) == 25)
        assert rows(system, "af_actor_timer") == 0


# --- machines --------------------------------------------------------------------------------------------------------


class Kettle(af.StateMachine, durable=True, stop_when_final=True):
    cold, hot, off = af.State(initial=True), af.State(), af.State(final=True)

    def __init__(self) -> None:
        super().__init__()
        self.laps = 0

    @cold.to(hot)
    def heat(self) -> None: ...

    @hot.after(0.02, cold)
    def cool(self) -> None:
        self.laps += 1
        if self.laps < 0:
            raise ValueError("no")

    @hot.stay
    @cold.stay
    def spoil(self) -> None:
        self.laps = -10

    @cold.to(off)
    def end(self) -> None: ...

    @hot.defer
    @cold.stay
    def touch(self, who: str) -> str:
        return who

    @hot.stay
    @cold.stay
    def die(self) -> None:
        os._exit(1)


class Mourned(Kettle):
    """Writes down that it failed."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def on_failure(self, kind, error, trace):
        (Path(self.folder) / "failed").write_text(f"{os.getpid()} {error} {self.laps}")


def test_a_timeout_of_a_state_is_committed_and_outlives_the_process(start):
    with start() as system:
        (ref,) = supervised(system, hosted(Kettle))
        ref.call(Kettle.heat).get(timeout=100)
        touched = ref.call(Kettle.touch, "Ann")  # deferred until it is cold
        assert touched.get(timeout=100) == "Ann"
        ref.call(Kettle.heat).get(timeout=100)
        ref.cast(Kettle.die)
        wait_for(lambda: ref.proxy().laps.get(timeout=100) == 2)
        assert ref.state == "cold"


def test_a_timeout_that_fails_is_tried_again_then_crashes_the_machine(start):
    with start() as system:
        ref = system.spawn(hosted(Kettle, retry=QUICK))
        letters = []
        system.subscribe(af.DeadLetter, letters.append)
        ref.call(Kettle.spoil).get(timeout=100)
        ref.call(Kettle.heat).get(timeout=100)
        wait_for(lambda: letters)
        assert isinstance(letters[0].reason, ValueError)
        wait_for(lambda: not ref.is_alive())


def test_on_failure_runs_in_the_process_of_a_machine_that_a_timeout_crashes(start, tmp_path):
    with start() as system:
        ref = system.spawn(hosted(Mourned, "a", str(tmp_path), retry=QUICK))
        crashes = []
        system.subscribe(af.Crashed, crashes.append)
        pid = ref._host.handle.pid
        ref.call(Mourned.spoil).get(timeout=100)
        ref.call(Mourned.heat).get(timeout=100)
        wait_for(lambda: crashes)
        assert isinstance(crashes[0].reason, ValueError)
        wait_for(lambda: not ref.is_alive())
        assert (tmp_path / "failed").read_text() == f"{pid} no -10"


def test_on_failure_runs_in_the_process_of_an_actor_that_another_node_has_taken(start, tmp_path):
    class Taken(Here):
        def on_failure(self, kind, error, trace):
            (tmp_path / "failed").write_text(f"{os.getpid()} {error}")

    with start("one") as one, start("two") as two:
        here = one.spawn(hosted(Taken))
        there = two.spawn(hosted(Taken))
        pid = here.call(Taken.pid).get(timeout=100)
        here.cast(Taken.hold, tmp_path)
        wait_for(lambda: begun(tmp_path))

        def is_taken():  # on a slow machine it may beat in between
            one.store.write(lambda tx: tx.run("nodes.beat", {"id": one.store.node.id, "beat": -1e9}))
            return there._box.is_owner

        wait_for(is_taken)
        (tmp_path / "leave").touch()
        wait_for(lambda: not here.is_alive())
        assert (tmp_path / "failed").read_text() == f"{pid} a was taken over by another node"


def test_a_timeout_that_was_due_while_its_machine_is_rolled_back_comes_to_pass_once(start):
    with start() as system:
        ref = system.spawn(hosted(Slow))
        with pytest.raises(ValueError, match="no"):
            ref.call(Slow.hold, 0.5).get(timeout=100)
        wait_for(lambda: ref.state == "over")
        assert ref.proxy().count.get(timeout=100) == 1


def test_a_machine_in_a_final_state_ends_for_good_behind_what_was_queued(start):
    with start() as system:
        (ref,) = supervised(system, hosted(Kettle))
        ref.call(Kettle.end).get(timeout=100)
        wait_for(lambda: not ref.is_alive())


def test_a_machine_of_a_function_is_hosted_without_a_store_too():
    Door = door()
    with af.ActorSystem("test") as system:
        ref = system.spawn(hosted(Door))
        future = ref.call(Door.enter, "Ann")
        ref.call(Door.open).get(timeout=100)
        assert future.get(timeout=100) == "Ann"


def test_a_machine_made_of_a_snapshot(start):
    with start() as system:
        order = system.spawn(hosted(Order, "a", 5))
        order.call(Order.pay, 3).get(timeout=100)
        snap = order.call(Order.snapshot).get(timeout=100)
        other = system.spawn(hosted(Order.restore, "b", snap))
        assert other.call(Order.pay, 2).get(timeout=100) == 5
        assert other.state == "paid"


# --- life ------------------------------------------------------------------------------------------------------------


def test_of_two_nodes_the_second_takes_over_when_the_first_ends(start):
    with start("two") as two:
        with start("one") as one:
            here = one.spawn(hosted(Here))
            there = two.spawn(hosted(Here))
            first = there.call(Here.pid).get(timeout=100)
            assert first == here.call(Here.pid).get(timeout=100)
            here.call(Here.add, 2).get(timeout=100)
        assert there.call(Here.add, 1).get(timeout=100) == 3
        assert there.call(Here.pid).get(timeout=100) not in (first, os.getpid())


def test_what_an_owner_did_that_lost_its_actor_is_refused_and_its_process_ends(start, tmp_path):
    with start("one") as one, start("two") as two:
        collector = one.spawn(Collector)
        here = one.spawn(hosted(Here, "a", collector))
        there = two.spawn(hosted(Here))
        here.cast(Here.hold, tmp_path)
        wait_for(lambda: begun(tmp_path))
        one.store.write(lambda tx: tx.run("nodes.beat", {"id": one.store.node.id, "beat": -1e9}))
        wait_for(lambda: len(begun(tmp_path)) == 2)  # handled again, by the new owner
        (tmp_path / "leave").touch()
        wait_for(lambda: not here.is_alive())
        assert there.call(Here.total).get(timeout=100) == 1
        assert collector.call(Collector.all).get(timeout=100) == []
        wait_for(lambda: not Path(f"/proc/{begun(tmp_path)[0]}").exists())


@pytest.mark.slow
def test_a_process_that_is_replaced_hands_the_actor_on(start):
    with start() as system:
        ref = system.spawn(hosted(Here, host=af.Process(max_messages=10)))
        pids = [ref.call(Here.pid).get(timeout=100) for _ in range(60) if ref.call(Here.add, 1).get(timeout=100)]
        assert ref.call(Here.total).get(timeout=100) == 60
        assert len(set(pids)) > 2


class Ending(Here):
    def on_stop(self):
        (self.to / "ended").write_text(str(self.state.n))


@pytest.mark.parametrize("how", ["stop", "exit"])
def test_a_handler_that_works_is_waited_for_and_committed_before_the_end(start, tmp_path, how):
    class Working(Ending):
        def work(self):
            (self.to / "begun").touch()
            while not (self.to / "leave").exists():
                threading.Event().wait(0.01)
            self.state.n += 1

    with start() as system:
        tree = system.spawn(af.child(af.Supervisor, hosted(Working, "a", tmp_path)).options(name="tree"))
        ref = system.find("/test/tree/a", Working)
        ref.cast(Working.work)
        wait_for((tmp_path / "begun").exists)
        ended = ref.stop(block=False) if how == "stop" else None
        if ended is None:
            ended = tree.stop(block=False)
        (tmp_path / "leave").touch()
        assert ended.get(timeout=100)
        assert (tmp_path / "ended").read_text() == "1"
        assert rows(system, "af_mail") == 0


def test_on_stop_is_waited_for_though_the_end_was_asked_for_while_a_handler_worked(start, tmp_path):
    class Slow(Here):
        def work(self):
            (self.to / "begun").touch()
            while not (self.to / "leave").exists():
                threading.Event().wait(0.01)

        def on_stop(self):
            (self.to / "ending").touch()
            while not (self.to / "end").exists():
                threading.Event().wait(0.01)
            (self.to / "ended").touch()

    with start() as system:
        tree = system.spawn(af.child(af.Supervisor, hosted(Slow, "a", tmp_path, shutdown=30)).options(name="tree"))
        system.find("/test/tree/a", Slow).cast(Slow.work)
        wait_for((tmp_path / "begun").exists)
        ended = tree.stop(block=False)
        (tmp_path / "leave").touch()
        wait_for((tmp_path / "ending").exists)
        wait_for(lambda: rows(system, "af_mail") == 0)
        with pytest.raises(af.AskTimeout):
            ended.get(timeout=0.3)
        (tmp_path / "end").touch()
        assert ended.get(timeout=100)
        assert (tmp_path / "ended").exists()


@pytest.mark.slow
def test_a_handler_that_waits_is_woken_and_its_message_handled_in_the_next_life(start, tmp_path):
    with start() as system:
        ref = system.spawn(hosted(Here))
        ref.cast(Here.hold, tmp_path)
        wait_for(lambda: begun(tmp_path))
    with start() as system:
        (tmp_path / "leave").touch()
        assert system.spawn(hosted(Here)).call(Here.total).get(timeout=100) == 1


def test_one_that_does_not_end_in_time_is_abandoned_and_its_message_stays(start, tmp_path):
    class Stuck(Here):
        def stick(self, folder):
            (folder / "begun").touch()
            threading.Event().wait(30)

    with start() as system:
        (ref,) = supervised(system, hosted(Stuck, shutdown=0.3))
        ref.cast(Stuck.stick, tmp_path)
        wait_for((tmp_path / "begun").exists)
        system.find("/test/tree").stop(timeout=30)
        assert rows(system, "af_mail") == 1


def test_what_on_start_sends_to_another_process_leaves(start):
    with start() as system:
        there = system.spawn(af.child(Collector).options(host=af.Process(name="shared")))

        class Greeting(Account):
            def on_start(self):
                there.tell("started")
                self.state.n = 7

        assert system.spawn(af.child(Greeting).options(name="a")).call(Account.total).get(timeout=100) == 7
        wait_for(lambda: there.call(Collector.all).get(timeout=100) == ["started"])


# --- elsewhere -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [False, True], ids=["restart", "stop"])
def test_a_process_that_stands_still_is_killed_when_its_actor_is_to_end_and_does_not_in_time(start, stop):
    class Neighbour(af.Actor):
        def crash(self):
            raise af.Crash

        def pid(self):
            return os.getpid()

    shared = af.Process(name="shared")
    with start() as system:
        children = [
            hosted(Here, host=shared, shutdown=0.3),
            af.child(Neighbour).options(name="here"),
            af.child(Neighbour).options(name="there", host=shared),
        ]
        tree = system.spawn(af.child(af.Supervisor, *children[:2], strategy="one_for_all").options(name="tree"))
        ref, neighbour = (system.find(f"{tree.path}/{name}") for name in ("a", "here"))
        there = system.spawn(children[2])
        pid = ref.call(Here.pid).get(timeout=100)
        assert there.call(Neighbour.pid).get(timeout=100) == pid
        stop_process(pid)
        try:
            answer = ref.call(Here.pid)
            wait_for(lambda: ref._waiting is not None)
            if stop:
                tree.stop(timeout=30)
                with pytest.raises(af.ActorDeadError):
                    answer.get(timeout=100)
            else:
                neighbour.cast(Neighbour.crash)
                assert answer.get(timeout=100) != pid
            wait_for(lambda: not there.is_alive())
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_on_a_virtual_clock_it_is_in_this_process_with_arguments_of_its_own():
    given = ["x"]

    class Mine(Clock):
        def given(self):
            return self.to

    with VirtualSystem("test") as system:
        ref = system.spawn(hosted(Mine, "a", given))
        given.append("y")
        assert ref.call(Mine.given).get() == ["x"]
        ref.call(Mine.later, 5, 2).get()
        system.sleep(6)
        assert ref.call(Mine.total).get() == 2


@pytest.mark.slow
def test_on_a_server(postgres_server, tmp_path):
    with postgres_server.database() as url:
        with af.ActorSystem("test", store=url) as system:
            (ref,) = supervised(system, hosted(Here))
            future = ref.call(Here.hold, tmp_path, 5)
            wait_for(lambda: begun(tmp_path))
            os.kill(begun(tmp_path)[0], signal.SIGKILL)
            (tmp_path / "leave").touch()
            assert future.get(timeout=100) == 5
            ref.cast(Here.exit)
            assert ref.call(Here.total).get(timeout=100) == 5
        with af.ActorSystem("test", store=url) as system:
            (ref,) = supervised(system, hosted(Here))
            assert ref.call(Here.add, 1).get(timeout=100) == 6
