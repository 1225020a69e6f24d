"""Calls: a job's call as people read it, in the log and on the command line.

It is made of the stored JSON alone: no class of the user's is looked up, and nothing of his is called.
"""

from __future__ import annotations

import json
from typing import Any, Final

from actorflow.text import text_of

LONGEST: Final = 200  # letters
LARGEST: Final = 64_000  # bytes of arguments that are taken apart for it


def text_of_call(task: str, args: bytes, longest: int = LONGEST) -> str:
    """Return a call as text, cut if it is long; arguments that cannot be read are said to be damaged.

    >>> text_of_call("shop.shrink", b'[["a.jpg"],{"by":4}]')
    'shop.shrink("a.jpg", by=4)'
    """
    if len(args) > LARGEST:
        return f"{text_of(task, longest, str)}({len(args)} bytes)"
    try:
        positional, named = json.loads(args)
        parts = [json_text(value) for value in positional] + [f"{name}={json_text(named[name])}" for name in named]
    except (ValueError, TypeError, RecursionError):
        parts = ["damaged arguments"]
    return text_of(f"{task}({', '.join(parts)})", longest, str)


def json_text(plain: Any) -> str:
    """Return a plain value as JSON text; a tagged value shows its tag."""
    return json.dumps(plain, ensure_ascii=False)
