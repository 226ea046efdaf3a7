"""References to other commands' results, which a portal puts in where it finds them in a batch."""

from __future__ import annotations

import re

# What follows the word is loose: the portal looks up $results[a] and $resultX[a], too.
_REFERENCE = re.compile(r"\$(?:result|error|total|next|time)\S*\[", re.IGNORECASE)


def has_reference(text: str) -> bool:
    """Whether a portal may find a reference such as ``$result[a]`` in ``text``, however it is spelt."""
    return "$" in text and _REFERENCE.search(text) is not None
