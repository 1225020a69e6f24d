"""Promises: a log record of a simulated world says when, on which node and host, and all others are as ever."""

import logging

import pytest

import actorflow as af
from actorflow.sim import Simulation

logger = logging.getLogger("tests.sim.records")


class Logs(af.Actor):
    """Logs, also with attributes of its own."""

    def say(self, words):
        logger.warning("%s", words, extra={"node": "mine", "host": "mine"})


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [record for record in caplog.records if record.name == logger.name]


app = af.App("logs").add(af.child(Logs).options(name="one"), af.child(Logs).options(name="two"))


def say(sim, words):
    for node in sim.nodes:
        for name in ("one", "two"):
            node.system.find(f"/logs/{name}", Logs).cast(Logs.say, words)


def test_a_record_has_the_virtual_time_and_the_node_and_host_whose_code_logs(records):
    with Simulation(1) as sim:
        sim.start(app, nodes=2)
        sim.at(3).call(lambda: say(sim, "a"))
        sim.run(until=5)
        logger.warning("of the test")
    found = {(record.sim_time, record.sim_node, record.sim_host) for record in records()}
    assert found == {
        (3.0, 0, "/logs/one"),
        (3.0, 0, "/logs/two"),
        (3.0, 1, "/logs/one (node 1)"),
        (3.0, 1, "/logs/two (node 1)"),
        (5.0, None, None),
    }
    assert {record.node for record in records()[:-1]} == {"mine"}  # a program's own attributes stay


def test_records_outside_of_a_simulation_are_as_ever(records):
    factory = logging.getLogRecordFactory()
    with Simulation(1):
        assert logging.getLogRecordFactory() is not factory
    logger.warning("after it")
    (record,) = records()
    assert not hasattr(record, "sim_time")
    assert logging.getLogRecordFactory() is factory


def test_a_factory_that_the_program_sets_meanwhile_stays_its_own(records):
    before = logging.getLogRecordFactory()
    try:
        with Simulation(1):
            inner = logging.getLogRecordFactory()
            own = lambda *args, **kwargs: inner(*args, **kwargs)  # noqa: E731 - as programs do
            logging.setLogRecordFactory(own)
        assert logging.getLogRecordFactory() is own
        with Simulation(1) as sim:  # its factory is around the one that is around an earlier one
            sim.start(app)
            sim.at(1).call(lambda: say(sim, "b"))
            sim.run(until=2)
        assert [record.sim_time for record in records()] == [1.0, 1.0]
        assert logging.getLogRecordFactory() is own
    finally:
        logging.setLogRecordFactory(before)
