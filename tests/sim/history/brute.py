"""A checker that tries all orders: nothing clever, to compare the real one with."""

from itertools import combinations, permutations


def is_linearizable(operations, model):
    """Say whether some order of all operations that returned, and any of the open ones, fits the model."""
    ended = [operation for operation in operations if not operation.is_open and not operation.is_failed]
    still_open = [operation for operation in operations if operation.is_open]
    return any(
        fits(order, model)
        for size in range(len(still_open) + 1)
        for taken in combinations(still_open, size)
        for order in permutations([*ended, *taken])
    )


def fits(order, model):
    for i, later in enumerate(order):
        if any(later.end is not None and later.end < earlier.begin for earlier in order[:i]):
            return False  # it was over before the other one began
    states = [model.initial]
    for operation in order:
        states = [after for state in states for after in model.step(state, operation)]
    return bool(states)
