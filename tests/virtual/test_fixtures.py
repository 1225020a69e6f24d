"""The fixtures that come with the package: the options of a marker, and the failures that a probe tells."""

from __future__ import annotations

import pytest

from actorflow.testing.plugin import options_of


@pytest.mark.actorflow(seed=7, step_limit=90)
class TestMarkers:
    @pytest.mark.actorflow(step_limit=50)
    def test_a_marker_of_a_test_adds_to_that_of_its_class(self, virtual_system):
        assert virtual_system.scheduler.seed == 7
        assert virtual_system.scheduler.step_limit == 50


@pytest.mark.actorflow(7)
def test_an_option_without_a_name_is_refused(request):
    with pytest.raises(pytest.UsageError, match="does not take 7: give seed, step_limit"):
        options_of(request.node)


@pytest.mark.actorflow(sed=7)
def test_an_option_that_is_misspelt_is_refused(request):
    with pytest.raises(pytest.UsageError, match="does not take sed"):
        options_of(request.node)


class Nameless:
    def __repr__(self):
        raise ValueError("no text")


def test_a_probe_fails_with_its_own_error_for_a_message_that_has_no_text(virtual_system, probe):
    probe.ref.tell(Nameless())
    with pytest.raises(AssertionError, match="got <Nameless, whose text cannot be made: ValueError>; expected 3"):
        probe.expect(3)
    probe.ref.tell(Nameless())
    with pytest.raises(AssertionError, match="expected no message"):
        probe.expect_none()
