"""Text: text and numbers as a page has them; nothing of the user's is markup."""

from __future__ import annotations

import html
import math

from actorflow.text import text_of


def plain(value: object, limit: int = 400) -> str:
    """Return the text of an object for a page: escaped, cut, and without characters that browsers obey.

    >>> plain("<b>")
    '&lt;b&gt;'
    """
    text = text_of(value, limit, str)
    return html.escape("".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text))


def clipped(value: object, letters: int) -> str:
    """Return the text of an object for a picture, in which there is room for so many letters.

    >>> clipped("/shop/payments", 8)
    '/shop/p\u2026'
    """
    text = text_of(value, 400, str)
    return plain(text if len(text) <= letters else f"{text[: letters - 1]}\u2026")


def in_seconds(value: float) -> str:
    """Return a duration with its unit.

    >>> in_seconds(0.0123), in_seconds(2.5), in_seconds(0), in_seconds(math.nan)
    ('12.3 ms', '2.5 s', '0 s', '')
    """
    if math.isnan(value):
        return ""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "\u00b5s")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}" if value < 1000 else f"{value:,.0f} s"
    return "0 s" if not value else f"{value:.2g} s"


def percent(value: float) -> str:
    """Return a part as a percentage.

    >>> percent(0.256)
    '25.6 %'
    """
    return f"{value * 100:.1f} %"
