"""Promises: whoever reads a link, and however he is interrupted, nothing of what comes is lost or comes twice."""

import itertools
import marshal
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager

import psutil
import pytest

import actorflow as af
from actorflow.process.hosts.child.main import closing
from actorflow.process.hosts.link import link as link_module
from actorflow.process.hosts.link import reader as wait_module
from actorflow.process.hosts.link.outbox import ANSWER
from actorflow.process.hosts.parent.host_process import HostProcess
from actorflow.process.pickling import dumps
from actorflow.process.wire import HEADER, MARSHAL_VERSION, ROOM
from tests.core.actors import until
from tests.hosts.actors import LIMIT, Gate, Notes, call, hosted, pid_of

pytestmark = pytest.mark.timeout(300)

NOBODY = 2**40  # number of an ask that nobody has made


class Stutters(Notes):
    """Stops its process in the middle of a frame."""

    def stop_half_way(self, size, cut):
        _, link = closing[0]
        body = marshal.dumps([(ANSWER, NOBODY, dumps(bytes(size))[0], 0)], MARSHAL_VERSION)
        frame = HEADER.pack(len(body), 0) + body
        with link._write_lock:
            link._write_all()
            link._write()
            link.connection._sock.sendall(frame[:cut])
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # to this thread, which goes no step further
            link.connection._sock.sendall(frame[cut:])
        return size

    def tell_all(self, to, count):
        for number in range(count):
            to.tell(number)


@pytest.fixture
def ref(system):
    return system.spawn(hosted(Stutters))


@contextmanager
def goes_on(pid):
    """Let a stopped process go on in the end, or when that takes too long."""
    timer = threading.Timer(LIMIT, os.kill, (pid, signal.SIGCONT))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        os.kill(pid, signal.SIGCONT)


def is_stopped(pid):
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def waits(thread):
    """Say whether a thread waits for an answer."""
    frame, names = sys._current_frames()[thread], []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return "_wait" in names


CUTS = [(100, 5), (100, 60), (3 * ROOM, 12), (3 * ROOM, 2 * ROOM)]


@pytest.mark.parametrize("in_main", [True, False])
@pytest.mark.parametrize(("size", "cut"), CUTS)
def test_a_timeout_holds_in_the_middle_of_a_frame_which_is_then_read_on(ref, size, cut, in_main):
    pid = pid_of(ref)
    future = ref.call(Stutters.stop_half_way, size, cut)
    seconds = []

    def ask():
        start = time.monotonic()
        with pytest.raises(af.AskTimeout):
            future.get(timeout=0.4)
        seconds.append(time.monotonic() - start)

    with goes_on(pid):
        until(lambda: is_stopped(pid))
        if in_main:
            ask()
        else:
            asker = threading.Thread(target=ask)
            asker.start()
            asker.join()
        assert is_stopped(pid)
        assert 0.3 < seconds[0] < LIMIT / 2
        others = [ref.call(Notes.note, number) for number in range(3)]
    assert future.get(timeout=LIMIT) == size
    assert [other.get(timeout=LIMIT) for other in others] == [0, 1, 2]


@pytest.mark.parametrize("timeout", [0, 0.2])
def test_a_timeout_holds_while_other_things_come_without_end(system, monkeypatch, timeout):
    gate = system.spawn(hosted(Gate))
    call(gate, Gate.arrived)
    future = gate.ask("let in", block=False)
    with monkeypatch.context() as patch:
        patch.setattr(link_module.HostLink, "read_answers", lambda _self, _flags: True)
        patch.setattr(wait_module.Ear, "wait", lambda _self, _seconds: True)
        with pytest.raises(af.AskTimeout):
            future.get(timeout=timeout)
    call(gate, Gate.open)
    assert future.get(timeout=LIMIT) == "let in"


