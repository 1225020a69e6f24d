"""History: records the operations of clients, and checks what a run has done as a whole.

`operations` (an operation and its history), `models` (a register, a queue and a lock as one client alone sees them),
`linearizability` (is there an order that a model allows), `delivery` (exactly once by id, order per key, conservation).
"""

from actorflow.sim.history.delivery import check_conservation, check_delivery, check_order
from actorflow.sim.history.linearizability import check_linearizable
from actorflow.sim.history.models import LockModel, Model, QueueModel, RegisterModel
from actorflow.sim.history.operations import HistoryClient, Operation, OperationHistory

__all__ = [
    "HistoryClient",
    "LockModel",
    "Model",
    "Operation",
    "OperationHistory",
    "QueueModel",
    "RegisterModel",
    "check_conservation",
    "check_delivery",
    "check_linearizable",
    "check_order",
]
