"""The example of a workflow that survives kill -9: it is killed in its midst, and goes on."""

from __future__ import annotations

from tests.examples.programs import killed, output, program, until

NAMES = ["ann", "bob", "cleo", "dan", "eve"]
HELLO = [f"hello {name}" for name in NAMES]


def test_the_example_is_killed_in_its_third_step_and_goes_on_there(tmp_path):
    with killed(program(tmp_path, "examples.hello_durable", PACE="0.01")) as lines:
        assert until(lines, "cleo") == HELLO[:3]
    *greeted, last = output(program(tmp_path, "examples.hello_durable", PACE="0"))
    assert last == "greeted 5"
    assert greeted in [HELLO[at:] for at in range(2, 6)]  # the kill may have come late
