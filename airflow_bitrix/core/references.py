"""References to other commands' results, which a portal puts in where it finds them in a batch."""

from __future__ import annotations

import re

_WORD = re.compile(r"\$(?:result|error|total|next|time)", re.IGNORECASE)


def has_reference(text: str) -> bool:
    """Whether a portal may find a reference such as ``$result[a]`` in ``text``, however it is spelt."""
    return "$" in text and any(map(_refers, text.split()))


def _refers(word: str) -> bool:
    # What follows is loose: the portal looks up $results[a] and $resultX[a], too.
    found = _WORD.search(word)
    return found is not None and "[" in word[found.end() :]
