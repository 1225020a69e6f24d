"""Preload: the imports that the zygote makes before it forks a host for durable actors: some 100 ms each."""

import actorflow.durable.remote.guest
import actorflow.process.hosts.child.main  # noqa: F401 - hosts run it