@pytest.mark.skipif(not wait_module.CAN_BORROW, reason="the reader thread alone reads here")
@pytest.mark.parametrize("step", ["_over", "_error"])
def test_a_thread_that_reads_as_a_host_dies_uses_no_file_whose_number_the_next_host_may_have(system, monkeypatch, step):
    """It is late in a call of C code, which knows a file by its number alone; the reader thread waits before `step`."""
    dies, may_end, reads, may_read = [threading.Event() for _ in range(4)]
    closed, errors = [], []
    end, take = getattr(HostProcess, step), wait_module.Ear.take_from_reader

    def end_late(host):
        dies.set()
        assert may_end.wait(LIMIT)
        return end(host)

    def take_late(ear):
        reads.set()
        assert may_read.wait(LIMIT)
        closed.append(ear._epoll.closed or ear._bell.closed)
        take(ear)

    def ask():
        with pytest.raises(af.HostDied) as caught:
            future.get(timeout=LIMIT)
        errors.append(caught.value)

    gate = system.spawn(hosted(Gate, restart="permanent"))
    future = gate.ask("let in", block=False)
    until(lambda: call(gate, Gate.arrived))
    host = gate._host
    until(lambda: not host.link.ear.lent)
    monkeypatch.setattr(HostProcess, step, end_late)
    monkeypatch.setattr(wait_module.Ear, "take_from_reader", take_late)
    os.kill(host.handle.pid, signal.SIGKILL)
    assert dies.wait(LIMIT)
    asker = threading.Thread(target=ask)
    asker.start()
    until(lambda: reads.is_set() or future._wakes)
    may_end.set()
    host._ended.wait(0.2)  # it may not end before the other thread is through
    may_read.set()
    asker.join(LIMIT)
    assert errors
    assert not any(closed)
    assert call(gate, Gate.arrived) == 0


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("error", [KeyboardInterrupt, af.Stopping, TimeoutError, EOFError])
@pytest.mark.parametrize(("size", "cut"), CUTS)
def test_a_signal_in_the_middle_of_a_frame_ends_the_wait_and_nothing_else(ref, size, cut, error):
    pid = pid_of(ref)
    link = ref._link
    raised = threading.Event()
    main = threading.get_ident()

    def handler(*_):
        if not raised.is_set():
            raised.set()
            raise error("a signal")

    def interrupt():
        until(lambda: is_stopped(pid) and link.connection.pending() and waits(main))
        signal.pthread_kill(main, signal.SIGUSR1)
        while not raised.wait(0.05):  # it came just before the wait, and interrupted nothing
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)

    future = ref.call(Stutters.stop_half_way, size, cut)
    sender = threading.Thread(target=interrupt)
    try:
        with goes_on(pid):
            sender.start()
            with pytest.raises(error):
                future.get()
            assert is_stopped(pid)
            other = ref.call(Notes.note, "after")
        assert future.get(timeout=LIMIT) == size
        assert other.get(timeout=LIMIT) == "after"
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)
    assert pid_of(ref) == pid


class Interrupt(BaseException):
    """What a signal's handler raises."""


FILES = (wait_module.__file__, link_module.__file__, sys.modules["actorflow.process.wire"].__file__)


@contextmanager
def interrupt_at(count):
    """Raise Interrupt before the instruction of that number of this thread's reading; yields a list of where."""
    left, hit, before = itertools.count(count, -1), [], sys.gettrace()

    def trace(frame, event, _argument):
        if frame.f_code.co_filename not in FILES and frame.f_code.co_name != "_settle":
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and next(left) == 0:
            hit.append((frame.f_code.co_name, frame.f_lineno))
            raise Interrupt
        return trace

    sys._getframe().f_trace_opcodes = True  # 3.12 looks for it when the trace is set, and then only
    sys.settrace(trace)
    try:
        yield hit
    finally:
        sys.settrace(before)


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("timeout", [None, LIMIT])
def test_a_signal_at_any_line_of_a_read_loses_nothing(system, ref, timeout):
    """Another answer and a tell come along with the one that is waited for."""
    noise, told = system.spawn(Notes), 0
    pid = pid_of(ref)
    seen, number, unread = [], 0, 0
    while unread < 100:  # so often there was nothing to interrupt
        link = ref._link
        with link.ear.lock:  # so that they come together
            others = [ref.call(Notes.note, (number, index)) for index in range(2)]
            if number % 2:
                ref.call(Stutters.tell_all, noise, 1)
            future = ref.call(Notes.note, (number, "last"))
            until(lambda link=link: link.ear.wait(1))
        try:
            with interrupt_at(number) as hit:
                future.get(timeout=timeout)
        except Interrupt:
            pass
        assert future.get(timeout=LIMIT) == (number, "last"), hit
        assert [other.get(timeout=LIMIT) for other in others] == [(number, 0), (number, 1)], hit
        told += number % 2
        if hit:
            seen.append(hit)
            number, unread = number + 1, 0
        else:  # it ended before, or another thread has read the answer
            unread += 1
    assert len(seen) > 100
    assert pid_of(ref) == pid
    assert call(noise, Notes.count) == told
    assert not ref._link.pending


@pytest.mark.usefixtures("no_collection")
def test_signals_at_any_time_lose_nothing(system, ref):
    """The real thing: a timer raises in the main thread, which asks and asks."""

    def handler(*_):
        if armed:
            armed.clear()
            raise Interrupt

    armed, interrupted = [], 0
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.000_7, 0.000_7)
    try:
        futures = []
        for number in range(3000):
            future = ref.call(Notes.note, number)
            futures.append(future)
            try:
                try:
                    armed.append(1)
                    future.get()
                finally:
                    armed.clear()
            except Interrupt:  # just before it was disarmed, too
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 10
    assert [future.get(timeout=LIMIT) for future in futures] == list(range(3000))
    assert call(ref, Notes.read) == list(range(3000))
