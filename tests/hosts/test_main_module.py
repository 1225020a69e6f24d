"""State machines and tasks of `__main__` make the round trip into a child process, from a script and `python -c`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MACHINES = """
import os
import threading
from dataclasses import dataclass

import actorflow as af


@dataclass
class Payment:
    amount: int


class Parcel(af.StateMachine):
    packing, gone = af.State(initial=True), af.State(final=True)

    @packing.after(0.01, gone)
    def leave(self):
        pass

    @gone.donedata
    def weight(self):
        return Payment(7)


class Base(af.StateMachine, history=8, version=3):
    new, paid = af.State(initial=True), af.State()

    def __init__(self, total):
        super().__init__()
        self.total, self.received, self.hooks = total, 0, []

    def enough(self, payment):
        assert payment.__class__ is Payment
        return self.received + payment.amount >= self.total

    @new.to(paid, when=enough)
    @new.stay(when=lambda self, payment: payment.amount > 0)
    def pay(self, payment):
        self.received += payment.amount
        return Payment(self.received)

    @paid.enter
    def receipt(self):
        self.hooks.append(os.getpid())

    @paid.to(new)
    def refund(self):
        pass

    @new.after(3600, paid)
    def expire(self):
        pass


class Order(Base):
    shipping = af.State(parallel=True)
    parcel = af.State(parent=shipping)
    packed = af.State(parent=parcel, initial=True)
    labelled = af.State(parent=parcel)
    sent = af.State(parent=parcel, final=True)
    bill = af.State(parent=shipping)
    written = af.State(parent=bill, initial=True)
    posted = af.State(parent=bill, final=True)
    halted = af.State()
    back = af.History(shipping, deep=True)
    over = af.State(final=True)

    @Base.paid.to(shipping)
    def ship(self):
        pass

    @packed.invoke(Parcel)
    @packed.to(labelled)
    def parcel_gone(self, weight):
        self.weight = weight.amount

    @packed.defer
    @labelled.to(sent)
    def note(self, text):
        return text

    @written.to(posted)
    def post(self):
        pass

    @shipping.to(halted)
    def halt(self):
        pass

    @halted.to(back)
    def go_on(self):
        pass

    @shipping.to(over, event="done.state.shipping")
    def finish(self):
        pass


def get(future):
    return future.get(timeout=20)


def main(start):
    host = af.Process(start=start)
    with af.ActorSystem("demo") as system:
        order = system.spawn(af.child(Order, 5).options(host=host))
        heard, over = [], threading.Event()

        def hear(record):
            heard.append(record)
            if record.target == "over":
                over.set()

        order.subscribe(hear)
        try:
            get(order.call(Order.ship))
        except af.TransitionRefused as error:
            assert (error.state, error.event) == ("new", "ship"), error
        answer = get(order.call(Order.pay, Payment(2)))
        assert answer == Payment(2) and answer.__class__ is Payment, answer
        assert get(order.send("pay", Payment(3))) == Payment(5)
        assert order.state == "paid"
        [pid] = get(order.proxy().hooks)
        assert pid != os.getpid()
        snap = get(order.call(Order.snapshot))
        assert snap["version"] == 3, snap
        other = system.spawn(af.child(Order.restore, snap).options(host=host))
        assert (other.state, get(other.proxy().received), get(other.proxy().hooks)) == ("paid", 5, [pid])

        get(order.call(Order.ship))
        assert get(order.call(Order.note, "at last")) == "at last"
        assert get(order.proxy().weight) == 7
        get(order.call(Order.halt))
        get(order.call(Order.go_on))
        assert order.configuration == {"shipping", "parcel", "sent", "bill", "written"}, order.configuration
        get(order.call(Order.post))
        assert order.state == "over", order.state
        assert over.wait(20)
        events = ["pay", "pay", "ship", "done.invoke.parcel_gone", "note", "halt", "go_on", "post"]
        events.append("done.state.shipping")
        assert [record.event for record in heard] == events, heard
        assert heard[0].data == (Payment(2),) and heard[0].data[0].__class__ is Payment, heard[0]
        assert [record.event for record in order.history] == events[-8:]
    print("fine")
"""

TASKS = """
import os
from dataclasses import dataclass

import actorflow as af


@dataclass
class Photo:
    name: str


def shortened(name):
    return name[:3]


class TooLong(Exception):
    pass


@af.task(cpu=True)
def shrink(photo: Photo) -> list[Photo]:
    assert photo.__class__ is Photo
    return [Photo(shortened(photo.name)), Photo(str(os.getpid()))]


@af.task(cpu=True)
def refuse(photo: Photo) -> None:
    raise TooLong(photo.name)


@af.task(cpu=True)
def key(n: int) -> tuple[int, int]:
    return n, os.getpid()


def main(start):
    with af.ActorSystem("demo") as system:
        pool = system.pool("cpu", workers=2, host=af.Process(start=start))
        small, pid = pool.submit(shrink, Photo("holiday")).result(timeout=20)
        assert small == Photo("hol") and small.__class__ is Photo, small
        assert int(pid.name) != os.getpid()
        assert [n for n, _ in pool.map(key, range(100))] == list(range(100))
        try:
            pool.submit(refuse, Photo("holiday")).result(timeout=20)
        except TooLong as error:
            assert str(error) == "holiday"
        else:
            raise AssertionError
        jobs = system.queue("photos", workers=2)
        small, pid = jobs.enqueue(shrink, Photo("holiday")).result(timeout=20)
        assert small == Photo("hol") and small.__class__ is Photo, small
        assert int(pid.name) != os.getpid()
        try:
            jobs.enqueue(refuse, Photo("holiday")).result(timeout=20)
        except af.JobFailed as error:
            assert "TooLong" in str(error) and "holiday" in str(error), error
        else:
            raise AssertionError
    print("fine")
"""


def output(*arguments: str) -> str:
    """Run a program; return what it prints, and see that it complains of nothing."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize("start", ["zygote", "spawn"])
@pytest.mark.parametrize("what", [MACHINES, TASKS], ids=["machines", "tasks"])
def test_what_a_script_defines_makes_the_round_trip(what, start, tmp_path):
    path = tmp_path / "script.py"
    # A fresh interpreter does not run the script again, so it needs no guard; with one it works as well.
    path.write_text(f"{what}\n\nif __name__ == '__main__':\n    main({start!r})\n")
    assert output(str(path)) == "fine"


@pytest.mark.parametrize("what", [MACHINES, TASKS], ids=["machines", "tasks"])
def test_what_python_c_defines_makes_the_round_trip(what):
    assert output("-c", f"{what}\n\nmain('zygote')\n") == "fine"
