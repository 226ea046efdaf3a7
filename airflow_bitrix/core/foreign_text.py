r"""Words that we did not choose, as one line of plain text: a portal's, a person's, those of a file.

Whoever writes to a portal chooses some of its words, and these reach logs, errors, files that spreadsheets
open, pages and terminals. Here is decided, once, what of a text is shown there, and how:

* no more of it than asked for; it is cut before anything looks at it, so that its length costs nothing
* no secret of a webhook, see :mod:`airflow_bitrix.core.redaction`
* one line: what ends lines, moves the cursor, turns the direction of writing or cannot be seen stands as it
  is written in programs, ``\n`` or ``\u202e``; so do signs that no file could hold, such as half an emoji
* no marks by which Airflow folds lines of a log, wherever they stand in one
"""

from __future__ import annotations

import re
from collections.abc import Callable

from airflow_bitrix.core.redaction import redact

LONGEST = 1_000
"""Signs of a text that are shown, where nobody says otherwise."""

_SPARE = 512
"""Signs that are looked at beyond those: as many as a secret has, however it is spelt."""

_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_UNSEEN = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef"
)
"""Signs that print as nothing, and that Python takes for printable all the same."""

_HELD_BACK = re.compile(rf"[{_SPACES}]|[{_UNSEEN}]|::(?=(?:end)?group::)")


def as_plain_text(value: object, longest: int = LONGEST, spelt: Callable[[object], str] | None = None) -> str:
    """Give a text as one line that is safe to show anywhere a text belongs. What is plain stays as it is.

    :param value: The text. Anything else is told as ``str`` does.
    :param longest: How many signs of it are given at most; what is longer ends in ``…``.
    :param spelt: What makes a text of the value, such as ``repr``.
    """
    text = value if isinstance(value, str) and spelt is None else _told(value, spelt or str)
    looked_at = text[: longest + _SPARE]
    plain = redact(looked_at)
    if is_cut := len(looked_at) < len(text):
        plain = plain[:-_SPARE]  # its end may be the first half of a secret
    plain = _visible(plain.strip())
    return plain[: longest - 1] + "…" if is_cut or len(plain) > longest else plain


def _told(value: object, spelt: Callable[[object], str]) -> str:
    try:
        return spelt(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, lists within lists within lists
        return f"({type(value).__name__})"


def _visible(text: str) -> str:
    if not text.isascii() or "::" in text:
        text = _HELD_BACK.sub(_instead, text)
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def _instead(found: re.Match[str]) -> str:
    sign = found[0]
    if sign == "::":
        return "\\x3a:"
    return " " if sign.isspace() else _escaped(sign)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()
