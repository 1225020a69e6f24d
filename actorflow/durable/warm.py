"""Warm: the imports that the zygote makes before it forks a host for durable actors: some 100 ms each."""

import actorflow.durable.guest
import actorflow.process.host.child  # noqa: F401 - hosts run it
