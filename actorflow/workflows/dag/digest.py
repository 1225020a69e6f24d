"""Digests: of a DAG when a run of it began, and of a node when it ended, to see that it is another one by now."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from actorflow.errors import PayloadError
from actorflow.store.codec import encode
from actorflow.workflows.dag.node import Node

if TYPE_CHECKING:
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.dag.specs import NodeSpec


def digest_of_dag(dag: Dag) -> str:
    """Return the digest of the nodes of a DAG, their names, tasks, arguments and edges."""
    digest = hashlib.blake2b(digest_size=16)
    left = [dag]
    while left:  # it grows by nested ones
        plan = left.pop().plan()
        names = plan.names
        digest.update(f"{len(names)} nodes:".encode())
        for i, spec in enumerate(plan.specs):
            edges = " ".join(names[k] for k in plan.before[i])
            digest.update(f"{names[i]} after {edges}:".encode())
            digest.update(digest_of_node(spec))
        left += plan.nested
    return digest.hexdigest()


def digest_of_node(spec: NodeSpec) -> bytes:
    """Return the digest of a node: its kind, its task and its arguments; of results, the names of their nodes."""
    digest = hashlib.blake2b(f"{spec.kind} {getattr(spec.work, 'name', '')}".encode(), digest_size=16)
    for arg in spec.args:
        digest.update(b" node " + arg.name.encode() if isinstance(arg, Node) else b" " + constant(arg))
    return digest.digest()


def constant(value: Any) -> bytes:
    """Return a constant argument as it is compared; of one that cannot be stored, its class."""
    try:
        return encode(value)
    except PayloadError:
        return f"{type(value).__module__}.{type(value).__qualname__}".encode()
