"""Promises: frames arrive whole, in whatever pieces they come and wherever a reader is interrupted."""

import itertools
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from actorflow.process import wire
from actorflow.process.wire import AT_HAND, Connection, pair
from tests.interrupts import interrupt

pytestmark = pytest.mark.timeout(300)

BIG = wire.ROOM + 1000


class Tape:
    """Stands for the socket of a sender: keeps what is written."""

    def __init__(self, most=sys.maxsize):
        self.data = b""
        self.most = most  # bytes that one write takes

    def send(self, data, _flags):
        taken = bytes(data)[: self.most]
        self.data += taken
        return len(taken)


def frames(seed=0):
    """Return what is sent, as (items, contents of the buffers)."""
    random.seed(seed)
    sizes = [0, 1, 50, 4000, wire.ROOM - 100, 7, wire.ROOM, BIG, 3]
    some = [([number, random.randbytes(size)], []) for number, size in enumerate(sizes)]
    some.append((["buffers"], [random.randbytes(size) for size in (70_000, 0, BIG, 1)]))
    some.append((["many", bytes(BIG)], [bytes([n % 256]) for n in range(wire.ROOM // 8 + 1)]))
    some.append((["last"], []))
    return some


def written(some):
    tape = Tape()
    sender = Connection(tape)
    for items, buffers in some:
        sender.send(items, [memoryview(buffer) for buffer in buffers])
    return tape.data


def plain(items, buffers):
    return items, [bytes(buffer) for buffer in buffers]


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def read_now(connection, got):
    """Take what can be had without waiting."""
    while True:
        try:
            items, buffers, after = connection.peek(AT_HAND)
        except BlockingIOError:
            return
        got.append(plain(items, buffers))
        connection.take(after)


@pytest.mark.slow
@pytest.mark.parametrize("piece", [1, 5, 11, 1000, 60_000])
def test_frames_that_come_in_pieces_are_put_together_without_waiting(ends, piece):
    ours, theirs = ends
    some = frames() if piece > 1000 else [*frames()[:4], frames()[-1]]
    data, got = written(some), []
    for start in range(0, len(data), piece):
        theirs._sock.sendall(data[start : start + piece])
        read_now(ours, got)
    assert got == some
    assert not ours.pending()


def test_a_frame_that_was_not_taken_is_read_again(ends):
    ours, theirs = ends
    for items, buffers in ([b"small"], []), ([b"one", b"two"], [bytes(70_000), b"x" * 80_000]), ([bytes(BIG)], []):
        theirs._sock.setblocking(False)
        theirs.send(items, [memoryview(buffer) for buffer in buffers])
        for _ in range(3):
            *first, after = ours.peek()
            assert ours.ready()
            assert plain(*first) == (items, buffers)
        ours.take(after)
        assert not ours.pending()


@pytest.mark.parametrize("cut", [0, 5, 12, 100, wire.ROOM])
def test_an_end_in_the_middle_of_a_frame_is_the_end_for_each_reader(ends, cut):
    ours, theirs = ends
    theirs._sock.sendall(written([([bytes(BIG)], [])])[:cut])
    theirs.close()
    for _ in range(3):
        with pytest.raises(EOFError):
            ours.receive()
    assert not ours.ready()


class Interrupt(BaseException):
    """What a signal's handler raises."""


@contextmanager
def interrupt_at(count):
    """Raise Interrupt before the instruction of that number in wire.py; yields a list that then has an item."""
    left, hit, before = itertools.count(count, -1), [], sys.gettrace()

    def trace(frame, event, _argument):
        if frame.f_code.co_filename != wire.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and next(left) == 0:
            hit.append(1)
            raise Interrupt
        return trace

    sys._getframe().f_trace_opcodes = True  # 3.12 looks for it when the trace is set, and then only
    sys.settrace(trace)
    try:
        yield hit
    finally:
        sys.settrace(before)


def test_nothing_is_lost_or_read_twice_wherever_a_reader_is_interrupted(ends):
    ours, theirs = ends
    some = [([b"small"], []), ([b"moved", bytes(wire.ROOM // 2)], []), ([b"behind it", bytes(wire.ROOM // 2)], [])]
    some += [([bytes(BIG)], []), ([b"buffers"], [bytes(70_000), bytes(10)]), ([b"last"], [])]
    data = written(some)
    hit = [1]
    for number in itertools.count():
        if not hit:
            break
        got = []
        theirs._sock.sendall(data[: wire.ROOM + 5000])
        try:
            with interrupt_at(number) as hit:
                while True:
                    items, buffers, after = ours.peek(AT_HAND)
                    length = len(got)
                    try:
                        ours.take(after)
                    finally:
                        if ours._at is after:
                            got.append(plain(items, buffers))
                    assert len(got) == length + 1
        except (Interrupt, BlockingIOError):
            pass
        theirs._sock.sendall(data[wire.ROOM + 5000 :])
        read_now(ours, got)
        assert got == some
    assert number > 200


@pytest.mark.parametrize("most", [sys.maxsize, 7])
@pytest.mark.parametrize("buffers", [[], [bytes(20), b"", b"x"]], ids=["plain", "buffers"])
def test_a_frame_is_written_whole_and_once_wherever_its_writer_is_interrupted(buffers, most):
    frame = ["items", 1], buffers
    whole = written([frame])
    for number in itertools.count():
        tape = Tape(most)
        sender = Connection(tape)
        place = interrupt(lambda sender=sender: sender.send(frame[0], [memoryview(part) for part in buffers]), number)
        begun = bool(sender.frames)
        if tape.data == whole:
            assert all(left.is_written for left in sender.frames), place
        sender.write()
        assert tape.data == (whole if begun or tape.data else b""), place
        assert not sender.frames
        if not place:
            break
    assert number > 20
