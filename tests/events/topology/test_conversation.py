"""The events of a conversation in the log, as a sequence diagram: with all consumers that handle them."""

from __future__ import annotations

from dataclasses import dataclass

import actorflow as af
from actorflow.events.topology.conversation import conversation
from actorflow.testing import VirtualSystem


@af.event(name="told.asked", key="name")
@dataclass(frozen=True)
class Asked:
    name: str


@af.event(name="told.answered", key="name")
@dataclass(frozen=True)
class Answered:
    name: str


class Answers(af.Service):
    @af.on(Asked)
    def answer(self, event: Asked) -> Answered:
        return Answered(event.name)


class Audits(af.Service):
    @af.on("told.*")
    def note(self, event: object) -> None: ...


def test_consumers_by_class_by_pattern_and_in_instances_get_events_of_a_conversation():
    with VirtualSystem("told", seed=1) as system:
        system.spawn(af.child(Answers).options(name="answers", durable=True, instances=2))
        system.spawn(af.child(Audits).options(name="audits", durable=True))
        system.publish(Asked("ann"))
        system.sleep(1)
        first = system.event_log.list("told.asked")[0]
        assert conversation(system.event_log, first.correlation).splitlines() == [
            "sequenceDiagram",
            "    actor p0 as told",
            "    participant p1 as answers",
            "    participant p2 as audits",
            "    p0-)p1: told.asked ann",
            "    p0-)p2: told.asked ann",
            "    p1-)p2: told.answered ann",
        ]
