"""Table: the nodes of one run, by number: what was declared of each, its status, its times and its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorflow.workflows.dag.digest import digest_of_node
from actorflow.workflows.dag.node import MISSING, Node, Results, default_for
from actorflow.workflows.dag.plan import INDEX_BITS, Plan

if TYPE_CHECKING:
    from actorflow.core.clock import Clock
    from actorflow.workflows.dag.definition import Dag
    from actorflow.workflows.dag.expansion import Expansion
    from actorflow.workflows.dag.specs import NodeSpec

PENDING, READY, RUNNING, COMPLETED, FAILED, SKIPPED, CANCELLED = range(7)
STATUSES: Final = ("pending", "ready", "running", "completed", "failed", "skipped", "cancelled")


class Try(NamedTuple):
    """A failed attempt of a step, in seconds of the system's clock."""

    started: float
    ended: float
    error: BaseException


class NodeTable:
    """The nodes of one run.

    Attributes:
        state: of each node, PENDING to CANCELLED.
        results: MISSING, where there is none.
        readied, started, ended: times of each node, as far as it is.
        errors: of those that failed, also if a handler gave a result in their place.
        tries: the failed attempts after which there was another.
        recorded: the attempts of those that had ended before this process had the run.
        causes: the node whose failure or skip has skipped this one.
        cancelling: those that run and are to end.
        expansions: the parts that a node has turned into.
        owners: the node that a node is a part of; `parts` has the reverse.
        bases: the first node of the nested DAG that a node is in.
        left: how many have not ended.
    """

    def __init__(self, plan: Plan, clock: Clock) -> None:
        count = len(plan.names)
        self.plan = plan
        self.now = clock.monotonic
        self.names, self.specs, self.entries, self.need = plan.names, plan.specs, plan.entries, plan.need
        self.calls, self.heads, self.chains = plan.calls, plan.heads, plan.chains
        self.followers, self.sources, self.before = plan.followers, plan.sources, plan.before
        self._is_shared = True  # these lists are the plan's
        self.wait = list(plan.need)
        self.state = bytearray(count)
        self.results: list[Any] = [MISSING] * count
        none: list[float | None] = [None] * count
        self.readied, self.started, self.ended = list(none), list(none), list(none)
        self.errors: dict[int, BaseException] = {}
        self.tries: dict[int, list[Try]] = {}
        self.causes: dict[int, int] = {}
        self.cancelling: set[int] = set()
        self.expansions: dict[int, Expansion] = {}
        self.owners: dict[int, int] = {}
        self.parts: dict[int, list[int]] = {}
        self.bases: dict[int, int] = {}
        self.recorded: dict[int, int] = {}
        self.left = count

    def add_part(self, owner: int, name: str, spec: NodeSpec) -> int:
        """Add a node that runs within another one, without edges; return its number."""
        if self._is_shared:
            self._copy_lists()
        i = len(self.names)
        self.names.append(name)
        self.specs.append(spec)
        self.calls.append(None)
        self.heads.append(-1)
        for edges in (self.followers, self.sources, self.before):
            edges.append(())
        self.need.append(0)
        self.wait.append(0)
        self.entries.append((self.entries[owner] >> INDEX_BITS) << INDEX_BITS | i)
        self.state.append(PENDING)
        self.results.append(MISSING)
        for times in (self.readied, self.started, self.ended):
            times.append(None)
        self.owners[i] = owner
        self.parts.setdefault(owner, []).append(i)
        self.left += 1
        return i

    def _copy_lists(self) -> None:
        """Have lists of its own, as nodes are added; most runs add none."""
        self._is_shared = False
        self.names, self.specs, self.entries, self.need = [*self.names], [*self.specs], [*self.entries], [*self.need]
        self.calls, self.heads = [*self.calls], [*self.heads]
        self.followers, self.sources, self.before = [*self.followers], [*self.sources], [*self.before]

    def status_of(self, i: int) -> str:
        """Return the status of a node."""
        state = self.state[i]
        if state < COMPLETED:
            if self.ended[i] is not None:
                state = COMPLETED
            elif self.begun_at(i) is not None:
                state = RUNNING
        return STATUSES[state]

    def begun_at(self, i: int) -> float | None:
        """Return when a node began; one of a chain, when the one before it ended."""
        started, before = self.started[i], self.heads[i]
        if started is None and before >= 0 and self.state[before] < COMPLETED and self.state[i] in {PENDING, COMPLETED}:
            return self.ended[before]  # which has no status of its own: a thread went on from it without the lock
        return started

    def digest_of(self, i: int) -> bytes | None:
        """Return the digest of a node; None of a part whose arguments are a result."""
        owner = self.owners.get(i)
        return None if owner is not None and self.specs[owner].kind != "dag" else digest_of_node(self.specs[i])

    def latest_part(self, i: int) -> float | None:
        """Return when the last part of a node ended; None if it has none."""
        return max((self.ended[k] or 0.0 for k in self.parts.get(i, ())), default=None)

    def is_cancelled(self, i: int) -> bool:
        """Say whether a node is to end."""
        return i in self.cancelling

    def arguments(self, i: int) -> list[Any]:
        """Return the arguments of a node's task."""
        spec, base, results = self.specs[i], self.bases.get(i, 0), self.results
        given = []
        for arg in spec.args:
            if isinstance(arg, Node):
                value = results[base + arg._index]
                given.append(default_for(arg, spec.options.default) if value is MISSING else value)
            else:
                given.append(arg)
        return given

    def results_of(self, i: int) -> Results:
        """Return the results so far, as a node of the same DAG sees them."""
        return Results(self.dag_of(i), self.results, self.bases.get(i, 0))

    def dag_of(self, i: int) -> Dag:
        """Return the DAG that a node was declared in."""
        owner = self.owners.get(i)
        return self.plan.dag if owner is None else self.specs[owner].work  # type: ignore[return-value]

    def needs(self, j: int, i: int) -> bool:
        """Say whether a node cannot do without the result of another one."""
        if i not in self.sources[j]:
            return False
        spec = self.specs[j]
        if spec.kind == "gather":
            return spec.options.default is MISSING
        node = self.dag_of(i).nodes[i - self.bases.get(i, 0)]
        return default_for(node, spec.options.default) is MISSING

    def counts_as_failed(self, i: int) -> bool:
        """Say whether a node has failed, and that is not ignored."""
        return self.state[i] == FAILED and self.specs[i].options.on_failure != "ignore"
