"""The short examples of state machines: what each shows holds, and each runs as a program."""

from __future__ import annotations

import subprocess
import sys

import pytest

import actorflow as af
from examples.device import FULL, SILENCE, Washer
from examples.game import Game
from examples.user_account import ATTEMPTS, LOCKED_FOR, Account
from tests.examples.logs import ROOT
from tests.examples.programs import PATIENCE

# --- as programs -----------------------------------------------------------------------------------------------------

PRINTED = {
    "user_account": """\
   refused: Account refuses 'verify' in state 'registered': its guards veto it
    verify: registered -> verified
    log_in: verified -> verified
    log_in: verified -> verified
    log_in: verified -> locked
   refused: Account refuses 'log_in' in state 'locked': legal are delete
    unlock: locked -> verified
    log_in: verified -> verified
logged in?  True
    delete: verified -> deleted
at the end: deleted, after 7 transitions
""",
    "device": """\
           switch_on: off -> filling
               level: filling -> washing
       sensor_silent: washing -> fault
                      the sensor is silent
              resume: fault -> washing
               drain: washing -> spinning
           stop_drum: spinning -> finished
  done.state.running: finished -> off
                      it is off
""",
    "game": """\
   shoot: healthy+strung+asleep -> healthy+empty+awake
    snap: healthy+empty+awake -> healthy+empty+awake
    bite: healthy+empty+awake -> wounded+empty+awake
 refused: Game refuses 'load' in state 'wounded+empty+awake': its guards veto it
    sing: wounded+empty+awake -> wounded+empty+asleep
 recover: wounded+empty+asleep -> healthy+empty+asleep
    load: healthy+empty+asleep -> healthy+strung+asleep
   shoot: healthy+strung+asleep -> healthy+empty+awake
    load: healthy+empty+awake -> healthy+strung+awake
   shoot: healthy+strung+awake -> won
          won!
""",
}


@pytest.mark.parametrize("name", PRINTED)
def test_example_runs_as_a_program_and_prints_what_happens(name):
    result = subprocess.run(
        [sys.executable, "-m", f"examples.{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == PRINTED[name]


# --- user account ----------------------------------------------------------------------------------------------------


@pytest.fixture
def account(virtual_system):
    ref = virtual_system.spawn(Account, "good", "1234")
    ref.call(Account.verify, "1234").get()
    return ref


def log_in(account, *passwords):
    return [account.call(Account.log_in, password).get() for password in passwords]


def test_account_is_not_verified_by_a_wrong_code(virtual_system):
    account = virtual_system.spawn(Account, "good", "1234")
    with pytest.raises(af.TransitionRefused, match="guards veto"):
        account.call(Account.verify, "4321").get()
    assert account.state == "registered"


def test_account_is_locked_by_the_last_bad_password_in_a_row(account):
    assert log_in(account, "bad", "bad", "good", "bad", "bad") == [False, False, True, False, False]
    assert account.state == "verified"
    assert log_in(account, "bad") == [False]
    assert account.state == "locked"


def test_locked_account_refuses_the_right_password_until_its_time_is_over(virtual_system, account):
    log_in(account, *["bad"] * ATTEMPTS)
    virtual_system.sleep(LOCKED_FOR - 1)
    with pytest.raises(af.TransitionRefused):
        log_in(account, "good")
    virtual_system.sleep(1)
    assert log_in(account, "bad", "bad", "good") == [False, False, True]  # it counts from zero again


def test_account_deleted_while_locked_stays_deleted(virtual_system, account):
    log_in(account, *["bad"] * ATTEMPTS)
    account.call(Account.delete).get()
    virtual_system.sleep(2 * LOCKED_FOR)
    assert account.state == "deleted"
    with pytest.raises(af.TransitionRefused):
        log_in(account, "good")


def test_snapshot_of_an_account_has_no_password(account):
    snap = account.call(Account.snapshot).get()
    assert snap["data"] == {"bad": 0}
    assert "good" not in str(snap["data"])


# --- device ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def washer(virtual_system):
    ref = virtual_system.spawn(Washer)
    ref.call(Washer.switch_on).get()
    return ref


def sense(system, washer, litres, seconds):
    for _ in range(seconds // 10):
        washer.call(Washer.level, litres).get()
        system.sleep(10)


def test_washer_goes_through_its_programme_and_can_wash_again(virtual_system, washer):
    for _ in range(2):
        sense(virtual_system, washer, FULL, 1790)
        assert washer.state == "washing"
        sense(virtual_system, washer, 0.0, 20)
        assert washer.state == "spinning"
        sense(virtual_system, washer, 0.0, 280)
        virtual_system.sleep(20)
        assert washer.state == "off"
        washer.call(Washer.switch_on).get()


@pytest.mark.parametrize(("litres", "state"), [(1.0, "filling"), (FULL, "washing")])
def test_washer_whose_sensor_falls_silent_goes_on_where_it_was(virtual_system, washer, litres, state):
    sense(virtual_system, washer, litres, 60)
    assert washer.state == state
    assert washer.proxy().door_locked.get()
    virtual_system.sleep(SILENCE)
    assert (washer.state, washer.proxy().reason.get()) == ("fault", "the sensor is silent")
    assert not washer.proxy().door_locked.get()
    washer.call(Washer.resume).get()
    assert washer.state == state
    assert washer.proxy().door_locked.get()


def test_washer_without_water_is_at_fault_after_three_minutes(virtual_system, washer):
    refused = []
    virtual_system.subscribe(af.DeadLetter, refused.append)
    sense(virtual_system, washer, 1.0, 170)
    assert washer.state == "filling"
    virtual_system.sleep(15)
    assert (washer.state, washer.proxy().reason.get()) == ("fault", "no water")
    virtual_system.sleep(10 * SILENCE)  # the watchdog has ended with `running`
    assert refused == []
    washer.call(Washer.switch_off).get()
    assert washer.state == "off"


# --- game ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def game(virtual_system):
    return virtual_system.spawn(Game)


def test_one_shot_moves_two_regions(game):
    game.call(Game.shoot).get()
    assert game.configuration == {"playing", "archer", "healthy", "bow", "empty", "dragon", "awake"}
    with pytest.raises(af.TransitionRefused):
        game.call(Game.shoot).get()  # the bow is empty, and the dragon cannot be woken twice


def test_dragon_that_bites_twice_before_the_archer_recovers_wins(virtual_system, game):
    game.call(Game.shoot).get()
    virtual_system.sleep(6)
    assert game.state == "wounded+empty+awake"
    virtual_system.sleep(4)
    assert game.state == "lost"


def test_wounded_archer_loads_no_arrow(virtual_system, game):
    game.call(Game.shoot).get()
    virtual_system.sleep(5)
    with pytest.raises(af.TransitionRefused, match="guards veto"):
        game.call(Game.load).get()
    game.call(Game.sing).get()
    virtual_system.sleep(6)
    game.call(Game.load).get()
    assert game.state == "healthy+strung+asleep"


def test_last_hit_ends_all_regions(virtual_system, game):
    for _ in range(2):
        game.call(Game.shoot).get()
        game.call(Game.load).get()
    game.call(Game.shoot).get()
    virtual_system.sleep(60)  # no bite comes any more
    assert (game.state, game.configuration) == ("won", {"won"})
