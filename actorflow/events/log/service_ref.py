"""ServiceRef: the ref of a durable service, and the actor that has the members of one with several."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

from actorflow.core.actors.actor import Actor
from actorflow.core.actors.child import Child
from actorflow.core.actors.traits import Options, Traits
from actorflow.durable.ref import DurableRef
from actorflow.errors import DefinitionError
from actorflow.events.log.member import MemberMailbox

if TYPE_CHECKING:
    from actorflow.durable.handling.mailbox import Mailbox


class ServiceRef(DurableRef):
    """The ref of a durable service: a durable actor that handles the events of the log, beside its messages."""

    __slots__ = ()

    _mailbox_class: ClassVar[type[Mailbox]] = MemberMailbox


class ServiceGroup(Actor):
    """Has the members of a durable service with several instances, each with a state of its own, as its children."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.given = args, kwargs

    def on_start(self) -> None:
        """Start the members."""
        traits: Any = self.actor_ref._traits
        args, kwargs = self.given
        for number in range(traits.members):
            options = dataclasses.replace(traits.of_member, name=str(number))
            self.ctx.spawn(Child(traits.service, args, kwargs, options))

    def on_receive(self, message: Any) -> Any:  # noqa: ARG002 - it is refused, whatever it is
        """Refuse a message: nobody knows which member it is for."""
        traits: Any = self.actor_ref._traits
        msg = (
            f"{self.actor_ref.path} has {traits.members} instances, each with a state of its own: send to one of them, "
            f"such as system.durable({self.actor_ref.path.split('/', 2)[2] + '/0'!r}, {traits.service.__name__})"
        )
        raise DefinitionError(msg)


class GroupTraits(Traits):
    """The traits of a group: those of an ordinary actor, and the class and options of its members."""

    __slots__ = ("members", "of_member", "service")

    def __init__(self, service: type[Actor], options: Options, members: int) -> None:
        plain = dataclasses.replace(
            options, durable=False, durability=None, retry=None, group=None, instances=None, start=None, capacity=None
        )
        super().__init__(ServiceGroup, plain)
        self.service = service
        self.members = members
        self.of_member = dataclasses.replace(options, group=None, instances=None, start=None, restart="permanent")
