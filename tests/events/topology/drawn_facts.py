"""An event and a service whose names another module has, too."""

from __future__ import annotations

import dataclasses

import actorflow as af


@dataclasses.dataclass(frozen=True)
class A: ...


class Hears(af.Service):
    @af.on(A)
    def hear(self, event: A) -> None: ...
