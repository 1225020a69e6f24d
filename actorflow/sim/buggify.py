"""Buggify: a question in the user's code whether to do the rare thing here; the answer is yes in simulations only."""

from __future__ import annotations

import sys

from actorflow.errors import DefinitionError
from actorflow.sim.patches.place import world_here
from actorflow.sim.world.link import is_number
from actorflow.text import stable_text


def buggify(probability: float = 0.25) -> bool:
    """Say whether code is to do the rare thing at this place: return early, be slow, use the smallest buffer, fail.

    Outside of a simulation the answer is False. In one, each answer is a choice of the run, known by the function, the
    line and the actor: a seed repeats it, and a failure that does not need it is shown without it. After the last
    fault, when `eventually` waits, it is False again.

    >>> buggify(0.5)
    False

    Args:
        probability: of the answer True, from 0 to 1.

    Raises:
        DefinitionError: the probability is none.
    """
    if not is_number(probability) or not 0 <= probability <= 1:
        raise DefinitionError(f"buggify({stable_text(probability)}): give a probability, from 0 to 1")
    here = world_here()
    if here is None or here.world.is_calm:
        return False
    execution = here.execution
    if execution is not None and execution.is_abandoned:
        return False
    code = sys._getframe(1)
    ref = None if execution is None else execution.receiver
    name = f"buggify {code.f_code.co_qualname}:{code.f_lineno}{'' if ref is None else f' of {ref.path}'}"
    return here.world.chooser.chance(name, probability, here.world.cause)
