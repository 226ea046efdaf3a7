"""Numbers with what they count, as a person writes them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Give a number and what it counts: ``1 lead``, ``2,500 leads``.

    :param noun: One of them; its plural ends in ``s``.
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"
